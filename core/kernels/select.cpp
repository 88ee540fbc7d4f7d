// The one place where a table of kernels is chosen.
#include "core/kernels/tables.h"
#if LINNET_HAVE_NEON_DOTPROD || LINNET_HAVE_NEON_I8MM
#include "core/kernels/aarch64.h"
#endif

namespace linnet {

namespace {

// Best first; the scalar one last.
constexpr const KernelTable* built[] = {
#if LINNET_HAVE_AVX512
    &avx512_kernels,
#endif
#if LINNET_HAVE_AVX2
    &avx2_kernels,
#endif
// A WebAssembly module is valid as a whole or not at all: what is built in runs.
#if LINNET_HAVE_WASM_RELAXED
    &wasm_relaxed_kernels,
#endif
#if LINNET_HAVE_WASM_SIMD128
    &wasm_simd128_kernels,
#endif
#if LINNET_HAVE_NEON_I8MM
    &neon_i8mm_kernels,
#endif
#if LINNET_HAVE_NEON_DOTPROD
    &neon_dotprod_kernels,
#endif
#if LINNET_HAVE_NEON
    &neon_kernels,
#endif
// A microcontroller is known when its image is built.
#if LINNET_HAVE_HELIUM
    &helium_kernels,
#endif
    &scalar_kernels,
};

bool same(const char* a, const char* b) {
    while (*a != 0 && *a == *b) {
        ++a;
        ++b;
    }
    return *a == *b;
}

// Whether this processor, and the operating system that must save its registers, can run the table.
bool runs_here([[maybe_unused]] const KernelTable* table) {
#if LINNET_HAVE_AVX2 || LINNET_HAVE_AVX512
    __builtin_cpu_init();
#endif
#if LINNET_HAVE_AVX512
    if (table == &avx512_kernels) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    }
#endif
#if LINNET_HAVE_AVX2
    if (table == &avx2_kernels) return __builtin_cpu_supports("avx2");
#endif
#if LINNET_HAVE_NEON_I8MM
    if (table == &neon_i8mm_kernels) return aarch64_features().i8mm && aarch64_features().dotprod;
#endif
#if LINNET_HAVE_NEON_DOTPROD
    if (table == &neon_dotprod_kernels) return aarch64_features().dotprod;
#endif
    return true;
}

}  // namespace

size_t kernel_tables(const KernelTable* const** tables) {
    *tables = built;
    return sizeof built / sizeof built[0];
}

const KernelTable* select_kernels(const char* name) {
    for (const KernelTable* table : built) {
        if (name != nullptr && !same(name, table->name)) continue;
        if (runs_here(table)) return table;
        if (name != nullptr) return nullptr;
    }
    return nullptr;
}

}  // namespace linnet
