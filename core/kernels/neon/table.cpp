// All three tables of AArch64, since they differ in the matrix product alone: everything else is compiled here, once, for
// what every processor has.
#include "core/kernels/generic/table.h"
#include "core/kernels/neon/neon.h"
#include "core/kernels/neon/vector.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable neon_kernels = generic::table<neon::Vector>("neon", neon::matmul);
#if LINNET_HAVE_NEON_DOTPROD
constexpr KernelTable neon_dotprod_kernels = generic::table<neon::Vector>("neon-dotprod", neon_dotprod::matmul);
#endif
#if LINNET_HAVE_NEON_I8MM
constexpr KernelTable neon_i8mm_kernels = generic::table<neon::Vector>("neon-i8mm", neon_i8mm::matmul);
#endif

}  // namespace linnet
