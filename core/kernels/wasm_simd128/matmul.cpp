// int4 with plain SIMD128. A 16-bit lane holds two bytes of weights, for columns c and c + 1, and each byte two nibbles: n of
// its column in the lower half, and m of the column four further in the upper one. With a and b the activations that they meet,
//   16 (n a + m b) = (n + 16 m) b + n (16 a - b):
// whole bytes are multiplied by b and lower nibbles by 16 a - b, which spares taking the upper ones out. All sums are then 16
// times too large, exactly: at most 32 * 15 * 127 * 16, below 2^20.
#include "core/kernels/wasm_simd128/matmul.h"

#include "core/kernels/wasm_simd128/wasm_simd128.h"

namespace linnet::wasm_simd128 {

namespace {

struct Int4 {
    static constexpr uint32_t parts = 4;
    static constexpr uint32_t words = 2;
    struct Masks {
        v128_t low_byte;
        v128_t low_nibble;
    };

    LINNET_INLINE Masks masks() { return {mask16<0xff>(), mask16<0x0f>()}; }
    LINNET_INLINE int32_t begin(int32_t sum) { return -128 * sum; }  // 16 times 8
    LINNET_INLINE v128_t finish(v128_t sum) { return wasm_i32x4_shr(sum, 4); }
    LINNET_INLINE void spread(const int8_t* values, uint8_t* to) {
        const v128_t a = wasm_i16x8_load8x8(values);
        const v128_t of_bytes = wasm_i16x8_shuffle(a, a, 4, 6, 4, 6, 5, 7, 5, 7);
        const v128_t of_nibbles = wasm_i16x8_sub(wasm_i16x8_shl(wasm_i16x8_shuffle(a, a, 0, 2, 0, 2, 1, 3, 1, 3), 4), of_bytes);
        wasm_v128_store(to, wasm_i32x4_shuffle(of_bytes, of_nibbles, 0, 5, 2, 7));
    }

    // Columns 0, 2, 4 and 6 of eight, or 1, 3, 5 and 7.
    template <uint32_t T, uint32_t Q, bool odd>
    LINNET_INLINE void multiply(const uint8_t* weights, const uint8_t* activations, const Masks& masks, v128_t (&sum)[T][Q]) {
        v128_t bytes[Q], nibbles[Q];
        for (uint32_t q = 0; q < Q; ++q) {
            const v128_t both = wasm_v128_load(weights + q * 16);
            bytes[q] = odd ? wasm_u16x8_shr(both, 8) : wasm_v128_and(both, masks.low_byte);
            nibbles[q] = wasm_v128_and(odd ? bytes[q] : both, masks.low_nibble);
        }
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t a_bytes = wasm_v128_load32_splat(activations + t * 16);
            const v128_t a_nibbles = wasm_v128_load32_splat(activations + t * 16 + 4);
            for (uint32_t q = 0; q < Q; ++q) {
                sum[t][q] = wasm_i32x4_add(wasm_i32x4_add(sum[t][q], wasm_i32x4_dot_i16x8(bytes[q], a_bytes)),
                                           wasm_i32x4_dot_i16x8(nibbles[q], a_nibbles));
            }
        }
    }
};

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    matmul_with<Int4>(matrix, x, tokens, y, y_stride, first_block, last_block);
}

}  // namespace linnet::wasm_simd128
