// Activations as the tiles of tile.h read them: for each step of 32 columns those of up to four tokens side by side, in the
// order in which they are read, with everything ready that is the same for all rows. Filled once, read for many rows.
//
// A step, in words: of each token the i32 or two i16 from which its sums begin; of each its scale; then, for each part of the
// step (64 bytes of weights) and each token, Dot::words that the lower halves of the weights meet and as many for the upper.
#pragma once

#include "core/kernels/generic/walk.h"
#include "core/kernels/wasm_simd128/vector.h"

namespace linnet::wasm_simd128 {

using generic::Token;

inline constexpr uint32_t panel_bytes = 32 * 1024;  // on the stack; about a first-level cache
template <typename Dot>
inline constexpr uint32_t panel_step_bytes = 8 + 8 * Dot::words * Dot::parts;  // of a token

// How many steps find a place together: a multiple of 8, so that a run ends where a span of two groups does.
template <typename Dot>
LINNET_INLINE uint32_t panel_steps(uint32_t tokens) {
    return panel_bytes / (tokens * panel_step_bytes<Dot>) / 8 * 8;
}

template <typename Dot, uint32_t T>
void fill_panel(const Token* tokens, uint32_t first_step, uint32_t steps, uint8_t* panel) {
    constexpr uint32_t part_columns = 32 / Dot::parts;
    for (uint32_t step = first_step; step < first_step + steps; ++step, panel += T * panel_step_bytes<Dot>) {
        for (uint32_t t = 0; t < T; ++t) {
            const int32_t begin = Dot::begin(tokens[t].sums[step]);
            memcpy(panel + t * 4, &begin, 4);
            memcpy(panel + (T + t) * 4, tokens[t].scales + step, 4);
            const int8_t* const values = tokens[t].values + size_t{step} * 32;
            for (uint32_t part = 0; part < Dot::parts; ++part) {
                Dot::spread(values + part * part_columns, panel + T * 8 + (part * T + t) * 8 * Dot::words);
            }
        }
    }
}

}  // namespace linnet::wasm_simd128
