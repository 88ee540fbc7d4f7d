#include "tools/bench/ceilings.h"

#include <cstring>

#include "core/model/reader.h"
#include "core/session/model.h"

namespace linnet {

namespace {

// Of one pass. What a shared machine gives for a few milliseconds alone, nothing that takes longer can reach.
constexpr uint64_t least_microseconds = 30'000;
constexpr uint64_t least_bytes = uint64_t{1} << 20;  // to be read in a pass
// Of weights for each thread: with the activations it stays in a first or second-level cache.
constexpr uint64_t cache_bytes = 96 << 10;
constexpr uint32_t most_columns = 2048;

constexpr size_t align_up_64(size_t bytes) { return (bytes + 63) / 64 * 64; }

uint64_t matrix_macs(const TensorPlace& place) { return uint64_t{place.rows} * place.columns; }

double per_second(uint64_t what, uint64_t microseconds) {
    return microseconds == 0 ? 0 : static_cast<double>(what) * 1e6 / static_cast<double>(microseconds);
}

// Vectors as wide as every processor of the family that has fast kernels has them: wider ones read no faster.
#if defined(__x86_64__)
#define LINNET_READ_TARGET __attribute__((target("avx2"), noinline))
typedef uint64_t ReadVector __attribute__((vector_size(32)));
#else
#define LINNET_READ_TARGET __attribute__((noinline))
typedef uint64_t ReadVector __attribute__((vector_size(16)));
#endif

// Two places at a time where `streams` is 2: what the processor fetches ahead ends at a page's end.
template <int streams>
LINNET_READ_TARGET uint64_t read_vectors(const uint8_t* from, size_t bytes) {
    constexpr size_t turn = 4;
    const size_t part = bytes / sizeof(ReadVector) / streams / turn * turn;
    const auto* at = reinterpret_cast<const ReadVector*>(from);
    ReadVector sums[streams][turn] = {};
    for (size_t i = 0; i < part; i += turn) {
        for (size_t stream = 0; stream < streams; ++stream) {
            for (size_t k = 0; k < turn; ++k) sums[stream][k] ^= at[stream * part + i + k];
        }
    }
    ReadVector sum = {};
    for (const auto& stream : sums) {
        for (const ReadVector& one : stream) sum ^= one;
    }
    return sum[0] ^ sum[1];
}

// For a processor that has not even those.
[[maybe_unused]] __attribute__((noinline)) uint64_t read_words(const uint8_t* from, size_t bytes) {
    const auto* at = reinterpret_cast<const uint64_t*>(from);
    uint64_t sums[8] = {};
    for (size_t i = 0; i + 8 <= bytes / 8; i += 8) {
        for (size_t k = 0; k < 8; ++k) sums[k] ^= at[i + k];
    }
    uint64_t sum = 0;
    for (const uint64_t one : sums) sum ^= one;
    return sum;
}

bool has_vectors() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") != 0;
#else
    return true;
#endif
}

}  // namespace

Status read_work(const linnet_platform& platform, ModelWork& work, Error& error) {
    FileHeader header;
    ModelLayout layout{};
    if (Status status = read_header(platform, header, error); status != Status::ok) return status;
    work = {};
    const EachLayer each = [](void* context, const LayerPlaces& layer) {
        ModelWork& sum = *static_cast<ModelWork*>(context);
        for (const TensorPlace* place : {&layer.qkv, &layer.attention_output, &layer.gate_up, &layer.down}) {
            sum.layer_macs += matrix_macs(*place);
        }
        sum.format = layer.gate_up.format;
        sum.group = layer.gate_up.group;
        sum.columns = layer.gate_up.columns;
    };
    if (Status status = read_layout(platform, header, layout, nullptr, error, each, &work); status != Status::ok) return status;
    work.output_macs = matrix_macs(layout.output);
    work.context = header.config.context;
    work.window_keys = header.config.window_keys;
    return Status::ok;
}

// ---- reading -----------------------------------------------------------------------------------------------------------

bool ReadCeiling::use(const linnet_model& model) {
    const WeightRun weights = weights_in_memory(model);
    if (weights.bytes < least_bytes) return false;
    memory_ = weights.first;
    bytes_ = static_cast<size_t>(weights.bytes);
    of_weights_ = true;
    return true;
}

size_t ReadCeiling::bytes_for(uint64_t weight_bytes_per_token) {
    const uint64_t bytes = weight_bytes_per_token < least_bytes ? least_bytes : weight_bytes_per_token;
    return static_cast<size_t>(bytes < most_bytes ? bytes : most_bytes) / 65536 * 65536;
}

void ReadCeiling::create(void* memory, size_t bytes) {
    // Every page is made, or the system's one page of zeros would be read from the cache.
    memset(memory, 0x5a, bytes);
    memory_ = static_cast<const uint8_t*>(memory);
    bytes_ = bytes;
}

void ReadCeiling::read(uint32_t index) const {
    const size_t piece = bytes_ / pieces_ / 1024 * 1024;
    const uint8_t* from = memory_ + piece * index;
    uint64_t sum = 0;
    if (!has_vectors()) {
        sum = read_words(from, piece);
    } else {
        sum = two_streams_ ? read_vectors<2>(from, piece) : read_vectors<1>(from, piece);
    }
    // A use that the compiler cannot see through.
    asm volatile("" : : "r"(sum));
}

double ReadCeiling::measure(const linnet_platform& platform, uint32_t passes) {
    const uint32_t threads = platform.threads > 1 ? platform.threads : 1;
    // Small pieces, so that a core which somebody else has taken holds up none of the others for long.
    pieces_ = threads * 8;
    const linnet_task task = [](void* self, uint32_t index) { static_cast<const ReadCeiling*>(self)->read(index); };
    double best = 0;
    for (uint32_t pass = 0; pass < 2 * passes; ++pass) {
        two_streams_ = pass % 2 == 1;
        uint64_t read_bytes = 0;
        uint64_t spent = 0;
        const uint64_t start = platform.ticks(platform.context);
        do {
            if (platform.parallel != nullptr) {
                platform.parallel(platform.context, task, this, pieces_);
            } else {
                for (uint32_t i = 0; i < pieces_; ++i) read(i);
            }
            read_bytes += bytes_ / pieces_ / 1024 * 1024 * pieces_;
            spent = platform.ticks(platform.context) - start;
        } while (spent < least_microseconds);
        const double rate = per_second(read_bytes, spent);
        if (rate > best) best = rate;
    }
    return best;
}

// ---- multiplying -------------------------------------------------------------------------------------------------------

namespace {

struct DotShape {
    uint32_t columns;
    uint32_t blocks;  // of 16 rows, for each thread
    uint64_t stride;
    size_t weights, values, f32, sums, outputs;  // bytes of each array
};

DotShape dot_shape(const ModelWork& work, uint32_t threads) {
    DotShape shape{};
    shape.columns = work.columns < most_columns ? padded_columns(work.columns) : most_columns;
    shape.stride = block_stride(work.format, shape.columns, work.group);
    shape.blocks = static_cast<uint32_t>(cache_bytes / shape.stride);
    // Not fewer than the kernels take together.
    if (shape.blocks < 4) shape.blocks = 4;
    constexpr size_t many = DotCeiling::many_tokens;
    shape.weights = align_up_64(size_t{threads} * shape.blocks * static_cast<size_t>(shape.stride));
    shape.values = align_up_64(many * shape.columns);
    shape.f32 = many * shape.columns * sizeof(float);
    shape.sums = align_up_64(many * shape.columns / block_columns * 4);
    shape.outputs = size_t{threads} * many * shape.blocks * rows_in_block * sizeof(float);
    return shape;
}

}  // namespace

size_t DotCeiling::bytes_for(const ModelWork& work, uint32_t threads) {
    const DotShape shape = dot_shape(work, threads);
    return shape.weights + shape.values + shape.f32 + 2 * shape.sums + shape.outputs;
}

void DotCeiling::create(const KernelTable& table, const ModelWork& work, uint32_t threads, void* memory) {
    const DotShape shape = dot_shape(work, threads);
    table_ = &table;
    threads_ = threads;
    blocks_ = shape.blocks;
    auto* at = static_cast<uint8_t*>(memory);
    const auto take = [&](size_t bytes) {
        uint8_t* taken = at;
        at += bytes;
        return taken;
    };
    weights_ = take(shape.weights);
    memset(weights_, 0x2b, shape.weights);  // as scales, finite and normal numbers in every format
    auto* values = reinterpret_cast<int8_t*>(take(shape.values));
    auto* f32 = reinterpret_cast<float*>(take(shape.f32));
    auto* scales = reinterpret_cast<float*>(take(shape.sums));
    auto* sums = reinterpret_cast<int32_t*>(take(shape.sums));
    y_ = reinterpret_cast<float*>(take(shape.outputs));
    memset(y_, 0, shape.outputs);
    const size_t count = size_t{many_tokens} * shape.columns;
    for (size_t i = 0; i < count; ++i) {
        values[i] = 3;
        f32[i] = 0.5f;
    }
    for (size_t i = 0; i < count / block_columns; ++i) {
        scales[i] = 0.01f;
        sums[i] = 3 * static_cast<int32_t>(block_columns);
    }
    x_ = {f32, values, scales, sums, shape.columns, shape.columns};
    matrix_ = {nullptr, work.format, blocks_ * rows_in_block, shape.columns, work.group, shape.stride};
    calibrated_[0] = calibrated_[1] = 0;
}

void DotCeiling::multiply(uint32_t index) const {
    PackedMatrix matrix = matrix_;
    matrix.data = weights_ + size_t{index} * blocks_ * static_cast<size_t>(matrix_.stride);
    const size_t rows = size_t{blocks_} * rows_in_block;
    float* y = y_ + index * many_tokens * rows;
    for (uint32_t i = 0; i < repeats_; ++i) table_->matmul(matrix, x_, tokens_, y, rows, 0, blocks_);
}

double DotCeiling::measure(const linnet_platform& platform, uint32_t tokens, uint32_t passes) {
    tokens_ = tokens;
    uint32_t& repeats = calibrated_[tokens == 1 ? 0 : 1];
    const linnet_task task = [](void* self, uint32_t index) { static_cast<const DotCeiling*>(self)->multiply(index); };
    const auto once = [&] {
        const uint64_t start = platform.ticks(platform.context);
        if (platform.parallel != nullptr) {
            platform.parallel(platform.context, task, this, threads_);
        } else {
            for (uint32_t i = 0; i < threads_; ++i) multiply(i);
        }
        return platform.ticks(platform.context) - start;
    };
    if (repeats == 0) {
        for (repeats_ = 1; once() < least_microseconds && repeats_ < (1u << 20); repeats_ *= 2) {}
        repeats = repeats_;
    }
    repeats_ = repeats;
    const uint64_t macs = uint64_t{threads_} * repeats * matrix_.rows * matrix_.columns * tokens;
    double best = 0;
    for (uint32_t pass = 0; pass < passes; ++pass) {
        const double rate = per_second(macs, once());
        if (rate > best) best = rate;
    }
    return best;
}

}  // namespace linnet
