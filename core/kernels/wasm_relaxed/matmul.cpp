// int4 with relaxed SIMD: i16x8.relaxed_dot_i8x16_i7x16 of activations (8 bits, signed) and nibbles (value + 8: 0..15). What
// engines may do differently, a second operand above 127 and a sum beyond 16 bits, does not come up: two products are at most
// 2 * 15 * 127, and the eight such sums of a lane in 32 columns 30480, below 2^15. So the bits are the same everywhere.
#include "core/kernels/wasm_simd128/matmul.h"
#include "core/kernels/wasm_relaxed/wasm_relaxed.h"

namespace linnet::wasm_relaxed {

namespace {

struct Int4 {
    static constexpr size_t step_bytes = 256;

    template <uint32_t T, uint32_t Q>
    LINNET_INLINE void dot(const uint8_t* weights, const wasm_simd128::Token* tokens, size_t column, v128_t (&out)[T][Q]) {
        const v128_t low_nibble = wasm_simd128::mask16(0x0f0f);
        v128_t sum[T][Q];
        for (uint32_t pair = 0; pair < 4; ++pair) {
            v128_t low[Q], high[Q];
            for (uint32_t q = 0; q < Q; ++q) {
                const v128_t bytes = wasm_v128_load(weights + pair * 64 + q * 16);
                low[q] = wasm_v128_and(bytes, low_nibble);
                high[q] = wasm_v128_and(wasm_u16x8_shr(bytes, 4), low_nibble);
            }
            for (uint32_t t = 0; t < T; ++t) {
                const int8_t* a = tokens[t].values + column + pair * 8;
                const v128_t even = wasm_v128_load32_splat(a);
                const v128_t odd = wasm_v128_load32_splat(a + 4);
                for (uint32_t q = 0; q < Q; ++q) {
                    const v128_t both = wasm_i16x8_add(wasm_i16x8_relaxed_dot_i8x16_i7x16(even, low[q]),
                                                       wasm_i16x8_relaxed_dot_i8x16_i7x16(odd, high[q]));
                    sum[t][q] = pair == 0 ? both : wasm_i16x8_add(sum[t][q], both);
                }
            }
        }
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t offset = wasm_i32x4_splat(-8 * tokens[t].sums[column / 32]);
            for (uint32_t q = 0; q < Q; ++q) {
                out[t][q] = wasm_i32x4_add(wasm_i32x4_extadd_pairwise_i16x8(sum[t][q]), offset);
            }
        }
    }
};

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    wasm_simd128::matmul_with<Int4>(matrix, x, tokens, y, y_stride, first_block, last_block);
}

}  // namespace linnet::wasm_relaxed
