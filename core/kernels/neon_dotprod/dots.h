// sdot adds four products of signed bytes to each 32-bit lane. A register of 16 weights is four rows of four columns: exactly
// that, with four activations, which sdot takes from any quarter of a register, for all four rows.
#pragma once

#include "core/kernels/neon/matmul.h"

namespace linnet::neon_dotprod {

// The 32 activations of a step.
struct Step {
    int8x16_t low, high;
};

// sum + the products with quad `quad` of the step.
template <uint32_t quad>
LINNET_INLINE int32x4_t dot_quad(int32x4_t sum, int8x16_t weights, const Step& a) {
    return vdotq_laneq_s32(sum, weights, quad < 4 ? a.low : a.high, quad % 4);
}

template <uint32_t T>
LINNET_INLINE void load_steps(const neon::Token* tokens, size_t column, Step (&a)[T]) {
    for (uint32_t t = 0; t < T; ++t) a[t] = {vld1q_s8(tokens[t].values + column), vld1q_s8(tokens[t].values + column + 16)};
}

// Nibbles are value + 8: sums begin at -8 * sum(activations).
struct Int4 : neon::Rows {
    static constexpr size_t step_bytes = 256;

    template <uint32_t T, uint32_t S, uint32_t pair>
    LINNET_INLINE void dot_pair(const uint8_t* weights, const Step (&a)[T], int32x4_t (&out)[T][S]) {
        for (uint32_t s = 0; s < S; ++s) {
            const uint8x16_t bytes = vld1q_u8(weights + pair * 64 + s * 16);
            const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15)));
            const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4));
            for (uint32_t t = 0; t < T; ++t) {
                out[t][s] = dot_quad<pair * 2>(out[t][s], low, a[t]);
                out[t][s] = dot_quad<pair * 2 + 1>(out[t][s], high, a[t]);
            }
        }
    }

    template <uint32_t T, uint32_t S>
    LINNET_INLINE void dot(const uint8_t* weights, const neon::Token* tokens, size_t column, int32x4_t (&out)[T][S]) {
        Step a[T];
        load_steps<T>(tokens, column, a);
        for (uint32_t t = 0; t < T; ++t) {
            const int32x4_t offset = vdupq_n_s32(-8 * tokens[t].sums[column / 32]);
            for (uint32_t s = 0; s < S; ++s) out[t][s] = offset;
        }
        dot_pair<T, S, 0>(weights, a, out);
        dot_pair<T, S, 1>(weights, a, out);
        dot_pair<T, S, 2>(weights, a, out);
        dot_pair<T, S, 3>(weights, a, out);
    }
};

// Bytes are value + 128; their upper bit turned over makes them values.
struct Int8 : neon::Rows {
    static constexpr size_t step_bytes = 512;

    template <uint32_t T, uint32_t S, uint32_t quad>
    LINNET_INLINE void dots_of_quad(const uint8_t* weights, const Step (&a)[T], int32x4_t (&out)[T][S]) {
        for (uint32_t s = 0; s < S; ++s) {
            const int8x16_t values = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(weights + quad * 64 + s * 16), vdupq_n_u8(0x80)));
            for (uint32_t t = 0; t < T; ++t) out[t][s] = dot_quad<quad>(out[t][s], values, a[t]);
        }
    }

    template <uint32_t T, uint32_t S>
    LINNET_INLINE void dot(const uint8_t* weights, const neon::Token* tokens, size_t column, int32x4_t (&out)[T][S]) {
        Step a[T];
        load_steps<T>(tokens, column, a);
        for (uint32_t t = 0; t < T; ++t) {
            for (uint32_t s = 0; s < S; ++s) out[t][s] = vdupq_n_s32(0);
        }
        dots_of_quad<T, S, 0>(weights, a, out);
        dots_of_quad<T, S, 1>(weights, a, out);
        dots_of_quad<T, S, 2>(weights, a, out);
        dots_of_quad<T, S, 3>(weights, a, out);
        dots_of_quad<T, S, 4>(weights, a, out);
        dots_of_quad<T, S, 5>(weights, a, out);
        dots_of_quad<T, S, 6>(weights, a, out);
        dots_of_quad<T, S, 7>(weights, a, out);
    }
};

}  // namespace linnet::neon_dotprod
