// What AVX-512 offers to the kernels: 16 lanes of 32 bits are one register. Only files of this folder include this, since
// it is compiled for AVX-512; every function is inlined always, so that no copy of it is left for the linker to share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#define LINNET_INLINE __attribute__((always_inline)) static inline

namespace linnet::avx512 {

// Sixteen f16 to f32, by the rule of half_to_float (bits to their places, then times 2^112).
LINNET_INLINE __m512 widen_half(__m256i halves) {
    const __m512i bits = _mm512_slli_epi32(_mm512_cvtepi16_epi32(halves), 13);
    const __m512i kept = _mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0x8fffe000u)));
    return _mm512_mul_ps(_mm512_castsi512_ps(kept), _mm512_set1_ps(0x1p112f));
}

LINNET_INLINE __m512i load16(const void* from) { return _mm512_loadu_si512(from); }
LINNET_INLINE __m256i load8(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

// Four bytes from memory, in every lane.
LINNET_INLINE __m512i splat4(const int8_t* from) {
    int32_t word;
    memcpy(&word, from, sizeof word);
    return _mm512_set1_epi32(word);
}

}  // namespace linnet::avx512
