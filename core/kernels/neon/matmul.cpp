// Integers with what every AArch64 processor has: products of bytes, added to 16 bits. A register of 16 weights is four rows
// of four columns, so that the sums of rows 0 and 1 are in one register of 16-bit lanes, those of rows 2 and 3 in another.
#include "core/kernels/neon/matmul.h"

#include "core/kernels/neon/neon.h"

namespace linnet::neon {

namespace {

// Four activations, once for each of the four rows.
LINNET_INLINE int8x16_t four_times(const int8_t* from) {
    int32_t word;
    memcpy(&word, from, sizeof word);
    return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

// Nibbles are value + 8. A 16-bit lane takes one product of each quad: at most 8 * 15 * 127 = 15240.
struct Int4 : Rows {
    static constexpr size_t step_bytes = 256;

    template <uint32_t T, uint32_t S>
    LINNET_INLINE void dot(const uint8_t* weights, const Token* tokens, size_t column, int32x4_t (&out)[T][S]) {
        int16x8_t first[T][S], second[T][S];
        for (uint32_t pair = 0; pair < 4; ++pair) {
            int8x16_t low[S], high[S];
            for (uint32_t s = 0; s < S; ++s) {
                const uint8x16_t bytes = vld1q_u8(weights + pair * 64 + s * 16);
                low[s] = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15)));
                high[s] = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4));
            }
            for (uint32_t t = 0; t < T; ++t) {
                const int8_t* a = tokens[t].values + column + pair * 8;
                const int8x16_t even = four_times(a);
                const int8x16_t odd = four_times(a + 4);
                for (uint32_t s = 0; s < S; ++s) {
                    if (pair == 0) {
                        first[t][s] = vmull_s8(vget_low_s8(low[s]), vget_low_s8(even));
                        second[t][s] = vmull_high_s8(low[s], even);
                    } else {
                        first[t][s] = vmlal_s8(first[t][s], vget_low_s8(low[s]), vget_low_s8(even));
                        second[t][s] = vmlal_high_s8(second[t][s], low[s], even);
                    }
                    first[t][s] = vmlal_s8(first[t][s], vget_low_s8(high[s]), vget_low_s8(odd));
                    second[t][s] = vmlal_high_s8(second[t][s], high[s], odd);
                }
            }
        }
        for (uint32_t t = 0; t < T; ++t) {
            const int32x4_t offset = vdupq_n_s32(-8 * tokens[t].sums[column / 32]);
            for (uint32_t s = 0; s < S; ++s) {
                out[t][s] = vaddq_s32(offset, vpaddq_s32(vpaddlq_s16(first[t][s]), vpaddlq_s16(second[t][s])));
            }
        }
    }
};

// Bytes are value + 128; their upper bit turned over makes them values. Two products are at most 2 * 128 * 127 = 32512,
// within 16 bits; then they go to 32.
struct Int8 : Rows {
    static constexpr size_t step_bytes = 512;

    template <uint32_t T, uint32_t S>
    LINNET_INLINE void dot(const uint8_t* weights, const Token* tokens, size_t column, int32x4_t (&out)[T][S]) {
        int32x4_t first[T][S], second[T][S];
        for (uint32_t pair = 0; pair < 4; ++pair) {
            int8x16_t even[S], odd[S];
            for (uint32_t s = 0; s < S; ++s) {
                even[s] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(weights + pair * 128 + s * 16), vdupq_n_u8(0x80)));
                odd[s] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(weights + pair * 128 + 64 + s * 16), vdupq_n_u8(0x80)));
            }
            for (uint32_t t = 0; t < T; ++t) {
                const int8_t* a = tokens[t].values + column + pair * 8;
                const int8x16_t a_even = four_times(a);
                const int8x16_t a_odd = four_times(a + 4);
                for (uint32_t s = 0; s < S; ++s) {
                    const int16x8_t low =
                        vmlal_s8(vmull_s8(vget_low_s8(even[s]), vget_low_s8(a_even)), vget_low_s8(odd[s]), vget_low_s8(a_odd));
                    const int16x8_t high = vmlal_high_s8(vmull_high_s8(even[s], a_even), odd[s], a_odd);
                    first[t][s] = pair == 0 ? vpaddlq_s16(low) : vpadalq_s16(first[t][s], low);
                    second[t][s] = pair == 0 ? vpaddlq_s16(high) : vpadalq_s16(second[t][s], high);
                }
            }
        }
        for (uint32_t t = 0; t < T; ++t) {
            for (uint32_t s = 0; s < S; ++s) out[t][s] = vpaddq_s32(first[t][s], second[t][s]);
        }
    }
};

// T tokens, one column after the other.
template <uint32_t T>
__attribute__((noinline)) void tile_f32(const uint8_t* block, uint32_t columns, const float* const* x, float (*out)[16]) {
    const float* weights = reinterpret_cast<const float*>(block);
    float32x4_t total[T][4];
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < 4; ++q) total[t][q] = vdupq_n_f32(0.0f);
    }
    for (uint32_t column = 0; column < columns; ++column, weights += 16) {
        for (uint32_t t = 0; t < T; ++t) {
            const float32x4_t a = vdupq_n_f32(x[t][column]);
            for (uint32_t q = 0; q < 4; ++q) {
                total[t][q] = vaddq_f32(total[t][q], vmulq_f32(vld1q_f32(weights + q * 4), a));
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < 4; ++q) vst1q_f32(out[t] + q * 4, total[t][q]);
    }
}

}  // namespace

void matmul_f32(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                uint32_t first_block, uint32_t last_block) {
    constexpr uint32_t most = 4;
    float out[most][16];
    for (uint32_t index = first_block; index < last_block; ++index) {
        const uint8_t* block = matrix.data + index * matrix.stride;
        const uint32_t first_row = index * 16;
        const uint32_t rows = matrix.rows - first_row < 16 ? matrix.rows - first_row : 16;
        for (uint32_t token = 0; token < tokens;) {
            const uint32_t count = tokens - token >= most ? most : tokens - token >= 2 ? 2 : 1;
            const float* from[most];
            for (uint32_t t = 0; t < count; ++t) from[t] = x.f32 + (token + t) * x.f32_stride;
            if (count == 4) {
                tile_f32<4>(block, matrix.columns, from, out);
            } else if (count == 2) {
                tile_f32<2>(block, matrix.columns, from, out);
            } else {
                tile_f32<1>(block, matrix.columns, from, out);
            }
            for (uint32_t t = 0; t < count; ++t) store_rows(y + (token + t) * y_stride + first_row, out[t], rows);
            token += count;
        }
    }
}

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    if (matrix.format == TensorFormat::f32_packed) return matmul_f32(matrix, x, tokens, y, y_stride, first_block, last_block);
    matmul_integers<Int4, Int4, Int8, Int8>(matrix, x, tokens, y, y_stride, first_block, last_block);
}

}  // namespace linnet::neon
