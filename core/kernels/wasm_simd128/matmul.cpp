// int4 with plain SIMD128. A 16-bit lane holds four nibbles: of column c in bits 0-3, of c + 4 in 4-7, of c + 1 in 8-11, of
// c + 5 in 12-15. One shift by 8 brings the upper two to where the lower two are; nibbles in bits 4-7 count 16 times, and the
// activations that meet the others are multiplied by 16 beforehand. All sums are then 16 times too large, exactly: at most
// 32 * 15 * 127 * 16, below 2^20.
#include "core/kernels/wasm_simd128/matmul.h"

#include "core/kernels/wasm_simd128/wasm_simd128.h"

namespace linnet::wasm_simd128 {

namespace {

struct Int4 {
    static constexpr size_t step_bytes = 256;

    template <uint32_t T, uint32_t Q>
    LINNET_INLINE void dot(const uint8_t* weights, const Token* tokens, size_t column, v128_t (&out)[T][Q]) {
        const v128_t low_nibble = mask16(0x0f);
        const v128_t high_nibble = mask16(0xf0);
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t offset = wasm_i32x4_splat(-128 * tokens[t].sums[column / 32]);  // 16 times 8
            for (uint32_t q = 0; q < Q; ++q) out[t][q] = offset;
        }
        for (uint32_t pair = 0; pair < 4; ++pair) {
            v128_t first[Q], fifth[Q], second[Q], sixth[Q];
            for (uint32_t q = 0; q < Q; ++q) {
                const v128_t bytes = wasm_v128_load(weights + pair * 64 + q * 16);
                const v128_t shifted = wasm_u16x8_shr(bytes, 8);
                first[q] = wasm_v128_and(bytes, low_nibble);
                fifth[q] = wasm_v128_and(bytes, high_nibble);
                second[q] = wasm_v128_and(shifted, low_nibble);
                sixth[q] = wasm_v128_and(shifted, high_nibble);
            }
            for (uint32_t t = 0; t < T; ++t) {
                const int8_t* a = tokens[t].values + column + pair * 8;
                const v128_t even = wasm_v128_load32_splat(a);
                const v128_t odd = wasm_v128_load32_splat(a + 4);
                const v128_t a_first = wasm_i16x8_shr(wasm_i16x8_shl(even, 8), 4);
                const v128_t a_second = wasm_i16x8_shl(wasm_i16x8_shr(even, 8), 4);
                const v128_t a_fifth = wasm_i16x8_shr(wasm_i16x8_shl(odd, 8), 8);
                const v128_t a_sixth = wasm_i16x8_shr(odd, 8);
                for (uint32_t q = 0; q < Q; ++q) {
                    const v128_t low =
                        wasm_i32x4_add(wasm_i32x4_dot_i16x8(first[q], a_first), wasm_i32x4_dot_i16x8(second[q], a_second));
                    const v128_t high =
                        wasm_i32x4_add(wasm_i32x4_dot_i16x8(fifth[q], a_fifth), wasm_i32x4_dot_i16x8(sixth[q], a_sixth));
                    out[t][q] = wasm_i32x4_add(out[t][q], wasm_i32x4_add(low, high));
                }
            }
        }
        for (uint32_t t = 0; t < T; ++t) {
            for (uint32_t q = 0; q < Q; ++q) out[t][q] = wasm_i32x4_shr(out[t][q], 4);
        }
    }
};

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    matmul_with<Int4>(matrix, x, tokens, y, y_stride, first_block, last_block);
}

}  // namespace linnet::wasm_simd128
