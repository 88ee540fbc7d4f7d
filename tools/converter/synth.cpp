// Random weights of a named shape, drawn as they stand in the file: packed levels and scales, at the disk's speed.
//
// Each block's numbers follow from the seed, the tensor and the block alone, by integers and a few exact float operations, so that
// a shape and a seed are the same file everywhere. Levels are uniform over all that a nibble or byte can hold; their mean is half a
// level below zero, which random signs of the scales undo.
#include <cmath>

#include "tools/converter/container_writer.h"
#include "tools/converter/convert.h"
#include "tools/converter/synth_shapes.h"

namespace linnet {

namespace {

// SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix {
    uint64_t state;
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    // From [0, 1), a multiple of 2^-16.
    float next_unit() { return static_cast<float>(next() >> 48) * 0x1p-16f; }
};

// Root of the mean square of levels drawn uniformly from -8..7 and -128..127.
constexpr double int4_level = 4.637;
constexpr double int8_level = 73.9;

// Spread of a role's weights: what keeps activations near 1 all the way. What adds to the residual stream is smaller the more
// layers do so.
double spread_of(TensorRole role, uint32_t columns, uint32_t layers) {
    const double unit = 1 / std::sqrt(static_cast<double>(columns));
    switch (role) {
        case TensorRole::embedding: return 1;
        case TensorRole::attention_output:
        case TensorRole::down: return unit / std::sqrt(2.0 * layers);
        case TensorRole::output: return 2 * unit;  // some tokens stand out
        default: return unit;
    }
}

class SynthFiller : public BlockFiller {
public:
    SynthFiller(const TensorRecord& record, uint32_t layers, uint64_t seed)
        : record_(record), format_(static_cast<TensorFormat>(record.format)), seed_(seed) {
        const double level = format_ == TensorFormat::int4_packed ? int4_level : int8_level;
        scale_ = static_cast<float>(spread_of(static_cast<TensorRole>(record.role), record.columns, layers) / level);
    }

    Status fill(uint32_t first, uint32_t count, uint8_t* to, Error&) override {
        for (uint32_t block = first; block < first + count; ++block) {
            SplitMix random{seed_ + block * 0xd1342543de82ef95u};
            random.state = random.next();
            const uint32_t left = record_.rows - block * rows_in_block;
            const uint32_t rows = left < rows_in_block ? left : rows_in_block;
            switch (format_) {
                case TensorFormat::f32_vector:
                    for (uint32_t i = 0; i < record_.columns; ++i) store(to + size_t{i} * 4, 0.9f + 0.2f * random.next_unit());
                    break;
                case TensorFormat::int8_rows: to = fill_rows(random, rows, to); break;
                default: to = fill_packed(random, rows, to); break;
            }
        }
        return Status::ok;
    }

private:
    const TensorRecord& record_;
    const TensorFormat format_;
    const uint64_t seed_;
    float scale_;

    static void fill_bytes(SplitMix& random, uint8_t* to, uint64_t count) {  // a multiple of 8
        for (uint64_t i = 0; i < count; i += 8) store(to + i, random.next());
    }

    // Between 3/4 and 5/4 of the tensor's, of either sign.
    uint16_t next_scale(SplitMix& random) const {
        const float magnitude = scale_ * (0.75f + 0.5f * random.next_unit());
        return float_to_half(random.next() >> 63 != 0 ? -magnitude : magnitude);
    }

    uint8_t* fill_rows(SplitMix& random, uint32_t rows, uint8_t* to) const {
        const uint32_t groups = group_count(record_.columns, record_.group);
        for (uint32_t row = 0; row < rows; ++row, to += row_stride(format_, record_.columns, record_.group)) {
            fill_bytes(random, to, record_.columns);
            for (uint32_t g = 0; g < groups; ++g) store(to + record_.columns + size_t{g} * 2, next_scale(random));
        }
        return to;
    }

    uint8_t* fill_packed(SplitMix& random, uint32_t rows, uint8_t* to) const {
        const uint8_t zero = format_ == TensorFormat::int4_packed ? 0x88 : 0x80;
        for (uint32_t column = 0; column < record_.columns; column += block_columns) {
            uint8_t* step = to + step_offset(format_, record_.group, column);
            fill_bytes(random, step, step_bytes(format_));
            // Rows that only fill the block up are zeros, scale and all.
            for (uint64_t at = 0; rows < rows_in_block && at < step_bytes(format_); at += rows_in_block * 4) {
                memset(step + at + size_t{rows} * 4, zero, size_t{rows_in_block - rows} * 4);
            }
        }
        const uint32_t groups = group_count(record_.columns, record_.group);
        for (uint32_t g = 0; g < groups; ++g) {
            uint8_t* scales = to + scales_offset(format_, record_.group, g);
            for (uint32_t row = 0; row < rows_in_block; ++row) {
                const uint16_t scale = next_scale(random);
                if (row < rows) store(scales + row * 2, scale);
            }
        }
        return to + block_stride(format_, record_.columns, record_.group);
    }
};

}  // namespace

std::vector<std::string> synth_shapes() { return synth_shape_names(); }

Status synthesise(const std::string& shape, uint64_t seed, uint32_t group, Output& output, Workers* workers, Progress* progress,
                  Error& error) {
    ContainerHead head;
    if (Status status = synth_head(shape, group, head, error); status != Status::ok) return status;
    ContainerWriter writer(output, workers, progress);
    if (Status status = writer.begin(head, error); status != Status::ok) return status;
    SplitMix tensors{seed};
    for (const TensorRecord& record : head.tensors) {
        SynthFiller filler(record, head.config.layers, tensors.next());
        if (Status status = writer.write_tensor(filler, error); status != Status::ok) return status;
    }
    return writer.finish(error);
}

}  // namespace linnet
