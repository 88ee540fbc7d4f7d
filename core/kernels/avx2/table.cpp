#include "core/kernels/generic/table.h"
#include "core/kernels/avx2/avx2.h"
#include "core/kernels/avx2/vector.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable avx2_kernels = generic::table<avx2::Vector>("avx2", avx2::matmul);

}  // namespace linnet
