// The tables by name, for select.cpp alone. All are constants of the program: nothing runs before main to fill them.
#pragma once

#include "core/kernels/kernels.h"

namespace linnet {

// The check takes any `extern const` in a header for one that may need code to fill; each is constexpr where it is defined.
// NOLINTBEGIN(bugprone-dynamic-static-initializers)
extern const KernelTable scalar_kernels;
extern const KernelTable avx2_kernels;
extern const KernelTable avx512_kernels;
extern const KernelTable wasm_simd128_kernels;
extern const KernelTable wasm_relaxed_kernels;
extern const KernelTable neon_kernels;
extern const KernelTable neon_dotprod_kernels;
extern const KernelTable neon_i8mm_kernels;
extern const KernelTable helium_kernels;
// NOLINTEND(bugprone-dynamic-static-initializers)

}  // namespace linnet
