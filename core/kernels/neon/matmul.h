// Matrix times activations with NEON, for the three tables: written once over how a table multiplies integers
// (neon/matmul.cpp, neon_dotprod/, neon_i8mm/). Templates here take the table's own types, so that each table has functions
// of its own.
//
// Such a type multiplies 32 columns of some rows and tokens into `sums`, registers of four exact integers, in one of two
// layouts: Rows has four rows of one token in a sum, Pairs two rows of two tokens.
#pragma once

#include "core/kernels/generic/walk.h"
#include "core/kernels/kernels.h"
#include "core/kernels/neon/vector.h"

namespace linnet::neon {

using generic::Block;
using generic::Token;

struct Rows {
    static constexpr uint32_t tokens = 1;  // of a sum
    static constexpr uint32_t rows = 4;

    LINNET_INLINE float32x4_t token_scales(const Token* token, uint32_t step) { return vdupq_n_f32(token->scales[step]); }
    // The scales of the rows of S sums, from f16.
    template <uint32_t S>
    LINNET_INLINE void row_scales(const uint8_t* from, float32x4_t (&out)[S]) {
        for (uint32_t s = 0; s < S; ++s) {
            uint16_t halves[4];
            memcpy(halves, from + s * 8, sizeof halves);
            out[s] = widen_half(vld1_u16(halves));
        }
    }
    template <uint32_t S>
    LINNET_INLINE void store(const float32x4_t (&total)[S], float (*out)[16], uint32_t row) {
        for (uint32_t s = 0; s < S; ++s) vst1q_f32(out[0] + row + s * 4, total[s]);
    }
};

// Lanes: row 0 of token 0, row 0 of token 1, row 1 of token 0, row 1 of token 1.
struct Pairs {
    static constexpr uint32_t tokens = 2;
    static constexpr uint32_t rows = 2;

    LINNET_INLINE float32x4_t token_scales(const Token* token, uint32_t step) {
        const float32x2_t both = vset_lane_f32(token[1].scales[step], vdup_n_f32(token[0].scales[step]), 1);
        return vcombine_f32(both, both);
    }
    template <uint32_t S>
    LINNET_INLINE void row_scales(const uint8_t* from, float32x4_t (&out)[S]) {
        float32x4_t four[S / 2];
        Rows::row_scales<S / 2>(from, four);
        for (uint32_t s = 0; s < S; s += 2) {
            out[s] = vzip1q_f32(four[s / 2], four[s / 2]);
            out[s + 1] = vzip2q_f32(four[s / 2], four[s / 2]);
        }
    }
    template <uint32_t S>
    LINNET_INLINE void store(const float32x4_t (&total)[S], float (*out)[16], uint32_t row) {
        for (uint32_t s = 0; s < S; s += 2, row += 4) {
            vst1q_f32(out[0] + row, vuzp1q_f32(total[s], total[s + 1]));
            vst1q_f32(out[1] + row, vuzp2q_f32(total[s], total[s + 1]));
        }
    }
};

// S sums of rows from first_row on, for each of T tokens or pairs of them. out[token]: 16 rows.
template <typename Dots, uint32_t T, uint32_t S, bool one_step>
LINNET_INLINE void run(const Block& block, uint32_t first_row, const Token* tokens, float (*out)[16]) {
    const uint8_t* at = block.at;
    float32x4_t total[T][S];
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t s = 0; s < S; ++s) total[t][s] = vdupq_n_f32(0.0f);
    }
    for (uint32_t step = 0; step < block.steps;) {
        const uint8_t* scales = at + first_row * 2;
        at += 64;
        for (uint32_t group = 0; group < 2 && step < block.steps; ++group, scales += 32) {
            const uint32_t left = block.steps - step;
            const uint32_t here = one_step ? 1 : left < block.steps_in_group ? left : block.steps_in_group;
            float32x4_t part[T][S];
            for (uint32_t t = 0; t < T; ++t) {
                for (uint32_t s = 0; s < S; ++s) part[t][s] = vdupq_n_f32(0.0f);
            }
            for (uint32_t i = 0; i < here; ++i, ++step, at += Dots::step_bytes) {
                int32x4_t sums[T][S];
                Dots::template dot<T, S>(at + first_row * 4, tokens, size_t{step} * 32, sums);
                for (uint32_t t = 0; t < T; ++t) {
                    const float32x4_t scale = Dots::token_scales(tokens + t * Dots::tokens, step);
                    for (uint32_t s = 0; s < S; ++s) {
                        const float32x4_t scaled = vmulq_f32(vcvtq_f32_s32(sums[t][s]), scale);
                        // A group of one step: 0 + scaled is scaled, but for the sign of a zero, which a sum that began with
                        // +0 does not show.
                        part[t][s] = one_step ? scaled : vaddq_f32(part[t][s], scaled);
                    }
                }
            }
            float32x4_t weights[S];
            Dots::template row_scales<S>(scales, weights);
            for (uint32_t t = 0; t < T; ++t) {
                for (uint32_t s = 0; s < S; ++s) total[t][s] = vaddq_f32(total[t][s], vmulq_f32(part[t][s], weights[s]));
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) Dots::template store<S>(total[t], out + t * Dots::tokens, first_row);
}

// As many rows at a time as let all sums, and the totals that they go to, stay in registers: eight sums are a quarter of them.
template <typename Dots, uint32_t T, bool one_step>
__attribute__((noinline)) void tile(const Block& block, const Token* tokens, float (*out)[16]) {
    constexpr uint32_t all = 16 / Dots::rows;
    constexpr uint32_t most = T == 1 ? 8 : T == 2 ? 4 : 2;
    constexpr uint32_t here = most < all ? most : all;
    for (uint32_t row = 0; row < 16; row += here * Dots::rows) run<Dots, T, here, one_step>(block, row, tokens, out);
}

// As many tokens as a tile takes, at most four; returns how many.
template <typename Dots, bool one_step>
uint32_t tile_of(uint32_t count, const Block& block, const Token* tokens, float (*out)[16]) {
    if constexpr (Dots::tokens == 1) {
        switch (count) {
            case 1: tile<Dots, 1, one_step>(block, tokens, out); return 1;
            case 2: tile<Dots, 2, one_step>(block, tokens, out); return 2;
            case 3: tile<Dots, 3, one_step>(block, tokens, out); return 3;
            default: tile<Dots, 4, one_step>(block, tokens, out); return 4;
        }
    } else {
        if (count < 4) {
            tile<Dots, 1, one_step>(block, tokens, out);
            return 2;
        }
        tile<Dots, 2, one_step>(block, tokens, out);
        return 4;
    }
}

template <typename Dots>
uint32_t tile_of(uint32_t count, const Block& block, const Token* tokens, float (*out)[16]) {
    return block.steps_in_group == 1 ? tile_of<Dots, true>(count, block, tokens, out)
                                     : tile_of<Dots, false>(count, block, tokens, out);
}

// The rows of a block that the matrix has. (Of a length that is known, a copy is a few instructions; else it is a call.)
LINNET_INLINE void store_rows(float* to, const float (&from)[16], uint32_t rows) {
    if (rows == 16) {
        memcpy(to, from, sizeof from);
    } else {
        memcpy(to, from, rows * sizeof(float));
    }
}

// int4 and int8. Dots: for one token; Several: for two or more, which may be the same type.
template <typename Dots4, typename Several4, typename Dots8, typename Several8>
LINNET_INLINE void matmul_integers(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                                   uint32_t first_block, uint32_t last_block) {
    constexpr uint32_t most = 4;  // tokens that share an unpacking of the weights
    const bool int4 = matrix.format == TensorFormat::int4_packed;
    const uint32_t steps = x.padded / 32;
    float out[most][16];
    for (uint32_t index = first_block; index < last_block; ++index) {
        const Block block = {matrix.data + index * matrix.stride, steps, matrix.group / 32};
        const uint32_t first_row = index * 16;
        const uint32_t rows = matrix.rows - first_row < 16 ? matrix.rows - first_row : 16;
        for (uint32_t token = 0; token < tokens;) {
            Token from[most];
            uint32_t count = tokens - token < most ? tokens - token : most;
            for (uint32_t t = 0; t < count; ++t) from[t] = generic::token_at(x, token + t);
            if (count == 1) {
                count = int4 ? tile_of<Dots4>(1, block, from, out) : tile_of<Dots8>(1, block, from, out);
            } else {
                count = int4 ? tile_of<Several4>(count, block, from, out) : tile_of<Several8>(count, block, from, out);
            }
            for (uint32_t t = 0; t < count; ++t) store_rows(y + (token + t) * y_stride + first_row, out[t], rows);
            token += count;
        }
    }
}

// f32, the same in all three tables (neon/matmul.cpp).
void matmul_f32(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                uint32_t first_block, uint32_t last_block);

}  // namespace linnet::neon
