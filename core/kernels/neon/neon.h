// The NEON kernels. Their contract stands in core/kernels/kernels.h.
#pragma once

#include "core/kernels/kernels.h"

namespace linnet::neon {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block);

}  // namespace linnet::neon

namespace linnet::neon_dotprod {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block);

}  // namespace linnet::neon_dotprod

namespace linnet::neon_i8mm {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block);

}  // namespace linnet::neon_i8mm
