#include "core/kernels/neon/neon.h"
#include "core/kernels/neon_dotprod/dots.h"

namespace linnet::neon_dotprod {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    if (matrix.format == TensorFormat::f32_packed)
        return neon::matmul_f32(matrix, x, tokens, y, y_stride, first_block, last_block);
    neon::matmul_integers<Int4, Int4, Int8, Int8>(matrix, x, tokens, y, y_stride, first_block, last_block);
}

}  // namespace linnet::neon_dotprod
