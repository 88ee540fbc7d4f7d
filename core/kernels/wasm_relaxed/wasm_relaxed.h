// The WebAssembly kernels (wasm_relaxed). Their contract stands in core/kernels/kernels.h.
#pragma once

#include "core/kernels/kernels.h"

namespace linnet::wasm_relaxed {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block);

}  // namespace linnet::wasm_relaxed
