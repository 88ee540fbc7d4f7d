// The kernels of a board against the scalar ones, on the board: ==, over random shapes and numbers; then what each costs.
// Under QEMU with -icount shift=0 every instruction takes a nanosecond of the board's clock, so that its clock counts
// instructions.
//
// Prints "TABLE KERNEL same ROUNDS" or "TABLE KERNEL differs in round N", then "TABLE KERNEL cost NANOSECONDS", then "end".
#include "tests/qemu/kernels/support.h"

using namespace linnet;
using namespace board_tests;

namespace {

Memory memory;

struct Matrix {
    PackedMatrix packed;
    Activations x;
    float* f32;
    uint32_t tokens;
};

uint16_t random_half(Numbers& numbers) {
    const uint32_t sign = numbers.below(2) << 15;
    switch (numbers.below(8)) {
        case 0: return static_cast<uint16_t>(sign);
        case 1: return static_cast<uint16_t>(sign | numbers.below(0x400));   // subnormal
        case 2: return static_cast<uint16_t>(sign | numbers.below(0x8000));  // anything, infinity too: a damaged file
        default: return static_cast<uint16_t>(sign | (0x1800 + numbers.below(0x0c00)));
    }
}

Matrix random_matrix(Numbers& numbers, TensorFormat format, uint32_t rows, uint32_t columns, uint32_t group, uint32_t tokens,
                     Spread spread) {
    const uint64_t stride = block_stride(format, columns, group);
    const size_t bytes = static_cast<size_t>(stride) * block_count(rows);
    uint8_t* data = memory.take<uint8_t>(bytes);
    // Now and then the extremes, where a sum could overflow; or few weights but zero, which with the smallest scales of all
    // make subnormal results.
    const uint32_t kind = numbers.below(8);
    const bool tiny = kind < 2;
    const uint8_t zero = format == TensorFormat::int4_packed ? 0x88 : 0x80;
    if (format == TensorFormat::f32_packed) {
        fill(numbers, spread, reinterpret_cast<float*>(data), bytes / 4);
    } else {
        for (size_t i = 0; i < bytes; ++i) {
            const uint32_t one = numbers.below(16) == 0 ? 1 : 0;
            data[i] = static_cast<uint8_t>(kind == 7 ? 0 : tiny ? zero + one : numbers.bits());
        }
        for (uint32_t block = 0; block < block_count(rows); ++block) {
            for (uint32_t g = 0; g < group_count(columns, group); ++g) {
                uint8_t* scales = data + block * stride + scales_offset(format, group, g);
                for (uint32_t row = 0; row < 16; ++row)
                    store<uint16_t>(scales + row * 2, static_cast<uint16_t>(tiny ? numbers.below(4) : random_half(numbers)));
            }
        }
    }
    const uint32_t padded = padded_columns(columns);
    float* f32 = memory.take<float>(size_t{tokens} * columns);
    int8_t* values = memory.take<int8_t>(size_t{tokens} * padded);
    float* scales = memory.take<float>(size_t{tokens} * padded / 32);
    int32_t* sums = memory.take<int32_t>(size_t{tokens} * padded / 32);
    for (uint32_t t = 0; t < tokens; ++t) {
        // One token in four is spread otherwise: those with tiny scales go another way than their neighbours.
        // Products of the smallest activation scales with the smallest f16 are subnormal.
        fill(numbers, numbers.below(4) == 0 ? Spread::usual : spread, f32 + size_t{t} * columns, columns, -94);
        select_kernels("scalar")->quantize(f32 + size_t{t} * columns, columns, values + size_t{t} * padded,
                                           scales + size_t{t} * (padded / 32), sums + size_t{t} * (padded / 32));
    }
    return {{data, format, rows, columns, group, stride}, {f32, values, scales, sums, columns, padded}, f32, tokens};
}

bool matmul_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar, TensorFormat format) {
    const uint32_t rows = 1 + numbers.below(40);
    const uint32_t columns = 1 + numbers.below(numbers.below(2) == 0 ? 300 : 32);
    const uint32_t group = format == TensorFormat::f32_packed ? 0 : 32u << numbers.below(3);
    const Matrix matrix = random_matrix(numbers, format, rows, columns, group, 1 + numbers.below(11), spread);
    const size_t count = size_t{matrix.tokens} * rows;
    float* expected = memory.take<float>(count);
    float* result = memory.take<float>(count);
    const uint32_t split = numbers.below(block_count(rows) + 1);
    scalar.matmul(matrix.packed, matrix.x, matrix.tokens, expected, rows, 0, block_count(rows));
    table.matmul(matrix.packed, matrix.x, matrix.tokens, result, rows, 0, split);
    table.matmul(matrix.packed, matrix.x, matrix.tokens, result, rows, split, block_count(rows));
    return same(expected, result, count);
}

bool int4_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    return matmul_same(numbers, spread, table, scalar, TensorFormat::int4_packed);
}
bool int8_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    return matmul_same(numbers, spread, table, scalar, TensorFormat::int8_packed);
}
bool f32_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    return matmul_same(numbers, spread, table, scalar, TensorFormat::f32_packed);
}

// `count` numbers of some spread, twice: for a kernel that works in place.
struct Twice {
    float *a, *b;
};
Twice twice(Numbers& numbers, Spread spread, uint32_t count, int32_t edge = -100) {
    const Twice both = {memory.take<float>(count), memory.take<float>(count)};
    fill(numbers, spread, both.a, count, edge);
    memcpy(both.b, both.a, count * sizeof(float));
    return both;
}

Spread any_spread(Numbers& numbers) { return static_cast<Spread>(numbers.below(static_cast<uint32_t>(Spread::count))); }

bool quantize_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t count = 1 + numbers.below(300);
    const uint32_t padded = padded_columns(count);
    const Twice x = twice(numbers, spread, count);
    int8_t* values[2] = {memory.take<int8_t>(padded), memory.take<int8_t>(padded)};
    float* scales[2] = {memory.take<float>(padded / 32), memory.take<float>(padded / 32)};
    int32_t* sums[2] = {memory.take<int32_t>(padded / 32), memory.take<int32_t>(padded / 32)};
    scalar.quantize(x.a, count, values[0], scales[0], sums[0]);
    table.quantize(x.b, count, values[1], scales[1], sums[1]);
    return same_bytes(values[0], values[1], padded) && same(scales[0], scales[1], padded / 32) &&
           same_bytes(sums[0], sums[1], padded / 8);
}

bool heads_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t count = 2 * (1 + numbers.below(80));
    const Twice x = twice(numbers, spread, count);
    int16_t* wide[2] = {memory.take<int16_t>(count), memory.take<int16_t>(count)};
    int8_t* narrow[2] = {memory.take<int8_t>(count), memory.take<int8_t>(count)};
    uint8_t* packed[2] = {memory.take<uint8_t>(count), memory.take<uint8_t>(count)};
    float scales[2][2];
    uint32_t halves[2];
    for (uint32_t i = 0; i < 2; ++i) {
        const KernelTable& kernels = i == 0 ? scalar : table;
        kernels.quantize_query(x.a, count, wide[i], &scales[i][0]);
        kernels.quantize_head(x.a, count, narrow[i], &scales[i][1]);
        kernels.quantize_head_int4(x.a, count, packed[i], &halves[i]);
    }
    scalar.rotate(x.a, count);
    table.rotate(x.b, count);
    return same(x.a, x.b, count) && same_bytes(wide[0], wide[1], count * 2) && same_bytes(narrow[0], narrow[1], count) &&
           same_bytes(packed[0], packed[1], count / 2) && same(scales[0], scales[1], 2) && halves[0] == halves[1];
}

bool rms_norm_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t count = numbers.below(2) == 0 ? 16 * (1 + numbers.below(18)) : 1 + numbers.below(300);
    const Twice x = twice(numbers, spread, count, -60);  // whose squares are subnormal
    const Twice weight = twice(numbers, any_spread(numbers), count);
    const float epsilon = numbers.below(4) == 0 ? 0x1p-120f : 1e-5f;
    float* out[2] = {memory.take<float>(count), memory.take<float>(count)};
    scalar.rms_norm(x.a, weight.a, epsilon, count, out[0]);
    table.rms_norm(x.a, weight.a, epsilon, count, out[1]);
    return same(out[0], out[1], count);
}

bool add_rope_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t half = 1 + numbers.below(70);
    const Twice x = twice(numbers, spread, 2 * half);
    const Twice y = twice(numbers, any_spread(numbers), 2 * half);
    scalar.add(x.a, y.a, 2 * half);
    table.add(x.b, y.a, 2 * half);
    scalar.rope(x.a, y.a, y.a + half, 2 * half);
    table.rope(x.b, y.a, y.a + half, 2 * half);
    return same(x.a, x.b, 2 * half);
}

bool swiglu_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t count = 1 + numbers.below(300);
    const Twice gate = twice(numbers, spread, count);
    const Twice up = twice(numbers, any_spread(numbers), count);
    float* out[2] = {memory.take<float>(count), memory.take<float>(count)};
    scalar.swiglu(gate.a, up.a, count, out[0]);
    table.swiglu(gate.a, up.a, count, out[1]);
    return same(out[0], out[1], count);
}

bool softmax_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t count = 1 + numbers.below(300);
    const Twice x = twice(numbers, spread, count);
    const uint32_t lane = numbers.below(32);
    scalar.softmax(x.a, lane, count);
    table.softmax(x.b, lane, count);
    return same(x.a, x.b, count);
}

// All formats of the KV cache: what both tables make of the same keys, values and probabilities.
bool attention_same(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar) {
    const uint32_t dim = 2 * (1 + numbers.below(48));
    const uint32_t count = 1 + numbers.below(20);
    const uint32_t stride = dim + 2 * numbers.below(3);
    int16_t* query = memory.take<int16_t>(dim);
    for (uint32_t d = 0; d < dim; ++d) query[d] = static_cast<int16_t>(numbers.bits());
    uint8_t* cached = memory.take<uint8_t>(size_t{count} * stride * 2);
    for (size_t i = 0; i < size_t{count} * stride; ++i) {
        cached[2 * i] = static_cast<uint8_t>(numbers.bits());
        cached[2 * i + 1] = static_cast<uint8_t>(numbers.below(0x7c) | numbers.below(2) << 7);  // as f16: finite
    }
    const int8_t* bytes = reinterpret_cast<const int8_t*>(cached);
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(cached);
    uint32_t* half_scales = memory.take<uint32_t>(count);
    for (uint32_t i = 0; i < count; ++i) half_scales[i] = 0x3c003c00u + (numbers.below(256) << 16) + numbers.below(256);
    const Twice scales = twice(numbers, any_spread(numbers), count);
    const Twice probabilities = twice(numbers, spread, count);
    const Twice q = twice(numbers, spread, dim);
    const Twice wide = twice(numbers, spread, count * stride);
    const Twice out = twice(numbers, numbers.below(2) == 0 ? Spread::zeros : spread, dim);
    float* scores[2] = {memory.take<float>(count * 4), memory.take<float>(count * 4)};
    float* outs[2] = {out.a, out.b};
    bool equal = true;
    for (uint32_t i = 0; i < 2; ++i) {
        const KernelTable& kernels = i == 0 ? scalar : table;
        AttentionQuery ask{q.a, query, 0.01f, scores[i], nullptr};
        kernels.attention_scores_int8(&ask, 1, bytes, stride, scales.a, 1, dim, count);
        ask.scores += count;
        kernels.attention_scores_int4(&ask, 1, cached, stride, half_scales, 1, dim, count);
        ask.scores += count;
        kernels.attention_scores_f16(&ask, 1, halves, stride, dim, count);
        ask.scores += count;
        kernels.attention_scores_f32(&ask, 1, wide.a, stride, dim, count);
        ask.scores = probabilities.a;
        ask.out = outs[i];
        kernels.attention_output_int8(&ask, 1, bytes, stride, scales.a, 1, dim, count);
    }
    equal = same(scores[0], scores[1], count * 4) && same(outs[0], outs[1], dim);
    for (uint32_t i = 0; i < 2; ++i) {
        const KernelTable& kernels = i == 0 ? scalar : table;
        const AttentionQuery ask{q.a, query, 0.01f, probabilities.a, outs[i]};
        kernels.attention_output_int4(&ask, 1, cached, stride, half_scales, 1, dim, count);
        kernels.attention_output_f16(&ask, 1, halves, stride, dim, count);
        kernels.attention_output_f32(&ask, 1, wide.a, stride, dim, count);
    }
    return equal && same(outs[0], outs[1], dim);
}

struct Test {
    const char* name;
    bool (*same)(Numbers& numbers, Spread spread, const KernelTable& table, const KernelTable& scalar);
};
const Test tests[] = {
    {"matmul-int4", int4_same}, {"matmul-int8", int8_same},    {"matmul-f32", f32_same},    {"quantize", quantize_same},
    {"heads", heads_same},      {"rms_norm", rms_norm_same},   {"add-rope", add_rope_same}, {"swiglu", swiglu_same},
    {"softmax", softmax_same},  {"attention", attention_same},
};
constexpr uint32_t rounds = 140;

void line(const KernelTable& table, const char* kernel, const char* what, uint64_t number) {
    say(table.name);
    say(" ");
    say(kernel);
    say(" ");
    say(what);
    say(" ");
    say_number(number);
    say("\n");
}

void compare(const KernelTable& table, const KernelTable& scalar) {
    for (const Test& test : tests) {
        Numbers numbers(7);
        uint32_t round = 0;
        for (; round < rounds; ++round) {
            memory.begin();
            if (!test.same(numbers, static_cast<Spread>(round % static_cast<uint32_t>(Spread::count)), table, scalar)) break;
        }
        line(table, test.name, round == rounds ? "same" : "differs in round", round);
    }
}

// Calls `work` often enough for a clock of microseconds, and says what one of its `units` takes.
template <typename Work>
void cost(const KernelTable& table, const char* kernel, uint32_t units, Work work) {
    constexpr uint32_t times = 16;
    work();
    const uint64_t before = board_microseconds();
    for (uint32_t i = 0; i < times; ++i) work();
    line(table, kernel, "cost", (board_microseconds() - before) * 1000 / (uint64_t{times} * units));
}

void costs(const KernelTable& table) {
    const bool two[2] = {true, false};
    Numbers numbers(8);
    for (const bool int4 : two) {
        const TensorFormat format = int4 ? TensorFormat::int4_packed : TensorFormat::int8_packed;
        memory.begin();
        const Matrix matrix = random_matrix(numbers, format, 64, 512, 32, 8, Spread::usual);
        float* y = memory.take<float>(64 * 8);
        // Of 32 columns of 16 rows, and of these for one of eight tokens.
        cost(table, int4 ? "int4-step" : "int8-step", 64, [&] { table.matmul(matrix.packed, matrix.x, 1, y, 64, 0, 4); });
        cost(table, int4 ? "int4-step-of-8" : "int8-step-of-8", 512,
             [&] { table.matmul(matrix.packed, matrix.x, 8, y, 64, 0, 4); });
    }
    memory.begin();
    constexpr uint32_t count = 1024;
    float* x = memory.take<float>(count);
    float* y = memory.take<float>(count);
    float* out = memory.take<float>(count);
    fill(numbers, Spread::usual, x, count);
    fill(numbers, Spread::usual, y, count);
    int8_t* values = memory.take<int8_t>(count * 64);
    int32_t* sums = memory.take<int32_t>(count / 32);
    for (uint32_t i = 0; i < count * 64; ++i) values[i] = static_cast<int8_t>(numbers.bits());
    // Of 16 numbers each.
    cost(table, "rms_norm-16", count / 16, [&] { table.rms_norm(x, y, 1e-5f, count, out); });
    cost(table, "swiglu-16", count / 16, [&] { table.swiglu(x, y, count, out); });
    cost(table, "quantize-16", count / 16, [&] { table.quantize(x, count, values, out, sums); });
    cost(table, "softmax-16", count / 16, [&] { table.softmax(x, 0, count); });
    // Of a position of 64 dimensions.
    int16_t query[64];
    float scale;
    table.quantize_query(x, 64, query, &scale);
    for (uint32_t i = 0; i < 256; ++i) y[i] = 0.001f * static_cast<float>(i + 1);
    const AttentionQuery keys{x, query, scale, out, nullptr};
    cost(table, "scores-int8-64", 256, [&] { table.attention_scores_int8(&keys, 1, values, 64, y, 1, 64, 256); });
    memset(out, 0, 64 * sizeof(float));
    const AttentionQuery weighed{x, query, scale, y, out};
    cost(table, "output-int8-64", 256, [&] { table.attention_output_int8(&weighed, 1, values, 64, y, 1, 64, 256); });
}

}  // namespace

int main() {
    board_start();
    const KernelTable* const* built = nullptr;
    const size_t count = kernel_tables(&built);
    const KernelTable& scalar = *built[count - 1];
    say("best ");
    say(select_kernels(nullptr)->name);
    say("\n");
    for (size_t i = 0; i < count; ++i) {
        if (select_kernels(built[i]->name) == nullptr) continue;  // this processor cannot
        if (built[i] != &scalar) compare(*built[i], scalar);
        costs(*built[i]);
    }
    say("end\n");
    return 0;
}
