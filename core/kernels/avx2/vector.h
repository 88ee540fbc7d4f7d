// What AVX2 offers to the kernels: 16 lanes of 32 bits are two registers. Only files of this folder include this, since it
// is compiled for AVX2; every function is inlined always, so that no copy of it is left for the linker to share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/lanes.h"

namespace linnet::avx2 {

// Eight f16 to f32, by the rule of half_to_float (bits to their places, then times 2^112).
LINNET_INLINE __m256 widen_half(__m128i halves) {
    const __m256i bits = _mm256_slli_epi32(_mm256_cvtepi16_epi32(halves), 13);
    const __m256i kept = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0x8fffe000u)));
    return _mm256_mul_ps(_mm256_castsi256_ps(kept), _mm256_set1_ps(0x1p112f));
}

LINNET_INLINE __m256i load8(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
LINNET_INLINE __m128i load4(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

// Four bytes from memory, in every lane.
LINNET_INLINE __m256i splat4(const int8_t* from) {
    int32_t word;
    memcpy(&word, from, sizeof word);
    return _mm256_set1_epi32(word);
}

// 16 lanes, as generic/ wants them. *_some: the first `count` lanes; a load puts zero into the others.
struct Vector {
    struct Float {
        __m256 low, high;
    };
    struct Int {
        __m256i low, high;
    };
    using Dot = __m256i;    // partial sums of an integer dot product, in no particular order
    using Words = __m256i;  // 16 of 16 bits

    // Tiles of attention that fit into the registers: queries at most, integer sums (a multiple of 8), float sums of 16 lanes.
    static constexpr uint32_t queries = 4;
    static constexpr uint32_t dot_sums = 8;
    static constexpr uint32_t output_sums = 4;

    LINNET_INLINE Float splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    LINNET_INLINE Float load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
    LINNET_INLINE Float load(const uint16_t* from) { return {widen_half(load4(from)), widen_half(load4(from + 8))}; }
    LINNET_INLINE Float widen(__m128i bytes) {
        return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
    }
    LINNET_INLINE Float load(const int8_t* from) { return widen(load4(from)); }
    LINNET_INLINE Float load(const int32_t* from) {
        return {_mm256_cvtepi32_ps(load8(from)), _mm256_cvtepi32_ps(load8(from + 8))};
    }
    // The levels (lanes.h) of 32 indices of 4 bits: those of the low halves of 16 bytes, then those of the high ones.
    LINNET_INLINE __m256i levels(const uint8_t* from) {
        const __m128i bytes = load4(from);
        const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
        const __m256i table = _mm256_broadcastsi128_si256(load4(kv_levels));
        return _mm256_shuffle_epi8(table, _mm256_and_si256(both, _mm256_set1_epi8(15)));
    }
    LINNET_INLINE void load_levels(const uint8_t* from, Float& low, Float& high) {
        const __m256i both = levels(from);
        low = widen(_mm256_castsi256_si128(both));
        high = widen(_mm256_extracti128_si256(both, 1));
    }
    template <typename T>
    LINNET_INLINE Float load_some(const T* from, uint32_t count) {
        T whole[16] = {};
        memcpy(whole, from, count * sizeof(T));
        return load(whole);
    }
    LINNET_INLINE void store(float* to, Float x) {
        _mm256_storeu_ps(to, x.low);
        _mm256_storeu_ps(to + 8, x.high);
    }
    LINNET_INLINE void store_some(float* to, Float x, uint32_t count) {
        float whole[16];
        store(whole, x);
        memcpy(to, whole, count * sizeof(float));
    }

    LINNET_INLINE Float add(Float a, Float b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
    LINNET_INLINE Float sub(Float a, Float b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
    LINNET_INLINE Float mul(Float a, Float b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
    LINNET_INLINE Float div(Float a, Float b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
    // a > b ? a : b and a < b ? a : b: b where one of them is a NaN.
    LINNET_INLINE Float greater(Float a, Float b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
    LINNET_INLINE Float lesser(Float a, Float b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
    // x < limit ? 0 : value
    LINNET_INLINE Float zero_where_less(Float value, Float x, Float limit) {
        return {_mm256_andnot_ps(_mm256_cmp_ps(x.low, limit.low, _CMP_LT_OQ), value.low),
                _mm256_andnot_ps(_mm256_cmp_ps(x.high, limit.high, _CMP_LT_OQ), value.high)};
    }
    // Lanes i and i + h, for every i without the bit h: their sum and their difference. h is 1, 2, 4 or 8.
    template <int h>
    LINNET_INLINE __m256 butterfly(__m256 x) {
        const __m256 other = h == 4 ? _mm256_permute2f128_ps(x, x, 1) : _mm256_permute_ps(x, h == 1 ? 0xb1 : 0x4e);
        return _mm256_blend_ps(_mm256_add_ps(other, x), _mm256_sub_ps(other, x), h == 1 ? 0xaa : h == 2 ? 0xcc : 0xf0);
    }
    template <int h>
    LINNET_INLINE Float butterfly(Float x) {
        if constexpr (h == 8)
            return {_mm256_add_ps(x.low, x.high), _mm256_sub_ps(x.low, x.high)};
        else
            return {butterfly<h>(x.low), butterfly<h>(x.high)};
    }
    LINNET_INLINE float sum(Float x) {
        const __m256 eight = _mm256_add_ps(x.low, x.high);
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
    }

    LINNET_INLINE Int zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
    LINNET_INLINE Int splat_int(uint32_t x) {
        const __m256i all = _mm256_set1_epi32(static_cast<int32_t>(x));
        return {all, all};
    }
    LINNET_INLINE Int bits(Float x) { return {_mm256_castps_si256(x.low), _mm256_castps_si256(x.high)}; }
    LINNET_INLINE Float from_bits(Int x) { return {_mm256_castsi256_ps(x.low), _mm256_castsi256_ps(x.high)}; }
    LINNET_INLINE Int add_int(Int a, Int b) { return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)}; }
    LINNET_INLINE Int and_int(Int a, Int b) { return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)}; }
    LINNET_INLINE Int max_int(Int a, Int b) { return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)}; }
    LINNET_INLINE Int shift_to_exponent(Int a) { return {_mm256_slli_epi32(a.low, 23), _mm256_slli_epi32(a.high, 23)}; }
    LINNET_INLINE int32_t sum_int(Int x) { return sum_dot(_mm256_add_epi32(x.low, x.high)); }
    LINNET_INLINE int32_t largest_int(Int x) {
        const __m256i eight = _mm256_max_epi32(x.low, x.high);
        const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
    }
    // Values that fit.
    LINNET_INLINE void store_narrow(int16_t* to, Int x) {
        const __m256i mixed = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.low, x.high), 0xd8);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), mixed);
    }
    LINNET_INLINE void store_narrow(int8_t* to, Int x) {
        const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.low, x.high), 0xd8);
        const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
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
    LINNET_INLINE Dot dot(Dot sum, Words a, Words b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
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

}  // namespace linnet::avx2
