// What a matrix product walks over, whatever its vectors are.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/lanes.h"

namespace linnet::generic {

// One token's activations.
struct Token {
    const int8_t* values;
    const float* scales;
    const int32_t* sums;
};

LINNET_INLINE Token token_at(const Activations& x, size_t index) {
    const size_t steps = x.padded / 32;
    return {x.values + index * x.padded, x.scales + index * steps, x.sums + index * steps};
}

// A block of 16 rows: spans of two groups, each 64 bytes of scales and then the steps (of 32 columns) of its values.
struct Block {
    const uint8_t* at;
    uint32_t steps;
    uint32_t steps_in_group;  // 1, 2, 4
};

}  // namespace linnet::generic
