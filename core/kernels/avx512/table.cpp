#include "core/kernels/generic/table.h"
#include "core/kernels/avx512/avx512.h"
#include "core/kernels/avx512/vector.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable avx512_kernels = generic::table<avx512::Vector>("avx512", avx512::matmul);

}  // namespace linnet
