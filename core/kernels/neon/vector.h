// What NEON on AArch64 offers to the kernels: 16 lanes of 32 bits are four registers, called quarters. Its floats follow IEEE
// 754, subnormal numbers included. Every function is inlined always: the files of neon_dotprod/ and neon_i8mm/, which are
// compiled for more, include this too.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/lanes.h"

namespace linnet::neon {

// Four f16 to f32, by the rule of half_to_float (bits to their places, then times 2^112).
LINNET_INLINE float32x4_t widen_half(uint16x4_t halves) {
    const int32x4_t bits = vshll_n_s16(vreinterpret_s16_u16(halves), 13);
    const uint32x4_t kept = vandq_u32(vreinterpretq_u32_s32(bits), vdupq_n_u32(0x8fffe000u));
    return vmulq_f32(vreinterpretq_f32_u32(kept), vdupq_n_f32(0x1p112f));
}

// 16 lanes, as generic/ wants them. *_some: the first `count` lanes; a load puts zero into the others.
struct Vector {
    struct Float {
        float32x4_t q[4];
    };
    struct Int {
        int32x4_t q[4];
    };
    using Dot = int32x4_t;  // partial sums of an integer dot product, in no particular order
    struct Words {          // 16 of 16 bits
        int16x8_t low, high;
    };

    // Tiles of attention that fit into the registers: queries at most, integer sums (a multiple of 8), float sums of 16 lanes.
    static constexpr uint32_t queries = 4;
    static constexpr uint32_t dot_sums = 16;
    static constexpr uint32_t output_sums = 4;

    template <typename Result, typename Operation>
    LINNET_INLINE Result each(Operation operation) {
        return {{operation(0), operation(1), operation(2), operation(3)}};
    }

    LINNET_INLINE Float splat(float x) {
        const float32x4_t all = vdupq_n_f32(x);
        return {{all, all, all, all}};
    }
    LINNET_INLINE Float load(const float* from) {
        return {{vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)}};
    }
    LINNET_INLINE Float load(const uint16_t* from) {
        const uint16x8_t low = vld1q_u16(from);
        const uint16x8_t high = vld1q_u16(from + 8);
        return {{widen_half(vget_low_u16(low)), widen_half(vget_high_u16(low)), widen_half(vget_low_u16(high)),
                 widen_half(vget_high_u16(high))}};
    }
    LINNET_INLINE Float widen(int8x16_t bytes) {
        const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
        const int16x8_t high = vmovl_high_s8(bytes);
        return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
                 vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
    }
    LINNET_INLINE Float load(const int8_t* from) { return widen(vld1q_s8(from)); }
    LINNET_INLINE Float load(const int32_t* from) {
        return {{vcvtq_f32_s32(vld1q_s32(from)), vcvtq_f32_s32(vld1q_s32(from + 4)), vcvtq_f32_s32(vld1q_s32(from + 8)),
                 vcvtq_f32_s32(vld1q_s32(from + 12))}};
    }
    // The levels (lanes.h) of 32 indices of 4 bits: those of the low halves of 16 bytes, and those of the high ones.
    struct Levels {
        int8x16_t low, high;
    };
    LINNET_INLINE Levels levels(const uint8_t* from) {
        const uint8x16_t bytes = vld1q_u8(from);
        const int8x16_t table = vld1q_s8(kv_levels);
        return {vqtbl1q_s8(table, vandq_u8(bytes, vdupq_n_u8(15))), vqtbl1q_s8(table, vshrq_n_u8(bytes, 4))};
    }
    LINNET_INLINE void load_levels(const uint8_t* from, Float& low, Float& high) {
        const Levels both = levels(from);
        low = widen(both.low);
        high = widen(both.high);
    }
    template <typename T>
    LINNET_INLINE Float load_some(const T* from, uint32_t count) {
        T whole[16] = {};
        memcpy(whole, from, count * sizeof(T));
        return load(whole);
    }
    LINNET_INLINE void store(float* to, const Float& x) {
        for (int i = 0; i < 4; ++i) vst1q_f32(to + i * 4, x.q[i]);
    }
    LINNET_INLINE void store_some(float* to, const Float& x, uint32_t count) {
        float whole[16];
        store(whole, x);
        memcpy(to, whole, count * sizeof(float));
    }

    LINNET_INLINE Float add(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return vaddq_f32(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float sub(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return vsubq_f32(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float mul(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return vmulq_f32(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float div(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return vdivq_f32(a.q[i], b.q[i]); });
    }
    // a > b ? a : b and a < b ? a : b: b where one of them is a NaN. (NEON's own maximum would be a NaN then.)
    LINNET_INLINE Float greater(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float lesser(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
    }
    // x < limit ? 0 : value
    LINNET_INLINE Float zero_where_less(const Float& value, const Float& x, const Float& limit) {
        return each<Float>([&](int i) {
            return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value.q[i]), vcltq_f32(x.q[i], limit.q[i])));
        });
    }
    // Lanes i and i + h, for every i without the bit h: their sum and their difference. h is 1, 2, 4 or 8.
    template <int h>
    LINNET_INLINE Float butterfly(const Float& x) {
        if constexpr (h >= 4) {
            constexpr int other = h / 4;  // quarters away
            return each<Float>([&](int i) {
                return (i & other) == 0 ? vaddq_f32(x.q[i], x.q[i + other]) : vsubq_f32(x.q[i - other], x.q[i]);
            });
        } else {
            return each<Float>([&](int i) {
                const float32x4_t swapped = h == 2 ? vextq_f32(x.q[i], x.q[i], 2) : vrev64q_f32(x.q[i]);
                const float32x4_t sums = vaddq_f32(swapped, x.q[i]);
                const float32x4_t differences = vsubq_f32(swapped, x.q[i]);
                return h == 2 ? vcombine_f32(vget_low_f32(sums), vget_high_f32(differences)) : vtrn2q_f32(sums, differences);
            });
        }
    }
    LINNET_INLINE float sum(const Float& x) {
        const float32x4_t four = vaddq_f32(vaddq_f32(x.q[0], x.q[2]), vaddq_f32(x.q[1], x.q[3]));
        const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }

    LINNET_INLINE Int zero() { return splat_int(0); }
    LINNET_INLINE Int splat_int(uint32_t x) {
        const int32x4_t all = vdupq_n_s32(static_cast<int32_t>(x));
        return {{all, all, all, all}};
    }
    LINNET_INLINE Int bits(const Float& x) {
        return each<Int>([&](int i) { return vreinterpretq_s32_f32(x.q[i]); });
    }
    LINNET_INLINE Float from_bits(const Int& x) {
        return each<Float>([&](int i) { return vreinterpretq_f32_s32(x.q[i]); });
    }
    LINNET_INLINE Int add_int(const Int& a, const Int& b) {
        return each<Int>([&](int i) { return vaddq_s32(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Int and_int(const Int& a, const Int& b) {
        return each<Int>([&](int i) { return vandq_s32(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Int max_int(const Int& a, const Int& b) {
        return each<Int>([&](int i) { return vmaxq_s32(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Int shift_to_exponent(const Int& a) {
        return each<Int>([&](int i) { return vshlq_n_s32(a.q[i], 23); });
    }
    LINNET_INLINE int32_t sum_int(const Int& x) {
        return vaddvq_s32(vaddq_s32(vaddq_s32(x.q[0], x.q[1]), vaddq_s32(x.q[2], x.q[3])));
    }
    LINNET_INLINE int32_t largest_int(const Int& x) {
        return vmaxvq_s32(vmaxq_s32(vmaxq_s32(x.q[0], x.q[1]), vmaxq_s32(x.q[2], x.q[3])));
    }
    // Values that fit.
    LINNET_INLINE int16x8_t narrow(int32x4_t low, int32x4_t high) { return vmovn_high_s32(vmovn_s32(low), high); }
    LINNET_INLINE void store_narrow(int16_t* to, const Int& x) {
        vst1q_s16(to, narrow(x.q[0], x.q[1]));
        vst1q_s16(to + 8, narrow(x.q[2], x.q[3]));
    }
    LINNET_INLINE void store_narrow(int8_t* to, const Int& x) {
        vst1q_s8(to, vmovn_high_s16(vmovn_s16(narrow(x.q[0], x.q[1])), narrow(x.q[2], x.q[3])));
    }

    LINNET_INLINE Dot no_dot() { return vdupq_n_s32(0); }
    LINNET_INLINE Words load_words(const int16_t* from) { return {vld1q_s16(from), vld1q_s16(from + 8)}; }
    LINNET_INLINE Words words(int8x16_t bytes) { return {vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)}; }
    LINNET_INLINE Words widen_words(const int8_t* from) { return words(vld1q_s8(from)); }
    // The levels of the low and of the high halves of 16 bytes.
    LINNET_INLINE void level_words(const uint8_t* from, Words& low, Words& high) {
        const Levels both = levels(from);
        low = words(both.low);
        high = words(both.high);
    }
    // sum + 16 products
    LINNET_INLINE Dot dot(Dot sum, const Words& a, const Words& b) {
        sum = vmlal_high_s16(vmlal_s16(sum, vget_low_s16(a.low), vget_low_s16(b.low)), a.low, b.low);
        return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(a.high), vget_low_s16(b.high)), a.high, b.high);
    }
    LINNET_INLINE int32_t sum_dot(Dot x) { return vaddvq_s32(x); }
    LINNET_INLINE void sum_dots(const Dot* x, int32_t* sums) {
        for (int i = 0; i < 8; i += 4) {
            vst1q_s32(sums + i, vpaddq_s32(vpaddq_s32(x[i], x[i + 1]), vpaddq_s32(x[i + 2], x[i + 3])));
        }
    }
};

}  // namespace linnet::neon
