// What Helium (Armv8.1-M's vectors, MVE) offers to the kernels: registers of four lanes of 32 bits, eight of them.
//
// Helium's float instructions take a subnormal number for zero and give zero for one, whatever FPSCR says. So they stand only
// where that cannot be seen in the result, and each such place says why; where it could be, the numbers are looked at first,
// and plain code does the rest (core/kernels/scalar). Helium has no division and no square root.
#pragma once

#include <arm_mve.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/lanes.h"

namespace linnet::helium {

// exp as lanes.h defines it. Subnormal numbers come up only where they do not matter: in x, of which exp is 1 then; in r, its
// square and what is multiplied by them, where they are added to a number that is 2^24 times as large or more, or where r is
// itself so small that it vanishes beside 1. The result is 0, or not below 2^-126.
LINNET_INLINE float32x4_t exp_lanes(float32x4_t x) {
    x = vdupq_m_n_f32(x, exp_highest, vcmpgtq_n_f32(x, exp_highest));
    const float32x4_t shifted = vaddq_n_f32(vmulq_n_f32(x, exp_log2e), round_magic);
    const float32x4_t whole = vsubq_n_f32(shifted, round_magic);
    const float32x4_t r = vsubq_f32(vsubq_f32(x, vmulq_n_f32(whole, exp_ln2_high)), vmulq_n_f32(whole, exp_ln2_low));
    float32x4_t q = vaddq_n_f32(vmulq_n_f32(r, exp_q4), exp_q3);
    q = vaddq_n_f32(vmulq_f32(q, r), exp_q2);
    q = vaddq_n_f32(vmulq_f32(q, r), exp_q1);
    q = vaddq_n_f32(vmulq_f32(q, r), exp_q0);
    const float32x4_t mantissa = vaddq_n_f32(vaddq_f32(r, vmulq_f32(vmulq_f32(r, r), q)), 1.0f);
    const uint32x4_t exponent = vaddq_n_u32(vreinterpretq_u32_f32(shifted), 127u - round_magic_bits);
    const float32x4_t power = vreinterpretq_f32_u32(vshlq_n_u32(exponent, 23));
    // Greater, with the sides exchanged: Helium's "less" holds for a NaN.
    return vdupq_m_n_f32(vmulq_f32(mantissa, power), 0.0f, vcmpgtq_f32(vdupq_n_f32(exp_lowest), x));
}

// Whether every |x| is zero, or at least 2^power. (A NaN is.)
LINNET_INLINE bool all_from(const float* x, uint32_t count, int32_t power) {
    // Twice the bits are in the order of the magnitudes; one less makes zero the largest of all.
    const uint32_t limit = (static_cast<uint32_t>(power + 127) << 24) - 1;
    uint32x4_t four = vdupq_n_u32(0xffffffffu);
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        four = vminq_u32(four, vsubq_n_u32(vshlq_n_u32(vreinterpretq_u32_f32(vldrwq_f32(x + i)), 1), 1));
    }
    uint32_t least = vminvq_u32(0xffffffffu, four);
    for (; i < count; ++i) {
        const uint32_t last = (std::bit_cast<uint32_t>(x[i]) << 1) - 1;
        least = last < least ? last : least;
    }
    return least >= limit;
}

}  // namespace linnet::helium
