// What WebAssembly's SIMD128 offers to the kernels: 16 lanes of 32 bits are four vectors, called quarters.
#pragma once

#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/lanes.h"

namespace linnet::wasm_simd128 {

template <uint16_t value>
inline constexpr uint16_t mask_word = value;

// A mask of one 16-bit value in every lane. It is loaded from memory through a pointer that the compiler cannot see through:
// the engine V8 would build a vector constant anew at each use, and keeps what was loaded in a register.
template <uint16_t value>
LINNET_INLINE v128_t mask16() {
    const uint16_t* from = &mask_word<value>;
    __asm__("" : "+r"(from));
    return wasm_v128_load16_splat(from);
}

// The levels of lanes.h, loaded for the same reason.
LINNET_INLINE v128_t level_table() {
    const int8_t* from = kv_levels;
    __asm__("" : "+r"(from));
    return wasm_v128_load(from);
}

// Four f16 to f32, by the rule of half_to_float: the bits to their places, then times 2^112.
struct HalfWidener {
    v128_t kept;  // bits
    v128_t factor;

    v128_t operator()(const void* from) const {
        return wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(wasm_i32x4_load16x4(from), 13), kept), factor);
    }
};

inline constexpr uint32_t half_widener_words[2] = {0x8fffe000u, 0x77800000u};

LINNET_INLINE HalfWidener half_widener() {
    const uint32_t* from = half_widener_words;
    __asm__("" : "+r"(from));
    return {wasm_v128_load32_splat(from), wasm_v128_load32_splat(from + 1)};
}

// At most 16 numbers. A memcpy of a length that only shows as it runs is a call out of WebAssembly, some 50 nanoseconds; those of a
// known length are loads and stores.
template <typename T>
__attribute__((noinline)) static void copy_some(T* to, const T* from, uint32_t count) {
    for (uint32_t bit = 16; bit != 0; bit /= 2) {
        if ((count & bit) == 0) continue;
        switch (bit) {
            case 16: memcpy(to, from, 16 * sizeof(T)); break;
            case 8: memcpy(to, from, 8 * sizeof(T)); break;
            case 4: memcpy(to, from, 4 * sizeof(T)); break;
            case 2: memcpy(to, from, 2 * sizeof(T)); break;
            default: *to = *from;
        }
        to += bit;
        from += bit;
    }
}

// 16 lanes, as generic/ wants them. *_some: the first `count` lanes; a load puts zero into the others.
struct Vector {
    struct Float {
        v128_t q[4];
    };
    struct Int {
        v128_t q[4];
    };
    using Dot = v128_t;  // partial sums of an integer dot product, in no particular order
    struct Words {       // 16 of 16 bits
        v128_t low, high;
    };

    // Tiles of attention that fit into the registers: queries at most, integer sums (a multiple of 8), float sums of 16 lanes.
    static constexpr uint32_t queries = 4;
    static constexpr uint32_t dot_sums = 8;
    static constexpr uint32_t output_sums = 4;

    template <typename Result, typename Operation>
    LINNET_INLINE Result each(Operation operation) {
        return {{operation(0), operation(1), operation(2), operation(3)}};
    }

    LINNET_INLINE Float splat(float x) {
        const v128_t all = wasm_f32x4_splat(x);
        return {{all, all, all, all}};
    }
    LINNET_INLINE Float load(const float* from) {
        return {{wasm_v128_load(from), wasm_v128_load(from + 4), wasm_v128_load(from + 8), wasm_v128_load(from + 12)}};
    }
    LINNET_INLINE Float load(const uint16_t* from) {
        const HalfWidener widen_half = half_widener();
        return {{widen_half(from), widen_half(from + 4), widen_half(from + 8), widen_half(from + 12)}};
    }
    LINNET_INLINE Float load(const int8_t* from) { return widen(wasm_i16x8_load8x8(from), wasm_i16x8_load8x8(from + 8)); }
    LINNET_INLINE Float load(const int32_t* from) {
        return each<Float>([&](int i) { return wasm_f32x4_convert_i32x4(wasm_v128_load(from + i * 4)); });
    }
    LINNET_INLINE Float widen(v128_t low, v128_t high) {
        return {{wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(low)),
                 wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(low)),
                 wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(high)),
                 wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(high))}};
    }
    // The levels (lanes.h) of 32 indices of 4 bits: those of the low halves of 16 bytes, and those of the high ones.
    struct Levels {
        v128_t low, high;
    };
    LINNET_INLINE Levels levels(const uint8_t* from) {
        const v128_t bytes = wasm_v128_load(from);
        const v128_t table = level_table();
        return {wasm_i8x16_swizzle(table, wasm_v128_and(bytes, mask16<0x0f0f>())),
                wasm_i8x16_swizzle(table, wasm_u8x16_shr(bytes, 4))};
    }
    LINNET_INLINE void load_levels(const uint8_t* from, Float& low, Float& high) {
        const Levels both = levels(from);
        low = widen(wasm_i16x8_extend_low_i8x16(both.low), wasm_i16x8_extend_high_i8x16(both.low));
        high = widen(wasm_i16x8_extend_low_i8x16(both.high), wasm_i16x8_extend_high_i8x16(both.high));
    }
    template <typename T>
    LINNET_INLINE Float load_some(const T* from, uint32_t count) {
        T whole[16] = {};
        copy_some(whole, from, count);
        return load(whole);
    }
    LINNET_INLINE void store(float* to, const Float& x) {
        for (int i = 0; i < 4; ++i) wasm_v128_store(to + i * 4, x.q[i]);
    }
    LINNET_INLINE void store_some(float* to, const Float& x, uint32_t count) {
        float whole[16];
        store(whole, x);
        copy_some(to, whole, count);
    }

    LINNET_INLINE Float add(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return wasm_f32x4_add(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float sub(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return wasm_f32x4_sub(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float mul(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return wasm_f32x4_mul(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Float div(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return wasm_f32x4_div(a.q[i], b.q[i]); });
    }
    // a > b ? a : b and a < b ? a : b: b where one of them is a NaN. (pmax(b, a) is b < a ? a : b.)
    LINNET_INLINE Float greater(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return wasm_f32x4_pmax(b.q[i], a.q[i]); });
    }
    LINNET_INLINE Float lesser(const Float& a, const Float& b) {
        return each<Float>([&](int i) { return wasm_f32x4_pmin(b.q[i], a.q[i]); });
    }
    // x < limit ? 0 : value
    LINNET_INLINE Float zero_where_less(const Float& value, const Float& x, const Float& limit) {
        return each<Float>([&](int i) { return wasm_v128_andnot(value.q[i], wasm_f32x4_lt(x.q[i], limit.q[i])); });
    }
    // Lanes i and i + h, for every i without the bit h: their sum and their difference. h is 1, 2, 4 or 8.
    template <int h>
    LINNET_INLINE Float butterfly(const Float& x) {
        if constexpr (h >= 4) {
            constexpr int other = h / 4;  // quarters away
            return each<Float>([&](int i) {
                return (i & other) == 0 ? wasm_f32x4_add(x.q[i], x.q[i + other]) : wasm_f32x4_sub(x.q[i - other], x.q[i]);
            });
        } else {
            return each<Float>([&](int i) {
                const v128_t swapped =
                    h == 2 ? wasm_i32x4_shuffle(x.q[i], x.q[i], 2, 3, 0, 1) : wasm_i32x4_shuffle(x.q[i], x.q[i], 1, 0, 3, 2);
                const v128_t sums = wasm_f32x4_add(swapped, x.q[i]);
                const v128_t differences = wasm_f32x4_sub(swapped, x.q[i]);
                return h == 2 ? wasm_i32x4_shuffle(sums, differences, 0, 1, 6, 7)
                              : wasm_i32x4_shuffle(sums, differences, 0, 5, 2, 7);
            });
        }
    }
    LINNET_INLINE float sum(const Float& x) {
        const v128_t four = wasm_f32x4_add(wasm_f32x4_add(x.q[0], x.q[2]), wasm_f32x4_add(x.q[1], x.q[3]));
        const v128_t two = wasm_f32x4_add(four, wasm_i32x4_shuffle(four, four, 2, 3, 0, 1));
        return wasm_f32x4_extract_lane(two, 0) + wasm_f32x4_extract_lane(two, 1);
    }

    LINNET_INLINE Int zero() { return splat_int(0); }
    LINNET_INLINE Int splat_int(uint32_t x) {
        const v128_t all = wasm_i32x4_splat(static_cast<int32_t>(x));
        return {{all, all, all, all}};
    }
    LINNET_INLINE Int bits(const Float& x) { return {{x.q[0], x.q[1], x.q[2], x.q[3]}}; }
    LINNET_INLINE Float from_bits(const Int& x) { return {{x.q[0], x.q[1], x.q[2], x.q[3]}}; }
    LINNET_INLINE Int add_int(const Int& a, const Int& b) {
        return each<Int>([&](int i) { return wasm_i32x4_add(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Int and_int(const Int& a, const Int& b) {
        return each<Int>([&](int i) { return wasm_v128_and(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Int max_int(const Int& a, const Int& b) {
        return each<Int>([&](int i) { return wasm_i32x4_max(a.q[i], b.q[i]); });
    }
    LINNET_INLINE Int shift_to_exponent(const Int& a) {
        return each<Int>([&](int i) { return wasm_i32x4_shl(a.q[i], 23); });
    }
    LINNET_INLINE int32_t sum_int(const Int& x) {
        return sum_dot(wasm_i32x4_add(wasm_i32x4_add(x.q[0], x.q[1]), wasm_i32x4_add(x.q[2], x.q[3])));
    }
    LINNET_INLINE int32_t largest_int(const Int& x) {
        const v128_t four = wasm_i32x4_max(wasm_i32x4_max(x.q[0], x.q[1]), wasm_i32x4_max(x.q[2], x.q[3]));
        const v128_t two = wasm_i32x4_max(four, wasm_i32x4_shuffle(four, four, 2, 3, 0, 1));
        const int32_t a = wasm_i32x4_extract_lane(two, 0);
        const int32_t b = wasm_i32x4_extract_lane(two, 1);
        return a > b ? a : b;
    }
    // Values that fit.
    LINNET_INLINE void store_narrow(int16_t* to, const Int& x) {
        wasm_v128_store(to, wasm_i16x8_narrow_i32x4(x.q[0], x.q[1]));
        wasm_v128_store(to + 8, wasm_i16x8_narrow_i32x4(x.q[2], x.q[3]));
    }
    LINNET_INLINE void store_narrow(int8_t* to, const Int& x) {
        wasm_v128_store(
            to, wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(x.q[0], x.q[1]), wasm_i16x8_narrow_i32x4(x.q[2], x.q[3])));
    }

    LINNET_INLINE Dot no_dot() { return wasm_i32x4_splat(0); }
    LINNET_INLINE Words load_words(const int16_t* from) { return {wasm_v128_load(from), wasm_v128_load(from + 8)}; }
    LINNET_INLINE Words widen_words(const int8_t* from) { return {wasm_i16x8_load8x8(from), wasm_i16x8_load8x8(from + 8)}; }
    // The levels of the low and of the high halves of 16 bytes.
    LINNET_INLINE void level_words(const uint8_t* from, Words& low, Words& high) {
        const Levels both = levels(from);
        low = {wasm_i16x8_extend_low_i8x16(both.low), wasm_i16x8_extend_high_i8x16(both.low)};
        high = {wasm_i16x8_extend_low_i8x16(both.high), wasm_i16x8_extend_high_i8x16(both.high)};
    }
    // sum + 16 products
    LINNET_INLINE Dot dot(Dot sum, const Words& a, const Words& b) {
        return wasm_i32x4_add(sum, wasm_i32x4_add(wasm_i32x4_dot_i16x8(a.low, b.low), wasm_i32x4_dot_i16x8(a.high, b.high)));
    }
    LINNET_INLINE int32_t sum_dot(Dot x) {
        const v128_t two = wasm_i32x4_add(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
        return wasm_i32x4_extract_lane(two, 0) + wasm_i32x4_extract_lane(two, 1);
    }
    LINNET_INLINE void sum_dots(const Dot* x, int32_t* sums) {
        for (int i = 0; i < 8; i += 4) {
            // A 4 by 4 transposition, of which the four rows are added.
            const v128_t a =
                wasm_i32x4_add(wasm_i32x4_shuffle(x[i], x[i + 1], 0, 4, 1, 5), wasm_i32x4_shuffle(x[i], x[i + 1], 2, 6, 3, 7));
            const v128_t b = wasm_i32x4_add(wasm_i32x4_shuffle(x[i + 2], x[i + 3], 0, 4, 1, 5),
                                            wasm_i32x4_shuffle(x[i + 2], x[i + 3], 2, 6, 3, 7));
            wasm_v128_store(sums + i, wasm_i32x4_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3)));
        }
    }
};

}  // namespace linnet::wasm_simd128
