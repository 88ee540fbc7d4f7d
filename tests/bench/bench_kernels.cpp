// How fast the matrix and attention kernels are: linnet_bench_kernels [rounds] [attention]
//
// For each table, format and shape: one token with the weights in DRAM (GB/s of weights, share of this machine's read
// ceiling measured between the same rounds) and in the cache, and 128 tokens (GMAC/s). One thread. Rounds are interleaved
// over everything that is compared, and medians are printed, since other work may share the machine.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "core/kernels/kernels.h"

using namespace linnet;

namespace {

constexpr size_t memory_bytes = size_t{512} << 20;  // well above any cache
constexpr size_t pass_bytes = size_t{24} << 20;     // weights read in one measurement
constexpr size_t cache_bytes = size_t{384} << 10;   // of weights: stays in the second-level cache
constexpr uint32_t prefill_tokens = 128;

// This thread's own time: what other work on the machine takes in between does not count.
double now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

uint8_t* huge_memory(size_t bytes) {
    constexpr size_t huge = size_t{2} << 20;
    void* at = mmap(nullptr, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        std::perror("mmap");
        std::exit(1);
    }
    uint8_t* aligned = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(at) + huge - 1) / huge * huge);
    madvise(aligned, bytes, MADV_HUGEPAGE);
    return aligned;
}

// Reads 256 bytes a turn into eight sums: as fast as one thread reads.
#if defined(__x86_64__)
__attribute__((target("avx2")))
#endif
uint64_t
read_all(const uint8_t* from, size_t bytes) {
    typedef uint64_t Word __attribute__((vector_size(32)));
    Word sum[8] = {};
    const Word* words = reinterpret_cast<const Word*>(from);
    for (size_t i = 0; i + 8 <= bytes / sizeof(Word); i += 8) {
        for (size_t k = 0; k < 8; ++k) sum[k] ^= words[i + k];
    }
    for (size_t k = 1; k < 8; ++k) sum[0] ^= sum[k];
    return sum[0][0] ^ sum[0][1] ^ sum[0][2] ^ sum[0][3];
}

struct Shape {
    uint32_t rows, columns;
};
constexpr Shape shapes[] = {{2048, 2048}, {2048, 5632}, {3072, 8192}, {9216, 3072}};

struct Case {
    const KernelTable* table;
    TensorFormat format;
    uint32_t group;
    Shape shape;
    std::vector<double> dram, cache, prefill;  // GB/s, GB/s, GMAC/s
};

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

struct Memory {
    uint8_t* weights;
    uint64_t state = 1;
    // A piece anywhere: in turn, each case would come upon the same pages in every round, and not all pages are equal.
    const uint8_t* next(size_t bytes) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return weights + (state >> 33) % ((memory_bytes - bytes) / 4096) * 4096;
    }
};

struct Inputs {
    std::vector<float> f32;
    std::vector<int8_t> values;
    std::vector<float> scales;
    std::vector<int32_t> sums;
    std::vector<float> y;
    Activations activations;
};

void measure(Case& c, Memory& memory, Inputs& inputs) {
    const uint64_t stride = block_stride(c.format, c.shape.columns, c.group);
    PackedMatrix matrix{nullptr, c.format, c.shape.rows, c.shape.columns, c.group, stride};
    const uint32_t blocks = block_count(c.shape.rows);
    const uint64_t bytes = stride * blocks;
    inputs.activations.padded = padded_columns(c.shape.columns);
    inputs.activations.f32_stride = c.shape.columns;

    const int matrices = static_cast<int>(std::max<uint64_t>(1, pass_bytes / bytes));
    const uint8_t* from = memory.next(bytes * static_cast<uint64_t>(matrices));
    double begin = now();
    for (int i = 0; i < matrices; ++i) {
        matrix.data = from + static_cast<uint64_t>(i) * bytes;
        c.table->matmul(matrix, inputs.activations, 1, inputs.y.data(), c.shape.rows, 0, blocks);
    }
    c.dram.push_back(static_cast<double>(bytes) * matrices / (now() - begin) * 1e-9);

    const uint32_t few = static_cast<uint32_t>(std::max<uint64_t>(1, cache_bytes / stride));
    c.table->matmul(matrix, inputs.activations, 1, inputs.y.data(), c.shape.rows, 0, few);
    const int repeats = 16;
    begin = now();
    for (int i = 0; i < repeats; ++i) c.table->matmul(matrix, inputs.activations, 1, inputs.y.data(), c.shape.rows, 0, few);
    c.cache.push_back(static_cast<double>(stride) * few * repeats / (now() - begin) * 1e-9);

    const uint32_t part = std::min(blocks, 64u);  // a piece of the rows, as a thread gets one
    begin = now();
    c.table->matmul(matrix, inputs.activations, prefill_tokens, inputs.y.data(), c.shape.rows, 0, part);
    c.prefill.push_back(16.0 * part * c.shape.columns * prefill_tokens / (now() - begin) * 1e-9);
}

// Attention over a conversation's keys and values in each format, by one query and by several that share them: nanoseconds a
// position and query, out of the cache (one head again and again) and out of memory (one head after the other).
struct AttentionCase {
    const KernelTable* table;
    const char* format;
    uint32_t row_bytes, scale_bytes;
    uint32_t queries;
    std::vector<double> cache, dram;
};

constexpr uint32_t attention_dim = 96;
constexpr uint32_t attention_positions = 2048;

void attend(const AttentionCase& c, const uint8_t* at, const AttentionQuery* queries) {
    const uint8_t* values = at + size_t{attention_positions} * c.row_bytes;
    const uint8_t* scales = values + size_t{attention_positions} * c.row_bytes;
    const KernelTable& table = *c.table;
    constexpr uint32_t dim = attention_dim;
    constexpr uint32_t count = attention_positions;
    const float* floats = reinterpret_cast<const float*>(scales);
    const uint32_t* words = reinterpret_cast<const uint32_t*>(scales);
    switch (c.row_bytes) {
        case dim / 2:
            table.attention_scores_int4(queries, c.queries, at, dim / 2, words, 1, dim, count);
            table.attention_output_int4(queries, c.queries, values, dim / 2, words, 1, dim, count);
            break;
        case dim:
            table.attention_scores_int8(queries, c.queries, reinterpret_cast<const int8_t*>(at), dim, floats, 1, dim, count);
            table.attention_output_int8(queries, c.queries, reinterpret_cast<const int8_t*>(values), dim, floats, 1, dim,
                                        count);
            break;
        default:
            table.attention_scores_f16(queries, c.queries, reinterpret_cast<const uint16_t*>(at), dim, dim, count);
            table.attention_output_f16(queries, c.queries, reinterpret_cast<const uint16_t*>(values), dim, dim, count);
    }
}

void bench_attention(Memory& memory, int rounds) {
    std::vector<AttentionCase> cases;
    const KernelTable* const* built = nullptr;
    const size_t count = kernel_tables(&built);
    for (size_t i = 0; i < count; ++i) {
        if (select_kernels(built[i]->name) == nullptr) continue;
        for (uint32_t queries = 1; queries <= built[i]->attention_queries; queries *= 2) {
            cases.push_back({built[i], "int4", attention_dim / 2, 4, queries, {}, {}});
            cases.push_back({built[i], "int8", attention_dim, 4, queries, {}, {}});
            cases.push_back({built[i], "f16", attention_dim * 2, 0, queries, {}, {}});
        }
    }
    std::vector<float> q(attention_dim, 0.5f), scores(size_t{most_attention_queries} * attention_positions),
        out(size_t{most_attention_queries} * attention_dim);
    std::vector<int16_t> query(attention_dim, 1234);
    AttentionQuery queries[most_attention_queries];
    for (uint32_t n = 0; n < most_attention_queries; ++n) {
        queries[n] = {q.data(), query.data(), 1e-6f, scores.data() + size_t{n} * attention_positions,
                      out.data() + size_t{n} * attention_dim};
    }
    constexpr int heads = 32;
    double turning = 0;
    for (int round = 0; round < rounds; ++round) {
        for (AttentionCase& c : cases) {
            const size_t head_bytes = attention_positions * size_t{2 * c.row_bytes + c.scale_bytes};
            const uint8_t* from = memory.next(head_bytes * heads);
            const double times = static_cast<double>(heads) * attention_positions * c.queries;
            double begin = now();
            for (int head = 0; head < heads; ++head) attend(c, from + static_cast<size_t>(head) * head_bytes, queries);
            c.dram.push_back((now() - begin) / times * 1e9);
            begin = now();
            for (int head = 0; head < heads; ++head) attend(c, from, queries);
            c.cache.push_back((now() - begin) / times * 1e9);
        }
        const double begin = now();
        for (int i = 0; i < 1000; ++i) cases[0].table->rotate(q.data(), attention_dim);
        turning += (now() - begin) / 1000 * 1e9 / rounds;
    }
    std::printf("attention, %u dimensions, %u positions, keys and values, nanoseconds a position and query\n", attention_dim,
                attention_positions);
    std::printf("%-8s %-6s %8s %10s %10s %10s\n", "table", "format", "queries", "memory", "GB/s", "cache");
    for (const AttentionCase& c : cases) {
        const double bytes = (2.0 * c.row_bytes + 2.0 * c.scale_bytes) / c.queries;
        std::printf("%-8s %-6s %8u %10.1f %10.1f %10.1f\n", c.table->name, c.format, c.queries, median(c.dram),
                    bytes / median(c.dram), median(c.cache));
    }
    std::printf("%s: turning a head takes %.0f ns\n", cases[0].table->name, turning);
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
    Memory memory{huge_memory(memory_bytes)};
    uint64_t state = 1;
    for (size_t i = 0; i < memory_bytes; i += 8) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        // Scales stand among these bytes: every 16-bit word is a finite and normal number, as f16 and as f32's upper half
        // (subnormal ones are slow on some processors, and are not what a model is made of).
        const uint64_t word = ((state ^ (state >> 29)) & 0x1fff1fff1fff1fffull) | 0x2000200020002000ull;
        memcpy(memory.weights + i, &word, 8);
    }
    bench_attention(memory, rounds);
    if (argc > 2) return 0;
    constexpr uint32_t widest = 8192;
    Inputs inputs;
    inputs.f32.resize(size_t{prefill_tokens} * widest, 0.5f);
    inputs.values.resize(size_t{prefill_tokens} * widest);
    for (size_t i = 0; i < inputs.values.size(); ++i) inputs.values[i] = static_cast<int8_t>(i * 37 % 255 - 127);
    inputs.scales.resize(inputs.values.size() / 32, 0.01f);
    inputs.sums.resize(inputs.values.size() / 32, 100);
    inputs.y.resize(size_t{prefill_tokens} * 9216);
    inputs.activations = {inputs.f32.data(), inputs.values.data(), inputs.scales.data(), inputs.sums.data(), widest, widest};

    const KernelTable* const* built = nullptr;
    const size_t count = kernel_tables(&built);
    std::vector<Case> cases;
    for (const Shape& shape : shapes) {
        for (const auto& [format, group] : {std::pair{TensorFormat::int4_packed, 32u},
                                            {TensorFormat::int4_packed, 128u},
                                            {TensorFormat::int8_packed, 32u},
                                            {TensorFormat::f32_packed, 0u}}) {
            for (size_t i = 0; i < count; ++i) {
                if (select_kernels(built[i]->name) == nullptr) continue;
                if (i + 1 == count && shape.columns != 2048) continue;  // scalar: one shape says enough
                cases.push_back({built[i], format, group, shape, {}, {}, {}});
            }
        }
    }
    std::vector<double> ceiling;
    uint64_t sink = 0;
    for (int round = 0; round < rounds; ++round) {
        for (size_t i = 0; i < cases.size(); ++i) {
            if (i % 8 == 0) {
                const uint8_t* from = memory.next(2 * pass_bytes);
                const double begin = now();
                sink ^= read_all(from, 2 * pass_bytes);
                ceiling.push_back(2.0 * pass_bytes / (now() - begin) * 1e-9);
            }
            measure(cases[i], memory, inputs);
        }
    }
    std::printf("read ceiling, one thread: median %.1f GB/s, best %.1f GB/s (%llx)\n", median(ceiling),
                *std::max_element(ceiling.begin(), ceiling.end()), static_cast<unsigned long long>(sink & 15));
    std::printf("%-8s %-9s %-11s %10s %8s %10s %12s\n", "table", "format", "shape", "DRAM GB/s", "share", "cache GB/s",
                "128t GMAC/s");
    for (const Case& c : cases) {
        const std::string format = c.format == TensorFormat::f32_packed    ? "f32"
                                   : c.format == TensorFormat::int8_packed ? "int8/" + std::to_string(c.group)
                                                                           : "int4/" + std::to_string(c.group);
        const std::string shape = std::to_string(c.shape.rows) + "x" + std::to_string(c.shape.columns);
        std::printf("%-8s %-9s %-11s %10.1f %7.0f%% %10.1f %12.1f\n", c.table->name, format.c_str(), shape.c_str(),
                    median(c.dram), 100 * median(c.dram) / median(ceiling), median(c.cache), median(c.prefill));
    }
    return 0;
}
