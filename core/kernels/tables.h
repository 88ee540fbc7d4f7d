// The tables by name, for select.cpp alone.
#pragma once

#include "core/kernels/kernels.h"

namespace linnet {

extern const KernelTable scalar_kernels;
extern const KernelTable avx2_kernels;
extern const KernelTable avx512_kernels;

}  // namespace linnet
