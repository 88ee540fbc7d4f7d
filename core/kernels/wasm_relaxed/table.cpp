#include "core/kernels/generic/table.h"
#include "core/kernels/tables.h"
#include "core/kernels/wasm_relaxed/wasm_relaxed.h"
#include "core/kernels/wasm_simd128/vector.h"

namespace linnet {

constexpr KernelTable wasm_relaxed_kernels = generic::table<wasm_simd128::Vector>("wasm-relaxed", wasm_relaxed::matmul);

}  // namespace linnet
