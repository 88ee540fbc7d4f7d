// Matrix times activations in WebAssembly, for both tables: written once over Int4, which is how a table multiplies nibbles
// (wasm_simd128/matmul.cpp and wasm_relaxed/matmul.cpp).
#pragma once

#include "core/kernels/generic/walk.h"
#include "core/kernels/kernels.h"
#include "core/kernels/wasm_simd128/tile.h"

namespace linnet::wasm_simd128 {

inline constexpr uint32_t tile_tokens = 4;           // tokens that share one unpacking of the weights
inline constexpr uint32_t most_blocks = 8;           // blocks that share a panel, where there are more tokens than that,
inline constexpr uint64_t group_bytes = 256 * 1024;  // and as many of them as fit into a second-level cache

inline constexpr uint32_t most_ahead = 384;  // bytes (tile.h)

using generic::Token;

// Weight times activation over 32 columns: exact. Bytes are value + 128, taken as two planes of 16-bit lanes: columns 0 and 2,
// columns 1 and 3. In both tables: a relaxed dot has room for 7 bits only.
struct Int8 {
    static constexpr uint32_t parts = 8;
    static constexpr uint32_t words = 1;
    struct Masks {
        v128_t low_byte;
    };

    LINNET_INLINE Masks masks() { return {mask16<0xff>()}; }
    LINNET_INLINE int32_t begin(int32_t sum) { return -128 * sum; }
    LINNET_INLINE v128_t finish(v128_t sum) { return sum; }
    LINNET_INLINE void spread(const int8_t* values, uint8_t* to) {
        const v128_t a = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(values));
        wasm_v128_store64_lane(to, wasm_i16x8_shuffle(a, a, 0, 2, 1, 3, 0, 2, 1, 3), 0);
    }

    template <uint32_t T, uint32_t Q, bool upper>
    LINNET_INLINE void multiply(const uint8_t* weights, const uint8_t* activations, const Masks& masks, v128_t (&sum)[T][Q]) {
        v128_t plane[Q];
        for (uint32_t q = 0; q < Q; ++q) {
            const v128_t bytes = wasm_v128_load(weights + q * 16);
            plane[q] = upper ? wasm_u16x8_shr(bytes, 8) : wasm_v128_and(bytes, masks.low_byte);
        }
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t a = wasm_v128_load32_splat(activations + t * 8);
            for (uint32_t q = 0; q < Q; ++q) sum[t][q] = wasm_i32x4_add(sum[t][q], wasm_i32x4_dot_i16x8(plane[q], a));
        }
    }
};

using Tile = void (*)(const uint8_t* at, uint32_t ahead, uint32_t steps, uint32_t steps_in_group, const uint8_t* panel,
                      bool goes_on, float (*totals)[16]);

template <typename Dot, bool one_step>
inline constexpr Tile tiles[tile_tokens] = {tile<Dot, 1, one_step>, tile<Dot, 2, one_step>, tile<Dot, 3, one_step>,
                                            tile<Dot, 4, one_step>};

// Those for a matrix, by the number of tokens less one.
template <typename Dot>
LINNET_INLINE const Tile* tiles_of(const PackedMatrix& matrix) {
    return matrix.group == 32 ? tiles<Dot, true> : tiles<Dot, false>;
}

using Fill = void (*)(const Token* tokens, uint32_t first_step, uint32_t steps, uint8_t* panel);

template <typename Dot>
inline constexpr Fill fills[tile_tokens] = {fill_panel<Dot, 1>, fill_panel<Dot, 2>, fill_panel<Dot, 3>, fill_panel<Dot, 4>};

// How many bytes ahead there are weights to be read while a block is (tile.h): they are in the next block, if there is one.
LINNET_INLINE uint32_t ahead_of(const PackedMatrix& matrix, uint32_t block) {
    return (block + 1) * 16 < matrix.rows && matrix.stride > most_ahead ? most_ahead : 0;
}

LINNET_INLINE void put(const PackedMatrix& matrix, uint32_t block, const float (*totals)[16], uint32_t tokens, float* y,
                       size_t y_stride) {
    const uint32_t first_row = block * 16;
    const uint32_t rows = matrix.rows - first_row < 16 ? matrix.rows - first_row : 16;
    for (uint32_t t = 0; t < tokens; ++t) {
        float* const to = y + t * y_stride + first_row;
        if (rows == 16) {
            memcpy(to, totals[t], sizeof totals[t]);
        } else {
            copy_some(to, totals[t], rows);
        }
    }
}

// One token whose activations all find a place in a panel: decoding. Weights are read in one run from the first block to the last.
template <typename Dot>
void matmul_one_token(const PackedMatrix& matrix, const Activations& x, float* y, uint32_t first_block, uint32_t last_block) {
    alignas(64) uint8_t panel[panel_bytes];
    const Token token = generic::token_at(x, 0);
    const uint32_t steps = x.padded / 32;
    const Tile one = tiles_of<Dot>(matrix)[0];
    fill_panel<Dot, 1>(&token, 0, steps, panel);
    for (uint32_t block = first_block; block < last_block; ++block) {
        float totals[1][16];
        one(matrix.data + block * matrix.stride, ahead_of(matrix, block), steps, matrix.group / 32, panel, false, totals);
        put(matrix, block, totals, 1, y, 0);
    }
}

// A few tokens at a time, against as many blocks as fit into a cache; and of more columns than a panel holds one run after the
// other.
template <typename Dot>
void matmul_quantised(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                      uint32_t first_block, uint32_t last_block) {
    if (tokens == 0) return;
    if (tokens == 1 && x.padded / 32 <= panel_steps<Dot>(1)) {
        return matmul_one_token<Dot>(matrix, x, y, first_block, last_block);
    }
    alignas(64) uint8_t panel[panel_bytes];
    float totals[most_blocks][tile_tokens][16];
    const uint32_t steps = x.padded / 32;
    const uint32_t steps_in_group = matrix.group / 32;
    const Tile* const of_count = tiles_of<Dot>(matrix);
    const uint32_t most_steps = panel_steps<Dot>(tokens < tile_tokens ? tokens : tile_tokens);
    const bool fill_once = tokens <= tile_tokens && steps <= most_steps;
    uint32_t fit = most_blocks;
    while (fit > 1 && tokens > tile_tokens && fit * matrix.stride > group_bytes) --fit;
    for (uint32_t block = first_block; block < last_block;) {
        const uint32_t blocks = last_block - block < fit ? last_block - block : fit;
        for (uint32_t token = 0; token < tokens;) {
            const uint32_t count = tokens - token < tile_tokens ? tokens - token : tile_tokens;
            Token from[tile_tokens];
            for (uint32_t t = 0; t < count; ++t) from[t] = generic::token_at(x, token + t);
            size_t behind = 0;  // bytes of a block that earlier runs have read
            for (uint32_t step = 0; step < steps;) {
                const uint32_t here = steps - step < most_steps ? steps - step : most_steps;
                if (!fill_once || block == first_block) fills<Dot>[count - 1](from, step, here, panel);
                for (uint32_t i = 0; i < blocks; ++i) {
                    of_count[count - 1](matrix.data + (block + i) * matrix.stride + behind, ahead_of(matrix, block + i), here,
                                        steps_in_group, panel, step != 0, totals[i]);
                }
                step += here;
                behind += here * step_bytes<Dot> + here / steps_in_group * 32;
            }
            for (uint32_t i = 0; i < blocks; ++i) put(matrix, block + i, totals[i], count, y + token * y_stride, y_stride);
            token += count;
        }
        block += blocks;
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

// Two tokens at a time: their sums are half of the registers there are.
__attribute__((noinline)) inline void matmul_f32(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y,
                                                 size_t y_stride, uint32_t first_block, uint32_t last_block) {
    float totals[2][16];
    for (uint32_t block = first_block; block < last_block; ++block) {
        const uint8_t* const at = matrix.data + block * matrix.stride;
        for (uint32_t token = 0; token < tokens; token += 2) {
            const float* const from[2] = {x.f32 + token * x.f32_stride, x.f32 + (token + 1) * x.f32_stride};
            const uint32_t count = tokens - token < 2 ? 1 : 2;
            count == 1 ? tile_f32<1>(at, matrix.columns, from, totals) : tile_f32<2>(at, matrix.columns, from, totals);
            put(matrix, block, totals, count, y + token * y_stride, y_stride);
        }
    }
}

template <typename Int4>
void matmul_with(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                 uint32_t first_block, uint32_t last_block) {
    switch (matrix.format) {
        case TensorFormat::f32_packed: return matmul_f32(matrix, x, tokens, y, y_stride, first_block, last_block);
        case TensorFormat::int4_packed: return matmul_quantised<Int4>(matrix, x, tokens, y, y_stride, first_block, last_block);
        default: return matmul_quantised<Int8>(matrix, x, tokens, y, y_stride, first_block, last_block);
    }
}

}  // namespace linnet::wasm_simd128
