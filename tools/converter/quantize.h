// From float weights to int4 or int8 with one f16 scale for each group of columns of a row.
//
// Sixteen rows are quantised side by side, one a lane, as they lie in a packed block: every lane's arithmetic is its own, in one
// fixed order, so that a container is the same bytes whatever machine, compiler and number of threads made it.
#pragma once

#include <cstdint>

#include "core/model/format.h"

namespace linnet {

inline constexpr uint32_t largest_group = 128;
inline constexpr float largest_half = 65504.0f;

// What a quantised weight can be. int4 has one level more below zero than above, which is why the scale's sign matters.
struct Levels {
    float lowest, highest;
};
inline constexpr Levels int4_levels{-8.0f, 7.0f};
inline constexpr Levels int8_levels{-127.0f, 127.0f};
constexpr Levels levels_of(TensorFormat format) { return format == TensorFormat::int4_packed ? int4_levels : int8_levels; }
// A weight above this has no f16 scale that reaches it.
constexpr float largest_weight(Levels levels) { return largest_half * levels.highest; }

// One group of 16 rows. Not finite weights, and those above largest_weight(), are the caller's to refuse.
struct GroupWeights {
    alignas(64) float weights[largest_group][rows_in_block];
    uint32_t count = 0;                 // columns
    const float* importance = nullptr;  // float[count] >= 0, what an error in each column costs; null: all the same
};

struct QuantizedGroup {
    alignas(64) int8_t values[largest_group][rows_in_block];
    uint16_t scales[rows_in_block];  // f16 bits; may be negative; zero where all values are
    // Sums over the group's columns, weighted by importance: of squared weights, of the squared error of what stands here, and
    // of that of plain rounding (scale = max|w| / highest level, round to nearest).
    float squares[rows_in_block];
    float error[rows_in_block];
    float rounding_error[rows_in_block];
};

// Chooses the scales and rounds the weights. `search` false: plain rounding. With it the error is never above plain rounding's.
void quantize_group(const GroupWeights& group, Levels levels, bool search, QuantizedGroup& out);

}  // namespace linnet
