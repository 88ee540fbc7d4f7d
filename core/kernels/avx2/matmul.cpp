// Matrix times activations, AVX2. Lanes are rows: a block of 16 rows is two registers wide, called its halves.
//
// int4: nibbles are unsigned (value + 8), so that one maddubs gives two products a 16-bit lane; a lane gathers all 32
// columns before it is widened: 16 pairs of at most 15 * 127 * 2 = 3810, of which each lane sums eight: 30480 < 2^15.
// 8 * sum(activations) is then taken off. int8: |weight| times the activation with the weight's sign, 128 * 127 * 2 =
// 32512 at most in a 16-bit lane, which is widened at once.
#include "core/kernels/avx2/avx2.h"
#include "core/kernels/avx2/vector.h"
#include "core/kernels/generic/walk.h"

namespace linnet::avx2 {

namespace {

constexpr uint32_t tile_tokens = 4;  // tokens that share one unpacking of the weights

using generic::Block;
using generic::Token;

// Asks for the 64 bytes that come 4 KB later, in this block or one of the next, which follow it without a gap. (A request
// beyond the last block is not an access.) Without this the processor's own prefetcher reaches 60 to 80 % of the memory's
// speed, with it 85 to 95: core/kernels/README.md.
LINNET_INLINE void fetch_ahead(const uint8_t* from) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(from) + 4096), _MM_HINT_T0);
}

// Weight times activation over 32 columns, for `halves` halves of the block from `weights` on and T tokens: exact.
template <uint32_t T, uint32_t halves>
LINNET_INLINE void dot_int4(const uint8_t* weights, const Token* tokens, size_t column, __m256i (&dot)[T][halves]) {
    const __m256i low_nibble = _mm256_set1_epi8(15);
    __m256i sum[T][halves];
    for (uint32_t pair = 0; pair < 4; ++pair) {
        __m256i low[halves], high[halves];
        for (uint32_t half = 0; half < halves; ++half) {
            const __m256i bytes = load8(weights + pair * 64 + half * 32);
            low[half] = _mm256_and_si256(bytes, low_nibble);
            high[half] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibble);
        }
        for (uint32_t t = 0; t < T; ++t) {
            const __m256i even = splat4(tokens[t].values + column + pair * 8);
            const __m256i odd = splat4(tokens[t].values + column + pair * 8 + 4);
            for (uint32_t half = 0; half < halves; ++half) {
                const __m256i both =
                    _mm256_add_epi16(_mm256_maddubs_epi16(low[half], even), _mm256_maddubs_epi16(high[half], odd));
                sum[t][half] = pair == 0 ? both : _mm256_add_epi16(sum[t][half], both);
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        const __m256i offset = _mm256_slli_epi32(_mm256_set1_epi32(tokens[t].sums[column / 32]), 3);
        for (uint32_t half = 0; half < halves; ++half) {
            dot[t][half] = _mm256_sub_epi32(_mm256_madd_epi16(sum[t][half], _mm256_set1_epi16(1)), offset);
        }
    }
}

template <uint32_t T, uint32_t halves>
LINNET_INLINE void dot_int8(const uint8_t* weights, const Token* tokens, size_t column, __m256i (&dot)[T][halves]) {
    for (uint32_t quad = 0; quad < 8; ++quad) {
        __m256i value[halves], magnitude[halves];
        for (uint32_t half = 0; half < halves; ++half) {
            value[half] = _mm256_xor_si256(load8(weights + quad * 64 + half * 32), _mm256_set1_epi8(-128));
            magnitude[half] = _mm256_abs_epi8(value[half]);
        }
        for (uint32_t t = 0; t < T; ++t) {
            const __m256i a = splat4(tokens[t].values + column + quad * 4);
            for (uint32_t half = 0; half < halves; ++half) {
                const __m256i pairs = _mm256_maddubs_epi16(magnitude[half], _mm256_sign_epi8(a, value[half]));
                const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                dot[t][half] = quad == 0 ? quads : _mm256_add_epi32(dot[t][half], quads);
            }
        }
    }
}

// `halves` halves of a block, from first_half on, for T tokens. out[token]: 16 rows.
template <bool int4, uint32_t T, uint32_t halves, bool one_step>
LINNET_INLINE void run(const Block& block, uint32_t first_half, const Token* tokens, float (*out)[16]) {
    constexpr uint32_t step_bytes = int4 ? 256 : 512;
    const uint8_t* at = block.at;
    __m256 total[T][halves];
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t half = 0; half < halves; ++half) total[t][half] = _mm256_setzero_ps();
    }
    for (uint32_t step = 0; step < block.steps;) {
        const uint8_t* scales = at + first_half * 16;
        fetch_ahead(at);
        at += 64;
        for (uint32_t group = 0; group < 2 && step < block.steps; ++group, scales += 32) {
            const uint32_t left = block.steps - step;
            const uint32_t end =
                one_step || left < block.steps_in_group ? step + (one_step ? 1 : left) : step + block.steps_in_group;
            __m256 part[T][halves];
            for (uint32_t t = 0; t < T; ++t) {
                for (uint32_t half = 0; half < halves; ++half) part[t][half] = _mm256_setzero_ps();
            }
            for (; step < end; ++step, at += step_bytes) {
                for (uint32_t line = 0; line < step_bytes; line += 64) fetch_ahead(at + line);
                __m256i dot[T][halves];
                if constexpr (int4) {
                    dot_int4<T, halves>(at + first_half * 32, tokens, size_t{step} * 32, dot);
                } else {
                    dot_int8<T, halves>(at + first_half * 32, tokens, size_t{step} * 32, dot);
                }
                for (uint32_t t = 0; t < T; ++t) {
                    const __m256 scale = _mm256_set1_ps(tokens[t].scales[step]);
                    for (uint32_t half = 0; half < halves; ++half) {
                        const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dot[t][half]), scale);
                        // A group of one step: 0 + scaled is scaled, but for the sign of a zero, which a sum that began
                        // with +0 does not show.
                        part[t][half] = one_step ? scaled : _mm256_add_ps(part[t][half], scaled);
                    }
                }
            }
            for (uint32_t half = 0; half < halves; ++half) {
                const __m256 scale = widen_half(load4(scales + half * 16));
                for (uint32_t t = 0; t < T; ++t) {
                    total[t][half] = _mm256_add_ps(total[t][half], _mm256_mul_ps(part[t][half], scale));
                }
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t half = 0; half < halves; ++half) {
            _mm256_storeu_ps(out[t] + (first_half + half) * 8, total[t][half]);
        }
    }
}

// One token: both halves at once, one pass over memory. Several: one half after the other, so that the sums of all tokens
// stay in registers; the second pass finds the block in the cache.
template <bool int4, uint32_t T, bool one_step>
__attribute__((noinline)) void tile(const Block& block, const Token* tokens, float (*out)[16]) {
    if constexpr (T == 1) {
        run<int4, 1, 2, one_step>(block, 0, tokens, out);
    } else {
        run<int4, T, 1, one_step>(block, 0, tokens, out);
        run<int4, T, 1, one_step>(block, 1, tokens, out);
    }
}

template <bool int4, bool one_step>
void tile_of(uint32_t count, const Block& block, const Token* tokens, float (*out)[16]) {
    switch (count) {
        case 1: return tile<int4, 1, one_step>(block, tokens, out);
        case 2: return tile<int4, 2, one_step>(block, tokens, out);
        case 3: return tile<int4, 3, one_step>(block, tokens, out);
        default: return tile<int4, 4, one_step>(block, tokens, out);
    }
}

// f32: T tokens, one column after the other.
template <uint32_t T>
__attribute__((noinline)) void tile_f32(const uint8_t* block, uint32_t columns, const float* const* x, float (*out)[16]) {
    const float* weights = reinterpret_cast<const float*>(block);
    __m256 total[T][2];
    for (uint32_t t = 0; t < T; ++t) total[t][0] = total[t][1] = _mm256_setzero_ps();
    for (uint32_t column = 0; column < columns; ++column, weights += 16) {
        fetch_ahead(block + size_t{column} * 64);
        const __m256 w[2] = {_mm256_loadu_ps(weights), _mm256_loadu_ps(weights + 8)};
        for (uint32_t t = 0; t < T; ++t) {
            const __m256 a = _mm256_broadcast_ss(x[t] + column);
            for (uint32_t half = 0; half < 2; ++half) {
                total[t][half] = _mm256_add_ps(total[t][half], _mm256_mul_ps(w[half], a));
            }
        }
    }
    for (uint32_t t = 0; t < T; ++t) {
        for (uint32_t half = 0; half < 2; ++half) _mm256_storeu_ps(out[t] + half * 8, total[t][half]);
    }
}

void tile_of_f32(uint32_t count, const uint8_t* block, uint32_t columns, const float* const* x, float (*out)[16]) {
    switch (count) {
        case 1: return tile_f32<1>(block, columns, x, out);
        case 2: return tile_f32<2>(block, columns, x, out);
        case 3: return tile_f32<3>(block, columns, x, out);
        default: return tile_f32<4>(block, columns, x, out);
    }
}

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    const bool f32 = matrix.format == TensorFormat::f32_packed;
    const bool int4 = matrix.format == TensorFormat::int4_packed;
    const uint32_t steps = x.padded / 32;
    const uint32_t steps_in_group = matrix.group / 32;
    float out[tile_tokens][16];
    for (uint32_t index = first_block; index < last_block; ++index) {
        const Block block = {matrix.data + index * matrix.stride, steps, steps_in_group};
        const uint32_t first_row = index * 16;
        const uint32_t rows = matrix.rows - first_row < 16 ? matrix.rows - first_row : 16;
        for (uint32_t token = 0; token < tokens; token += tile_tokens) {
            const uint32_t count = tokens - token < tile_tokens ? tokens - token : tile_tokens;
            if (f32) {
                const float* from[tile_tokens];
                for (uint32_t t = 0; t < count; ++t) from[t] = x.f32 + (token + t) * x.f32_stride;
                tile_of_f32(count, block.at, matrix.columns, from, out);
            } else {
                Token from[tile_tokens];
                for (uint32_t t = 0; t < count; ++t) from[t] = generic::token_at(x, token + t);
                if (int4) {
                    steps_in_group == 1 ? tile_of<true, true>(count, block, from, out)
                                        : tile_of<true, false>(count, block, from, out);
                } else {
                    steps_in_group == 1 ? tile_of<false, true>(count, block, from, out)
                                        : tile_of<false, false>(count, block, from, out);
                }
            }
            for (uint32_t t = 0; t < count; ++t) {
                memcpy(y + (token + t) * y_stride + first_row, out[t], rows * sizeof(float));
            }
        }
    }
}

}  // namespace linnet::avx2
