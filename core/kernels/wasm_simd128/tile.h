// A block of 16 rows times a few tokens in WebAssembly, written once over Dot, which is how a table multiplies 32 columns
// (Int8 in matmul.h, Int4 in wasm_simd128/matmul.cpp and wasm_relaxed/matmul.cpp). Lanes are rows: a quarter of a block is 4
// rows, of which 16 bytes hold 4 columns (int8) or 8 (int4).
//
// A Dot has:
//   parts, words              a step's weights are that many times 64 bytes; words of activations that half of a part meets
//   begin(sum)                the word with which a step's sums begin, for weights being stored without a sign
//   spread(values, to)        a part's activations: the words that the lower halves of its weights meet, and those of the upper
//   Masks, masks()            constants, to be kept in registers
//   multiply<T, Q, upper>()   adds half of a part to the sums of T tokens and Q quarters
//   finish(sum)               a step's dot products as four i32
//
// How it is written follows what compilers do to it (clang 19, and V8, which has 15 registers for vectors on x86-64):
//  * The parts of a step are a loop that is not unrolled. Within a basic block clang puts the sums one after the other, each
//    with all that it is made of, and keeps what they share in more registers than there are.
//  * For three tokens and more the two halves of a part are loops of their own, for the same reason.
//  * Constants come from memory (vector.h), and everything about the tokens from one pointer.
// And what processors do: one token reads each line of weights once. Where nothing but weights is read for a while (int8, and
// int4 in larger groups than 32), a word `ahead` of them is read with each line: a fifth faster from DRAM with 384 bytes, slower
// with 1024. With int4 in groups of 32 it brings nothing.
#pragma once

#include "core/kernels/wasm_simd128/panel.h"

namespace linnet::wasm_simd128 {

template <typename Dot>
inline constexpr uint32_t step_bytes = Dot::parts * 64;  // of weights

template <typename Dot, uint32_t T, uint32_t Q, bool lower, bool upper, bool touches>
LINNET_INLINE void multiply_parts(const uint8_t* at, uint32_t ahead, const uint8_t* words, const typename Dot::Masks& masks,
                                  v128_t (&sum)[T][Q]) {
    const uint8_t* const end = at + step_bytes<Dot>;
#pragma clang loop unroll(disable)
    do {
        if (touches) (void)*reinterpret_cast<const volatile uint32_t*>(at + ahead);
        if (lower) Dot::template multiply<T, Q, false>(at, words, masks, sum);
        if (upper) Dot::template multiply<T, Q, true>(at, words + 4 * Dot::words, masks, sum);
        at += 64;
        words += 8 * T * Dot::words;
    } while (at != end);
}

// T tokens times Q quarters over one step: dot products times the tokens' scales. `at`, `panel`: the step's.
template <typename Dot, uint32_t T, uint32_t Q, bool touches>
LINNET_INLINE void multiply_step(const uint8_t* at, uint32_t ahead, const uint8_t* panel, const typename Dot::Masks& masks,
                                 v128_t (&scaled)[T][Q]) {
    v128_t sum[T][Q];
    for (uint32_t t = 0; t < T; ++t) {
        const v128_t begin = wasm_v128_load32_splat(panel + t * 4);
        for (uint32_t q = 0; q < Q; ++q) sum[t][q] = begin;
    }
    const uint8_t* const words = panel + T * 8;
    if constexpr (T <= 2) {
        multiply_parts<Dot, T, Q, true, true, touches>(at, ahead, words, masks, sum);
    } else {
        multiply_parts<Dot, T, Q, true, false, false>(at, 0, words, masks, sum);
        multiply_parts<Dot, T, Q, false, true, false>(at, 0, words, masks, sum);
    }
    for (uint32_t t = 0; t < T; ++t) {
        const v128_t scale = wasm_v128_load32_splat(panel + (T + t) * 4);
        for (uint32_t q = 0; q < Q; ++q) {
            scaled[t][q] = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(Dot::finish(sum[t][q])), scale);
        }
    }
}

// A group's products, times its scales, for T tokens and Q quarters. scales, weights, words: the group's; words is of the panel.
// one_step: `steps` is 1.
template <typename Dot, uint32_t T, uint32_t Q, bool one_step>
LINNET_INLINE void add_group(const uint8_t* scales, const uint8_t* weights, uint32_t ahead, const uint8_t* words,
                             uint32_t steps, const typename Dot::Masks& masks, const HalfWidener& widen_half,
                             v128_t (&total)[T][Q]) {
    v128_t part[T][Q];
    if constexpr (one_step) {
        // 0 + scaled is scaled, but for the sign of a zero, which a sum that began with +0 does not show.
        multiply_step<Dot, T, Q, T == 1 && Dot::parts == 8>(weights, ahead, words, masks, part);
    } else {
        for (uint32_t t = 0; t < T; ++t) {
            for (uint32_t q = 0; q < Q; ++q) part[t][q] = wasm_f32x4_splat(0.0f);
        }
#pragma clang loop unroll(disable)
        do {
            v128_t scaled[T][Q];
            multiply_step<Dot, T, Q, T == 1>(weights, ahead, words, masks, scaled);
            for (uint32_t t = 0; t < T; ++t) {
                for (uint32_t q = 0; q < Q; ++q) part[t][q] = wasm_f32x4_add(part[t][q], scaled[t][q]);
            }
            weights += step_bytes<Dot>;
            words += T * panel_step_bytes<Dot>;
        } while (--steps != 0);
    }
    for (uint32_t q = 0; q < Q; ++q) {
        const v128_t scale = widen_half(scales + q * 8);
        for (uint32_t t = 0; t < T; ++t) {
            total[t][q] = wasm_f32x4_add(total[t][q], wasm_f32x4_mul(part[t][q], scale));
        }
    }
}

// Q quarters of a block from first_quarter on, for T tokens: `totals` begins, or goes on, over `steps` steps.
// at: the scales of the first of them. ahead: bytes, 0 where there is nothing to be read. one_step: groups are of one step.
template <typename Dot, uint32_t T, uint32_t Q, bool one_step>
LINNET_INLINE void run(const uint8_t* at, uint32_t ahead, uint32_t steps, uint32_t steps_in_group, const uint8_t* panel,
                       uint32_t first_quarter, bool goes_on, float (*totals)[16]) {
    const typename Dot::Masks masks = Dot::masks();
    const HalfWidener widen_half = half_widener();
    const uint8_t* scales = at + first_quarter * 8;
    at += 64 + first_quarter * 16;
    v128_t total[T][Q];
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < Q; ++q) {
            total[t][q] = goes_on ? wasm_v128_load(totals[t] + (first_quarter + q) * 4) : wasm_f32x4_splat(0.0f);
        }
    }
    uint32_t left = steps;
    if constexpr (one_step && T == 1) {
        // A span at a time, which leaves less to count: a fiftieth faster.
        for (; left >= 2; left -= 2) {
            add_group<Dot, T, Q, one_step>(scales, at, ahead, panel, 1, masks, widen_half, total);
            add_group<Dot, T, Q, one_step>(scales + 32, at + step_bytes<Dot>, ahead, panel + panel_step_bytes<Dot>, 1, masks,
                                           widen_half, total);
            scales += 64 + 2 * step_bytes<Dot>;
            at += 64 + 2 * step_bytes<Dot>;
            panel += 2 * panel_step_bytes<Dot>;
        }
        if (left != 0) add_group<Dot, T, Q, one_step>(scales, at, ahead, panel, 1, masks, widen_half, total);
    } else {
        bool second = false;  // of the two groups of a span
        while (left != 0) {
            const uint32_t group_steps = one_step ? 1 : left < steps_in_group ? left : steps_in_group;
            add_group<Dot, T, Q, one_step>(scales, at, ahead, panel, group_steps, masks, widen_half, total);
            at += group_steps * step_bytes<Dot>;
            panel += group_steps * T * panel_step_bytes<Dot>;
            left -= group_steps;
            scales += 32;
            if (second) {
                scales = at - first_quarter * 8;
                at += 64;
            }
            second = !second;
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t q = 0; q < Q; ++q) wasm_v128_store(totals[t] + (first_quarter + q) * 4, total[t][q]);
    }
}

// One or two tokens: all four quarters in one pass over memory. More: two quarters at a time, so that the sums of all tokens
// stay in registers; the second pass finds the block in the cache.
template <typename Dot, uint32_t T, bool one_step>
__attribute__((noinline)) void tile(const uint8_t* at, uint32_t ahead, uint32_t steps, uint32_t steps_in_group,
                                    const uint8_t* panel, bool goes_on, float (*totals)[16]) {
    constexpr uint32_t quarters = T <= 2 ? 4 : 2;
    for (uint32_t quarter = 0; quarter < 4; quarter += quarters) {
        run<Dot, T, quarters, one_step>(at, ahead, steps, steps_in_group, panel, quarter, goes_on, totals);
    }
}

}  // namespace linnet::wasm_simd128
