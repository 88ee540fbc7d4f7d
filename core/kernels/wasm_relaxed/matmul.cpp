// int4 with relaxed SIMD: i16x8.relaxed_dot_i8x16_i7x16 of activations (8 bits, signed) and nibbles (value + 8: 0..15). What
// engines may do differently, a second operand above 127 and a sum beyond 16 bits, does not come up: two products are at most
// 2 * 15 * 127. So the bits are the same everywhere.
//
// Eight such sums of a lane in 32 columns, 16 of them its own, are at most 30480, below 2^15. -8 times the sum of all 32
// activations takes the 8 out again: half of it stands in each of the two lanes of a row from the beginning, which leaves them
// at most 16 * 11 * 127 + 16 * 4 * 127, 30480 again.
#include "core/kernels/wasm_simd128/matmul.h"
#include "core/kernels/wasm_relaxed/wasm_relaxed.h"

namespace linnet::wasm_relaxed {

namespace {

struct Int4 {
    static constexpr uint32_t parts = 4;
    static constexpr uint32_t words = 1;
    struct Masks {
        v128_t low_nibble;
    };

    LINNET_INLINE Masks masks() { return {wasm_simd128::mask16<0x0f0f>()}; }
    LINNET_INLINE int32_t begin(int32_t sum) {
        return static_cast<int32_t>((static_cast<uint32_t>(-4 * sum) & 0xffffu) * 0x10001u);
    }
    LINNET_INLINE v128_t finish(v128_t sum) { return wasm_i32x4_extadd_pairwise_i16x8(sum); }
    LINNET_INLINE void spread(const int8_t* values, uint8_t* to) { memcpy(to, values, 8); }

    template <uint32_t T, uint32_t Q, bool upper>
    LINNET_INLINE void multiply(const uint8_t* weights, const uint8_t* activations, const Masks& masks, v128_t (&sum)[T][Q]) {
        v128_t nibbles[Q];
        for (uint32_t q = 0; q < Q; ++q) {
            const v128_t bytes = wasm_v128_load(weights + q * 16);
            nibbles[q] = wasm_v128_and(upper ? wasm_u16x8_shr(bytes, 4) : bytes, masks.low_nibble);
        }
        for (uint32_t t = 0; t < T; ++t) {
            const v128_t a = wasm_v128_load32_splat(activations + t * 8);
            for (uint32_t q = 0; q < Q; ++q) {
                sum[t][q] = wasm_i16x8_add(sum[t][q], wasm_i16x8_relaxed_dot_i8x16_i7x16(a, nibbles[q]));
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
