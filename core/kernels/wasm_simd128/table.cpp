#include "core/kernels/generic/table.h"
#include "core/kernels/tables.h"
#include "core/kernels/wasm_simd128/vector.h"
#include "core/kernels/wasm_simd128/wasm_simd128.h"

namespace linnet {

constexpr KernelTable wasm_simd128_kernels = generic::table<wasm_simd128::Vector>("wasm-simd128", wasm_simd128::matmul);

}  // namespace linnet
