// What AVX-512 offers to the kernels: 16 lanes of 32 bits are one register. Only files of this folder include this, since
// it is compiled for AVX-512; every function is inlined always, so that no copy of it is left for the linker to share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/lanes.h"

namespace linnet::avx512 {

// Sixteen f16 to f32, by the rule of half_to_float (bits to their places, then times 2^112).
LINNET_INLINE __m512 widen_half(__m256i halves) {
    const __m512i bits = _mm512_slli_epi32(_mm512_cvtepi16_epi32(halves), 13);
    const __m512i kept = _mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0x8fffe000u)));
    return _mm512_mul_ps(_mm512_castsi512_ps(kept), _mm512_set1_ps(0x1p112f));
}

LINNET_INLINE __m512i load16(const void* from) { return _mm512_loadu_si512(from); }
LINNET_INLINE __m256i load8(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
LINNET_INLINE __m128i load4(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

// Four bytes from memory, in every lane.
LINNET_INLINE __m512i splat4(const int8_t* from) {
    int32_t word;
    memcpy(&word, from, sizeof word);
    return _mm512_set1_epi32(word);
}

// 16 lanes, as generic/ wants them. *_some: the first `count` lanes; a load puts zero into the others.
struct Vector {
    using Float = __m512;
    using Int = __m512i;
    using Dot = __m256i;    // partial sums of an integer dot product, in no particular order
    using Words = __m256i;  // 16 of 16 bits

    // Tiles of attention that fit into the registers: queries at most, integer sums (a multiple of 8), float sums of 16 lanes.
    static constexpr uint32_t queries = 4;
    static constexpr uint32_t dot_sums = 16;
    static constexpr uint32_t output_sums = 16;

    LINNET_INLINE Float splat(float x) { return _mm512_set1_ps(x); }
    LINNET_INLINE Float load(const float* from) { return _mm512_loadu_ps(from); }
    LINNET_INLINE Float load(const uint16_t* from) { return widen_half(load8(from)); }
    LINNET_INLINE Float load(const int32_t* from) { return _mm512_cvtepi32_ps(load16(from)); }
    LINNET_INLINE Float load(const int8_t* from) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load4(from))); }
    // The levels (lanes.h) of 32 indices of 4 bits: those of the low halves of 16 bytes, then those of the high ones.
    LINNET_INLINE __m256i levels(const uint8_t* from) {
        const __m128i bytes = load4(from);
        const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
        const __m256i table = _mm256_broadcastsi128_si256(load4(kv_levels));
        return _mm256_shuffle_epi8(table, _mm256_and_si256(both, _mm256_set1_epi8(15)));
    }
    LINNET_INLINE void load_levels(const uint8_t* from, Float& low, Float& high) {
        const __m512 table = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load4(kv_levels)));
        const __m512i bytes = _mm512_cvtepu8_epi32(load4(from));
        low = _mm512_permutexvar_ps(bytes, table);  // looks at the low 4 bits alone
        high = _mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), table);
    }
    LINNET_INLINE __mmask16 first(uint32_t count) { return static_cast<__mmask16>((1u << count) - 1); }
    LINNET_INLINE Float load_some(const float* from, uint32_t count) { return _mm512_maskz_loadu_ps(first(count), from); }
    LINNET_INLINE Float load_some(const uint16_t* from, uint32_t count) {
        return widen_half(_mm256_maskz_loadu_epi16(first(count), from));
    }
    LINNET_INLINE Float load_some(const int8_t* from, uint32_t count) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(count), from)));
    }
    LINNET_INLINE void store(float* to, Float x) { _mm512_storeu_ps(to, x); }
    LINNET_INLINE void store_some(float* to, Float x, uint32_t count) { _mm512_mask_storeu_ps(to, first(count), x); }

    LINNET_INLINE Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
    LINNET_INLINE Float sub(Float a, Float b) { return _mm512_sub_ps(a, b); }
    LINNET_INLINE Float mul(Float a, Float b) { return _mm512_mul_ps(a, b); }
    LINNET_INLINE Float div(Float a, Float b) { return _mm512_div_ps(a, b); }
    // a > b ? a : b and a < b ? a : b: b where one of them is a NaN.
    LINNET_INLINE Float greater(Float a, Float b) { return _mm512_max_ps(a, b); }
    LINNET_INLINE Float lesser(Float a, Float b) { return _mm512_min_ps(a, b); }
    // x < limit ? 0 : value
    LINNET_INLINE Float zero_where_less(Float value, Float x, Float limit) {
        return _mm512_maskz_mov_ps(_knot_mask16(_mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ)), value);
    }
    // Lanes i and i + h, for every i without the bit h: their sum and their difference. h is 1, 2, 4 or 8.
    template <int h>
    LINNET_INLINE Float butterfly(Float x) {
        Float other;
        if constexpr (h < 4)
            other = _mm512_permute_ps(x, h == 1 ? 0xb1 : 0x4e);
        else
            other = _mm512_shuffle_f32x4(x, x, h == 4 ? 0xb1 : 0x4e);
        constexpr __mmask16 second = h == 1 ? 0xaaaa : h == 2 ? 0xcccc : h == 4 ? 0xf0f0 : 0xff00;
        return _mm512_mask_sub_ps(_mm512_add_ps(other, x), second, other, x);
    }
    LINNET_INLINE float sum(Float x) {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
    }

    LINNET_INLINE Int zero() { return _mm512_setzero_si512(); }
    LINNET_INLINE Int splat_int(uint32_t x) { return _mm512_set1_epi32(static_cast<int32_t>(x)); }
    LINNET_INLINE Int bits(Float x) { return _mm512_castps_si512(x); }
    LINNET_INLINE Float from_bits(Int x) { return _mm512_castsi512_ps(x); }
    LINNET_INLINE Int add_int(Int a, Int b) { return _mm512_add_epi32(a, b); }
    LINNET_INLINE Int and_int(Int a, Int b) { return _mm512_and_si512(a, b); }
    LINNET_INLINE Int max_int(Int a, Int b) { return _mm512_max_epi32(a, b); }
    LINNET_INLINE Int shift_to_exponent(Int a) { return _mm512_slli_epi32(a, 23); }
    LINNET_INLINE int32_t sum_int(Int x) {
        return sum_dot(_mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1)));
    }
    LINNET_INLINE int32_t largest_int(Int x) {
        const __m256i eight = _mm256_max_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
        const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
    }
    // Values that fit.
    LINNET_INLINE void store_narrow(int16_t* to, Int x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(x));
    }
    LINNET_INLINE void store_narrow(int8_t* to, Int x) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(x));
    }

    LINNET_INLINE Dot no_dot() { return _mm256_setzero_si256(); }
    LINNET_INLINE Words load_words(const int16_t* from) { return load8(from); }
    LINNET_INLINE Words widen_words(const int8_t* from) { return _mm256_cvtepi8_epi16(load4(from)); }
    // The levels of the low and of the high halves of 16 bytes.
    LINNET_INLINE void level_words(const uint8_t* from, Words& low, Words& high) {
        const __m256i both = levels(from);
        low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(both));
        high = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(both, 1));
    }
    // sum + 16 products
    LINNET_INLINE Dot dot(Dot sum, Words a, Words b) { return _mm256_dpwssd_epi32(sum, a, b); }
    LINNET_INLINE int32_t sum_dot(Dot x) {
        const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
        const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
    }
    LINNET_INLINE void sum_dots(const Dot* x, int32_t* sums) {
        const __m256i first = _mm256_hadd_epi32(_mm256_hadd_epi32(x[0], x[1]), _mm256_hadd_epi32(x[2], x[3]));
        const __m256i second = _mm256_hadd_epi32(_mm256_hadd_epi32(x[4], x[5]), _mm256_hadd_epi32(x[6], x[7]));
        const __m256i all =
            _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20), _mm256_permute2x128_si256(first, second, 0x31));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), all);
    }
};

}  // namespace linnet::avx512
