// The part of the specification that every family of kernels shares: the fixed order of the sums that run across a
// vector, our exponential, and the rule of the quantisers. Constants and notes; scalar/ writes them out as plain code,
// generic/ as vector code over any width.
//
// Sums across: entry i belongs to partial sum i mod 16; the 16 partial sums begin at zero and each takes its entries in
// turn; then s[i] += s[i + 8] for i < 8, s[i] += s[i + 4] for i < 4, s[i] += s[i + 2] for i < 2, and s[0] + s[1].
// Sixteen is one AVX-512 register, two of AVX2, four of SIMD128, NEON and Helium: all of them do these very additions.
//
// exp(x): x is held to at most exp_highest; n = round to nearest even of x / ln 2; r = x - n ln 2 in two steps;
// exp(r) = 1 + (r + r^2 q(r)); times 2^n. Below exp_lowest the result is 0. A NaN stays one.
// Error: at most 1.0 units in the last place over [exp_lowest, exp_highest] (tests/unit/test_kernels_elementwise.cpp).
// The conversion to an integer is an addition of 1.5 * 2^23, of which the low bits are then the integer: no value, not even
// a NaN, takes it into undefined behaviour, and it rounds to nearest even on every target.
//
// Quantisers: the largest magnitude is found on the bits (as integers, NaN above infinity above all finite numbers), so
// that its value does not depend on the order. scale = largest / limit. Values: round to nearest even of
// x * (limit / largest); all zero, and scale 0, when largest < quantize_smallest (limit / largest would overflow);
// all zero, with the scale as it comes out (infinity or NaN), when largest is not finite, so that the damage shows in the
// result and is the same everywhere.
#pragma once

#include <bit>
#include <cstdint>

// For what files compiled for several instruction sets include: no copy of it is left for the linker to share.
#define LINNET_INLINE __attribute__((always_inline)) static inline

namespace linnet {

inline constexpr uint32_t lane_count = 16;

inline constexpr float exp_highest = 88.3762589f;  // below (127 + 1/2) ln 2: n <= 127
inline constexpr float exp_lowest = -87.3365402f;  // ln of the smallest normal number: n >= -126
inline constexpr float exp_log2e = 0x1.715476p+0f;
inline constexpr float exp_ln2_high = 0.693359375f;  // 9 bits: times n is exact
inline constexpr float exp_ln2_low = -2.12194442e-4f;
// q, fitted to (exp(r) - 1 - r) / r^2 on |r| <= 0.347 with least greatest relative error: 4.4e-9 of exp(r).
inline constexpr float exp_q0 = 0x1.fffffcp-2f;
inline constexpr float exp_q1 = 0x1.55549p-3f;
inline constexpr float exp_q2 = 0x1.5558f4p-5f;
inline constexpr float exp_q3 = 0x1.123a6cp-7f;
inline constexpr float exp_q4 = 0x1.6a234ep-10f;

inline constexpr float round_magic = 0x1.8p23f;  // x + this: the integer nearest to x, ties to even, in the low bits
inline constexpr uint32_t round_magic_bits = 0x4b400000u;

inline constexpr float quantize_smallest = 0x1p-100f;
inline constexpr uint32_t infinity_bits = 0x7f800000u;
inline constexpr uint32_t nan_bits = 0x7fc00000u;
inline constexpr float minus_infinity = std::bit_cast<float>(0xff800000u);

// The int4 KV cache: an index stands for one of these levels, in units of scale = max|x| / 127. They are the sixteen that lose
// least (by squares, Lloyd and Max) on 48 normal numbers divided by the largest of them, which is what half a rotated head looks
// like; nearer to zero, where most numbers are, they stand closer. Halves of 32 to 64 dimensions want the same to within 2.
alignas(16) inline constexpr int8_t kv_levels[16] = {-122, -97, -77, -60, -45, -32, -19, -6, 6, 19, 32, 45, 60, 77, 97, 122};
// Half way between two levels: the index is the number of limits that are not above the value.
inline constexpr float kv_limits[15] = {-109.5f, -87.0f, -68.5f, -52.5f, -38.5f, -25.5f, -12.5f, 0.0f,
                                        12.5f,   25.5f,  38.5f,  52.5f,  68.5f,  87.0f,  109.5f};
// 1 / sqrt(2^i), of blocks of the rotation.
inline constexpr float rotation_factors[10] = {1.0f,           0x1.6a09e6p-1f, 0x1p-1f,        0x1.6a09e6p-2f, 0x1p-2f,
                                               0x1.6a09e6p-3f, 0x1p-3f,        0x1.6a09e6p-4f, 0x1p-4f,        0x1.6a09e6p-5f};

}  // namespace linnet
