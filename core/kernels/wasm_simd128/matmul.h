// Matrix times activations in WebAssembly, for both tables: written once over Int4, which is how a table multiplies nibbles
// (wasm_simd128/matmul.cpp and wasm_relaxed/matmul.cpp). Lanes are rows: a quarter of a block is 4 rows of 4 columns.
#pragma once

#include "core/kernels/generic/walk.h"
#include "core/kernels/kernels.h"
#include "core/kernels/wasm_simd128/vector.h"

namespace linnet::wasm_simd128 {

inline constexpr uint32_t tile_tokens = 4;  // tokens that share one unpacking of the weights

using generic::Block;
using generic::Token;

// Weight times activation over 32 columns: exact. Bytes are value + 128, taken as two planes of 16-bit lanes: columns 0 and 2,
// columns 1 and 3. In both tables: a relaxed dot has room for 7 bits only.
struct Int8 {
    static constexpr size_t step_bytes = 512;

    template <uint32_t T, uint32_t Q>
    LINNET_INLINE void dot(const uint8_t* weights, const Token* tokens, size_t column, v128_t (&out)[T][Q]) {
        const v128_t low_byte = mask16(0xff);
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t offset = wasm_i32x4_splat(-128 * tokens[t].sums[column / 32]);
            for (uint32_t q = 0; q < Q; ++q) out[t][q] = offset;
        }
        for (uint32_t quad = 0; quad < 8; ++quad) {
            v128_t even[Q], odd[Q];
            for (uint32_t q = 0; q < Q; ++q) {
                const v128_t bytes = wasm_v128_load(weights + quad * 64 + q * 16);
                even[q] = wasm_v128_and(bytes, low_byte);
                odd[q] = wasm_u16x8_shr(bytes, 8);
            }
            for (uint32_t t = 0; t < T; ++t) {
                const v128_t four = wasm_v128_load32_splat(tokens[t].values + column + quad * 4);
                const v128_t a_even = wasm_i16x8_shr(wasm_i16x8_shl(four, 8), 8);
                const v128_t a_odd = wasm_i16x8_shr(four, 8);
                for (uint32_t q = 0; q < Q; ++q) {
                    out[t][q] = wasm_i32x4_add(
                        out[t][q], wasm_i32x4_add(wasm_i32x4_dot_i16x8(even[q], a_even), wasm_i32x4_dot_i16x8(odd[q], a_odd)));
                }
            }
        }
    }
};

// Q quarters of a block from first_quarter on, for T tokens. out[token]: 16 rows.
template <typename Dot, uint32_t T, uint32_t Q, bool one_step>
LINNET_INLINE void run(const Block& block, uint32_t first_quarter, const Token* tokens, float (*out)[16]) {
    const uint8_t* at = block.at;
    v128_t total[T][Q];
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < Q; ++q) total[t][q] = wasm_f32x4_splat(0.0f);
    }
    for (uint32_t step = 0; step < block.steps;) {
        const uint8_t* scales = at + first_quarter * 8;
        at += 64;
        for (uint32_t group = 0; group < 2 && step < block.steps; ++group, scales += 32) {
            const uint32_t left = block.steps - step;
            const uint32_t here = one_step ? 1 : left < block.steps_in_group ? left : block.steps_in_group;
            v128_t part[T][Q];
            for (uint32_t t = 0; t < T; ++t) {
                for (uint32_t q = 0; q < Q; ++q) part[t][q] = wasm_f32x4_splat(0.0f);
            }
            for (uint32_t i = 0; i < here; ++i, ++step, at += Dot::step_bytes) {
                v128_t dot[T][Q];
                Dot::template dot<T, Q>(at + first_quarter * 16, tokens, size_t{step} * 32, dot);
                for (uint32_t t = 0; t < T; ++t) {
                    const v128_t scale = wasm_v128_load32_splat(tokens[t].scales + step);
                    for (uint32_t q = 0; q < Q; ++q) {
                        const v128_t scaled = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(dot[t][q]), scale);
                        // A group of one step: 0 + scaled is scaled, but for the sign of a zero, which a sum that began with
                        // +0 does not show.
                        part[t][q] = one_step ? scaled : wasm_f32x4_add(part[t][q], scaled);
                    }
                }
            }
            for (uint32_t q = 0; q < Q; ++q) {
                const v128_t scale = widen_half(scales + q * 8);
                for (uint32_t t = 0; t < T; ++t) {
                    total[t][q] = wasm_f32x4_add(total[t][q], wasm_f32x4_mul(part[t][q], scale));
                }
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < Q; ++q) wasm_v128_store(out[t] + (first_quarter + q) * 4, total[t][q]);
    }
}

// One token: all four quarters in one pass over memory. Several: a few quarters at a time, so that the sums of all tokens stay
// in registers; later passes find the block in the cache. Not inlined: within a larger function V8 makes worse code of it.
template <typename Dot, uint32_t T, bool one_step>
__attribute__((noinline)) void tile(const Block& block, const Token* tokens, float (*out)[16]) {
    if constexpr (T == 1) {
        run<Dot, 1, 4, one_step>(block, 0, tokens, out);
    } else {
        run<Dot, T, 2, one_step>(block, 0, tokens, out);
        run<Dot, T, 2, one_step>(block, 2, tokens, out);
    }
}

template <typename Dot, bool one_step>
void tile_of(uint32_t count, const Block& block, const Token* tokens, float (*out)[16]) {
    switch (count) {
        case 1: return tile<Dot, 1, one_step>(block, tokens, out);
        case 2: return tile<Dot, 2, one_step>(block, tokens, out);
        case 3: return tile<Dot, 3, one_step>(block, tokens, out);
        default: return tile<Dot, 4, one_step>(block, tokens, out);
    }
}

// f32: T tokens, one column after the other.
template <uint32_t T>
__attribute__((noinline)) void tile_f32(const uint8_t* block, uint32_t columns, const float* const* x, float (*out)[16]) {
    v128_t total[T][4];
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < 4; ++q) total[t][q] = wasm_f32x4_splat(0.0f);
    }
    for (uint32_t column = 0; column < columns; ++column, block += 64) {
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t a = wasm_v128_load32_splat(x[t] + column);
            for (uint32_t q = 0; q < 4; ++q) {
                total[t][q] = wasm_f32x4_add(total[t][q], wasm_f32x4_mul(wasm_v128_load(block + q * 16), a));
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < 4; ++q) wasm_v128_store(out[t] + q * 4, total[t][q]);
    }
}

template <typename Int4>
void matmul_with(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                 uint32_t first_block, uint32_t last_block) {
    const bool f32 = matrix.format == TensorFormat::f32_packed;
    const bool int4 = matrix.format == TensorFormat::int4_packed;
    const uint32_t steps = x.padded / 32;
    const uint32_t steps_in_group = matrix.group / 32;
    float out[tile_tokens][16];
    for (uint32_t index = first_block; index < last_block; ++index) {
        const Block block = {matrix.data + index * matrix.stride, steps, steps_in_group};
        const uint32_t first_row = index * 16;
        const uint32_t rows = matrix.rows - first_row < 16 ? matrix.rows - first_row : 16;
        // Two tokens of f32 at a time: their sums are half of the registers there are.
        const uint32_t most = f32 ? 2 : tile_tokens;
        for (uint32_t token = 0; token < tokens;) {
            const uint32_t count = tokens - token < most ? tokens - token : most;
            if (f32) {
                const float* from[2];
                for (uint32_t t = 0; t < count; ++t) from[t] = x.f32 + (token + t) * x.f32_stride;
                count == 1 ? tile_f32<1>(block.at, matrix.columns, from, out)
                           : tile_f32<2>(block.at, matrix.columns, from, out);
            } else {
                Token from[tile_tokens];
                for (uint32_t t = 0; t < count; ++t) from[t] = generic::token_at(x, token + t);
                if (int4) {
                    steps_in_group == 1 ? tile_of<Int4, true>(count, block, from, out)
                                        : tile_of<Int4, false>(count, block, from, out);
                } else {
                    steps_in_group == 1 ? tile_of<Int8, true>(count, block, from, out)
                                        : tile_of<Int8, false>(count, block, from, out);
                }
            }
            for (uint32_t t = 0; t < count; ++t) {
                memcpy(y + (token + t) * y_stride + first_row, out[t], rows * sizeof(float));
            }
            token += count;
        }
    }
}

}  // namespace linnet::wasm_simd128
