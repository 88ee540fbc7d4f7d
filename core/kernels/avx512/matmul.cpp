// Matrix times activations, AVX-512 with VNNI. Lanes are rows: a block of 16 rows is one register wide.
//
// vpdpbusd adds four products of unsigned and signed bytes to a 32-bit lane, exactly. int4: nibbles are unsigned
// (value + 8), int8: bytes are value + 128; the sum begins with -8 or -128 times the sum of the activations.
#include "core/kernels/avx512/avx512.h"
#include "core/kernels/avx512/vector.h"
#include "core/kernels/generic/walk.h"

namespace linnet::avx512 {

namespace {

constexpr uint32_t tile_tokens = 8;  // tokens that share one unpacking of the weights

using generic::Block;
using generic::Token;

// Asks for the 64 bytes that come 4 KB later, in this block or one of the next, which follow it without a gap. (A request
// beyond the last block is not an access.) Without this the processor's own prefetcher reaches 60 to 80 % of the memory's
// speed, with it 85 to 95: core/kernels/README.md.
LINNET_INLINE void fetch_ahead(const uint8_t* from) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(from) + 4096), _MM_HINT_T0);
}

// Weight times activation over 32 columns, for 16 rows and T tokens: exact.
template <uint32_t T>
LINNET_INLINE void dot_int4(const uint8_t* weights, const Token* tokens, size_t column, __m512i (&dot)[T]) {
    const __m512i low_nibble = _mm512_set1_epi8(15);
    for (uint32_t t = 0; t < T; ++t) dot[t] = _mm512_set1_epi32(tokens[t].sums[column / 32] * -8);
    for (uint32_t pair = 0; pair < 4; ++pair) {
        const __m512i bytes = load16(weights + pair * 64);
        const __m512i low = _mm512_and_si512(bytes, low_nibble);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low_nibble);
        for (uint32_t t = 0; t < T; ++t) {
            const int8_t* a = tokens[t].values + column + pair * 8;
            dot[t] = _mm512_dpbusd_epi32(dot[t], low, splat4(a));
            dot[t] = _mm512_dpbusd_epi32(dot[t], high, splat4(a + 4));
        }
    }
}

template <uint32_t T>
LINNET_INLINE void dot_int8(const uint8_t* weights, const Token* tokens, size_t column, __m512i (&dot)[T]) {
    for (uint32_t t = 0; t < T; ++t) dot[t] = _mm512_set1_epi32(tokens[t].sums[column / 32] * -128);
    for (uint32_t quad = 0; quad < 8; ++quad) {
        const __m512i bytes = load16(weights + quad * 64);
        for (uint32_t t = 0; t < T; ++t) {
            dot[t] = _mm512_dpbusd_epi32(dot[t], bytes, splat4(tokens[t].values + column + quad * 4));
        }
    }
}

// One block for T tokens. out[token]: 16 rows.
template <bool int4, uint32_t T, bool one_step>
__attribute__((noinline)) void tile(const Block& block, const Token* tokens, float (*out)[16]) {
    constexpr uint32_t step_bytes = int4 ? 256 : 512;
    const uint8_t* at = block.at;
    __m512 total[T];
    for (uint32_t t = 0; t < T; ++t) total[t] = _mm512_setzero_ps();
    for (uint32_t step = 0; step < block.steps;) {
        const uint8_t* scales = at;
        fetch_ahead(at);
        at += 64;
        for (uint32_t group = 0; group < 2 && step < block.steps; ++group, scales += 32) {
            const uint32_t left = block.steps - step;
            const uint32_t end =
                one_step || left < block.steps_in_group ? step + (one_step ? 1 : left) : step + block.steps_in_group;
            __m512 part[T];
            for (uint32_t t = 0; t < T; ++t) part[t] = _mm512_setzero_ps();
            for (; step < end; ++step, at += step_bytes) {
                for (uint32_t line = 0; line < step_bytes; line += 64) fetch_ahead(at + line);
                __m512i dot[T];
                if constexpr (int4) {
                    dot_int4<T>(at, tokens, size_t{step} * 32, dot);
                } else {
                    dot_int8<T>(at, tokens, size_t{step} * 32, dot);
                }
                for (uint32_t t = 0; t < T; ++t) {
                    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_set1_ps(tokens[t].scales[step]));
                    // A group of one step: 0 + scaled is scaled, but for the sign of a zero, which a sum that began with
                    // +0 does not show.
                    part[t] = one_step ? scaled : _mm512_add_ps(part[t], scaled);
                }
            }
            const __m512 scale = widen_half(load8(scales));
            for (uint32_t t = 0; t < T; ++t) total[t] = _mm512_add_ps(total[t], _mm512_mul_ps(part[t], scale));
        }
    }
    for (uint32_t t = 0; t < T; ++t) _mm512_storeu_ps(out[t], total[t]);
}

template <bool int4, bool one_step>
void tile_of(uint32_t count, const Block& block, const Token* tokens, float (*out)[16]) {
    switch (count) {
        case 1: return tile<int4, 1, one_step>(block, tokens, out);
        case 2: return tile<int4, 2, one_step>(block, tokens, out);
        case 3: return tile<int4, 3, one_step>(block, tokens, out);
        case 4: return tile<int4, 4, one_step>(block, tokens, out);
        case 5: return tile<int4, 5, one_step>(block, tokens, out);
        case 6: return tile<int4, 6, one_step>(block, tokens, out);
        case 7: return tile<int4, 7, one_step>(block, tokens, out);
        default: return tile<int4, 8, one_step>(block, tokens, out);
    }
}

// f32: T tokens, one column after the other.
template <uint32_t T>
__attribute__((noinline)) void tile_f32(const uint8_t* block, uint32_t columns, const float* const* x, float (*out)[16]) {
    const float* weights = reinterpret_cast<const float*>(block);
    __m512 total[T];
    for (uint32_t t = 0; t < T; ++t) total[t] = _mm512_setzero_ps();
    for (uint32_t column = 0; column < columns; ++column, weights += 16) {
        fetch_ahead(block + size_t{column} * 64);
        const __m512 w = _mm512_loadu_ps(weights);
        for (uint32_t t = 0; t < T; ++t) {
            total[t] = _mm512_add_ps(total[t], _mm512_mul_ps(w, _mm512_set1_ps(x[t][column])));
        }
    }
    for (uint32_t t = 0; t < T; ++t) _mm512_storeu_ps(out[t], total[t]);
}

void tile_of_f32(uint32_t count, const uint8_t* block, uint32_t columns, const float* const* x, float (*out)[16]) {
    switch (count) {
        case 1: return tile_f32<1>(block, columns, x, out);
        case 2: return tile_f32<2>(block, columns, x, out);
        case 3: return tile_f32<3>(block, columns, x, out);
        case 4: return tile_f32<4>(block, columns, x, out);
        case 5: return tile_f32<5>(block, columns, x, out);
        case 6: return tile_f32<6>(block, columns, x, out);
        case 7: return tile_f32<7>(block, columns, x, out);
        default: return tile_f32<8>(block, columns, x, out);
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

}  // namespace linnet::avx512
