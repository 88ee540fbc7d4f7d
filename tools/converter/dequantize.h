// Inside the dequantisers: what the files of one block size each share.
#pragma once

#include <bit>
#include <cstdint>

#include "core/base/bytes.h"

namespace linnet {

// binary16 to binary32 as IEEE has it. (bytes.h's half_to_float() takes infinities for finite numbers, which is right for
// weights that were checked; here they have to come out as they are, so that read_rows() can refuse them.)
inline float half_exactly(const uint8_t* from) {
    const uint16_t half = load<uint16_t>(from);
    if ((half & 0x7c00u) != 0x7c00u) return half_to_float(half);
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    return std::bit_cast<float>(sign | 0x7f800000u | static_cast<uint32_t>(half & 0x3ffu) << 13);
}

// One block of 256 values.
void dequantize_q2_k(const uint8_t* block, float* to);
void dequantize_q3_k(const uint8_t* block, float* to);
void dequantize_q4_k(const uint8_t* block, float* to);
void dequantize_q5_k(const uint8_t* block, float* to);
void dequantize_q6_k(const uint8_t* block, float* to);
void dequantize_iq2_xxs(const uint8_t* block, float* to);

}  // namespace linnet
