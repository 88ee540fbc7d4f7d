// What AVX2 offers to the kernels: 16 lanes of 32 bits are two registers. Only files of this folder include this, since it
// is compiled for AVX2; every function is inlined always, so that no copy of it is left for the linker to share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#define LINNET_INLINE __attribute__((always_inline)) static inline

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

}  // namespace linnet::avx2
