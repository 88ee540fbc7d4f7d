// smmla multiplies two rows of eight columns with two tokens' eight activations: four sums of eight products in one
// instruction, twice what sdot does. One token has no use for it, and takes sdot.
#include "core/kernels/neon/neon.h"
#include "core/kernels/neon_dotprod/dots.h"

namespace linnet::neon_i8mm {

namespace {

// The same text as in neon_dotprod/, and functions of their own: these may be compiled for more.
struct Single4 : neon_dotprod::Int4 {};
struct Single8 : neon_dotprod::Int8 {};

// Rows 0 and 1 of eight columns, of which `even` has the first four of rows 0 to 3 and `odd` the others; then rows 2 and 3.
LINNET_INLINE void interleave(uint8x16_t even, uint8x16_t odd, int8x16_t& first, int8x16_t& second) {
    first = vreinterpretq_s8_u32(vzip1q_u32(vreinterpretq_u32_u8(even), vreinterpretq_u32_u8(odd)));
    second = vreinterpretq_s8_u32(vzip2q_u32(vreinterpretq_u32_u8(even), vreinterpretq_u32_u8(odd)));
}

// Sixteen columns: `first` and `second` are S pairs of rows of eight columns each.
template <uint32_t T, uint32_t S>
LINNET_INLINE void multiply(const int8x16_t (&first)[S], const int8x16_t (&second)[S], const neon::Token* tokens, size_t column,
                            int32x4_t (&out)[T][S]) {
    for (uint32_t t = 0; t < T; ++t) {
        const int64x2_t a = vreinterpretq_s64_s8(vld1q_s8(tokens[2 * t].values + column));
        const int64x2_t b = vreinterpretq_s64_s8(vld1q_s8(tokens[2 * t + 1].values + column));
        const int8x16_t both_first = vreinterpretq_s8_s64(vzip1q_s64(a, b));
        const int8x16_t both_second = vreinterpretq_s8_s64(vzip2q_s64(a, b));
        for (uint32_t s = 0; s < S; ++s) {
            out[t][s] = vmmlaq_s32(vmmlaq_s32(out[t][s], first[s], both_first), second[s], both_second);
        }
    }
}

struct Several4 : neon::Pairs {
    static constexpr size_t step_bytes = 256;

    template <uint32_t S>
    LINNET_INLINE void unpack(const uint8_t* from, int8x16_t (&rows)[S]) {
        for (uint32_t s = 0; s < S; s += 2) {
            const uint8x16_t bytes = vld1q_u8(from + s * 8);
            interleave(vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4), rows[s], rows[s + 1]);
        }
    }

    template <uint32_t T, uint32_t S>
    LINNET_INLINE void dot(const uint8_t* weights, const neon::Token* tokens, size_t column, int32x4_t (&out)[T][S]) {
        for (uint32_t t = 0; t < T; ++t) {
            const int32x2_t sums =
                vset_lane_s32(tokens[2 * t + 1].sums[column / 32], vdup_n_s32(tokens[2 * t].sums[column / 32]), 1);
            const int32x2_t offset = vmul_n_s32(sums, -8);
            for (uint32_t s = 0; s < S; ++s) out[t][s] = vcombine_s32(offset, offset);
        }
        for (uint32_t half = 0; half < 2; ++half) {
            int8x16_t first[S], second[S];
            unpack<S>(weights + half * 128, first);
            unpack<S>(weights + half * 128 + 64, second);
            multiply<T, S>(first, second, tokens, column + half * 16, out);
        }
    }
};

struct Several8 : neon::Pairs {
    static constexpr size_t step_bytes = 512;

    template <uint32_t S>
    LINNET_INLINE void unpack(const uint8_t* from, int8x16_t (&rows)[S]) {
        const uint8x16_t upper = vdupq_n_u8(0x80);
        for (uint32_t s = 0; s < S; s += 2) {
            interleave(veorq_u8(vld1q_u8(from + s * 8), upper), veorq_u8(vld1q_u8(from + 64 + s * 8), upper), rows[s],
                       rows[s + 1]);
        }
    }

    template <uint32_t T, uint32_t S>
    LINNET_INLINE void dot(const uint8_t* weights, const neon::Token* tokens, size_t column, int32x4_t (&out)[T][S]) {
        for (uint32_t t = 0; t < T; ++t) {
            for (uint32_t s = 0; s < S; ++s) out[t][s] = vdupq_n_s32(0);
        }
        for (uint32_t half = 0; half < 2; ++half) {
            int8x16_t first[S], second[S];
            unpack<S>(weights + half * 256, first);
            unpack<S>(weights + half * 256 + 128, second);
            multiply<T, S>(first, second, tokens, column + half * 16, out);
        }
    }
};

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    if (matrix.format == TensorFormat::f32_packed)
        return neon::matmul_f32(matrix, x, tokens, y, y_stride, first_block, last_block);
    neon::matmul_integers<Single4, Several4, Single8, Several8>(matrix, x, tokens, y, y_stride, first_block, last_block);
}

}  // namespace linnet::neon_i8mm
