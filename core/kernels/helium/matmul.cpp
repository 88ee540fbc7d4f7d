// Matrix times activations with Helium. vmladava multiplies sixteen pairs of bytes and adds all of it to one 32-bit sum, so
// that here the columns of a row are the lanes. A block has rows together; one gathering load takes the words of a row, which
// are 64 bytes apart: all 32 columns of an int4 row, or 16 of an int8 row.
//
// The float part goes over four rows at a time. Where every activation scale is zero or at least 2^-64, all sums of products
// with them are multiples of 2^-87, and those with f16 scales (multiples of 2^-24) multiples of 2^-111: none is subnormal. A
// token with smaller scales is plain code's, and so are f32 matrices.
#include "core/kernels/generic/walk.h"
#include "core/kernels/helium/helium.h"
#include "core/kernels/helium/vector.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::helium {

namespace {

constexpr uint32_t tile_tokens = 2;  // that share one unpacking of the weights: their activations stay in registers

using generic::Token;

// Four words at `from` and 1, 2, 3 times `apart` bytes behind it.
LINNET_INLINE int8x16_t load_words(const void* from, uint32x4_t offsets) {
    return vreinterpretq_s8_s32(vldrwq_gather_offset_s32(static_cast<const int32_t*>(from), offsets));
}

// Four f16 to f32 as half_to_float has it, without its product with a subnormal number: what is subnormal as f16 gets the
// exponent of the smallest normal number, which is then subtracted. Exact.
LINNET_INLINE float32x4_t widen_half(const uint8_t* from) {
    const uint32x4_t halves = vldrhq_u32(reinterpret_cast<const uint16_t*>(from));
    const uint32x4_t magnitude = vshlq_n_u32(vbicq_n_u32(halves, 0x8000), 13);
    const float32x4_t normal = vreinterpretq_f32_u32(vaddq_n_u32(magnitude, 112u << 23));
    const float32x4_t subnormal = vsubq_n_f32(vreinterpretq_f32_u32(vaddq_n_u32(magnitude, 113u << 23)), 0x1p-14f);
    const float32x4_t x = vpselq_f32(normal, subnormal, vcmpcsq_n_u32(magnitude, 1u << 23));
    return vreinterpretq_f32_u32(vsliq_n_u32(vreinterpretq_u32_f32(x), vshrq_n_u32(halves, 15), 31));
}

// Weight times activation over 32 columns, for 16 rows and T tokens: exact. Nibbles are value + 8: sums begin at -8 times the
// sum of the activations.
template <uint32_t T>
LINNET_INLINE void dot_int4(const uint8_t* weights, const Token* tokens, uint32_t step, int32_t (*dot)[16]) {
    const uint32x4_t lines = vidupq_n_u32(0, 1) * 64u;
    const uint32x4_t octets = vidupq_n_u32(0, 8);
    int8x16_t even[T], odd[T];
    int32_t offset[T];
    for (uint32_t t = 0; t < T; ++t) {
        even[t] = load_words(tokens[t].values + step * 32, octets);
        odd[t] = load_words(tokens[t].values + step * 32 + 4, octets);
        offset[t] = -8 * tokens[t].sums[step];
    }
    for (uint32_t row = 0; row < 16; ++row) {
        const int8x16_t bytes = load_words(weights + row * 4, lines);
        const int8x16_t low = vandq_s8(bytes, vdupq_n_s8(15));
        const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(bytes), 4));
        for (uint32_t t = 0; t < T; ++t) dot[t][row] = vmladavaq_s8(vmladavaq_s8(offset[t], low, even[t]), high, odd[t]);
    }
}

// Bytes are value + 128; their upper bit turned over makes them values.
template <uint32_t T>
LINNET_INLINE void dot_int8(const uint8_t* weights, const Token* tokens, uint32_t step, int32_t (*dot)[16]) {
    const uint32x4_t lines = vidupq_n_u32(0, 1) * 64u;
    int8x16_t first[T], second[T];
    for (uint32_t t = 0; t < T; ++t) {
        first[t] = vldrbq_s8(tokens[t].values + step * 32);
        second[t] = vldrbq_s8(tokens[t].values + step * 32 + 16);
    }
    for (uint32_t row = 0; row < 16; ++row) {
        const int8x16_t upper = vdupq_n_s8(-128);
        const int8x16_t low = veorq_s8(load_words(weights + row * 4, lines), upper);
        const int8x16_t high = veorq_s8(load_words(weights + 256 + row * 4, lines), upper);
        for (uint32_t t = 0; t < T; ++t) dot[t][row] = vmladavaq_s8(vmladavaq_s8(0, low, first[t]), high, second[t]);
    }
}

// One block, of steps that are a group `steps_in_group` at a time, for T tokens. out[token]: 16 rows.
template <bool int4, uint32_t T>
__attribute__((noinline)) void tile(const uint8_t* at, uint32_t steps, uint32_t steps_in_group, const Token* tokens,
                                    float (*out)[16]) {
    memset(out, 0, T * sizeof out[0]);
    for (uint32_t step = 0; step < steps;) {
        const uint8_t* scales = at;
        at += 64;
        for (uint32_t group = 0; group < 2 && step < steps; ++group, scales += 32) {
            float part[T][16];
            const uint32_t begin = step;
            const uint32_t end = steps - step < steps_in_group ? steps : step + steps_in_group;
            for (; step < end; ++step, at += int4 ? 256 : 512) {
                int32_t dot[T][16];
                if constexpr (int4) {
                    dot_int4<T>(at, tokens, step, dot);
                } else {
                    dot_int8<T>(at, tokens, step, dot);
                }
                for (uint32_t t = 0; t < T; ++t) {
                    const float scale = tokens[t].scales[step];
                    for (uint32_t row = 0; row < 16; row += 4) {
                        float32x4_t scaled = vmulq_n_f32(vcvtq_f32_s32(vldrwq_s32(dot[t] + row)), scale);
                        // The first step is not added to 0, which changes nothing but the sign of a zero, and a sum that
                        // began with +0 does not show that.
                        if (step != begin) scaled = vaddq_f32(vldrwq_f32(part[t] + row), scaled);
                        vstrwq_f32(part[t] + row, scaled);
                    }
                }
            }
            for (uint32_t row = 0; row < 16; row += 4) {
                const float32x4_t scale = widen_half(scales + row * 2);
                for (uint32_t t = 0; t < T; ++t) {
                    const float32x4_t scaled = vmulq_f32(vldrwq_f32(part[t] + row), scale);
                    vstrwq_f32(out[t] + row, vaddq_f32(vldrwq_f32(out[t] + row), scaled));
                }
            }
        }
    }
}

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    const bool int4 = matrix.format == TensorFormat::int4_packed;
    const uint32_t steps = x.padded / 32;
    for (uint32_t token = 0; token < tokens;) {
        // As many tokens with scales of usual size as a tile takes; or one without, or with f32.
        uint32_t count = 0;
        Token from[tile_tokens];
        if (matrix.format != TensorFormat::f32_packed) {
            for (; count < tile_tokens && token + count < tokens; ++count) {
                from[count] = generic::token_at(x, token + count);
                if (!all_from(from[count].scales, steps, -64)) break;
            }
        }
        if (count == 0) {
            const Activations one = {x.f32 + size_t{token} * x.f32_stride,
                                     x.values + size_t{token} * x.padded,
                                     x.scales + size_t{token} * steps,
                                     x.sums + size_t{token} * steps,
                                     x.f32_stride,
                                     x.padded};
            scalar::matmul(matrix, one, 1, y + token * y_stride, y_stride, first_block, last_block);
            ++token;
            continue;
        }
        for (uint32_t index = first_block; index < last_block; ++index) {
            const uint8_t* block = matrix.data + index * matrix.stride;
            const uint32_t first_row = index * 16;
            const uint32_t rows = matrix.rows - first_row < 16 ? matrix.rows - first_row : 16;
            float out[tile_tokens][16];
            if (int4) {
                count == 1 ? tile<true, 1>(block, steps, matrix.group / 32, from, out)
                           : tile<true, 2>(block, steps, matrix.group / 32, from, out);
            } else {
                count == 1 ? tile<false, 1>(block, steps, matrix.group / 32, from, out)
                           : tile<false, 2>(block, steps, matrix.group / 32, from, out);
            }
            for (uint32_t t = 0; t < count; ++t) memcpy(y + (token + t) * y_stride + first_row, out[t], rows * sizeof(float));
        }
        token += count;
    }
}

}  // namespace linnet::helium
