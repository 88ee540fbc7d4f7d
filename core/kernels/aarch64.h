// What an AArch64 processor has beyond the base, for select.cpp alone. Code that was compiled for it may run it. Otherwise
// Linux says it in the auxiliary vector; without an operating system (LINNET_BARE_METAL) the processor's own registers do,
// which may be read at EL1 and above. Elsewhere nobody is asked, and the base is used.
#pragma once

#include <cstdint>

#if defined(__linux__) && !defined(LINNET_BARE_METAL)
#include <sys/auxv.h>
#endif

namespace linnet {

struct Aarch64Features {
    bool dotprod, i8mm;
};

inline Aarch64Features aarch64_features() {
    Aarch64Features features = {false, false};
#if defined(LINNET_BARE_METAL)
    uint64_t isar0, isar1;
    __asm__("mrs %0, id_aa64isar0_el1\n mrs %1, id_aa64isar1_el1" : "=r"(isar0), "=r"(isar1));
    features = {(isar0 >> 44 & 15) != 0, (isar1 >> 52 & 15) != 0};  // fields DP and I8MM
#elif defined(__linux__)
    // HWCAP_ASIMDDP and HWCAP2_I8MM, by number: older C libraries lack the second name.
    features = {(getauxval(AT_HWCAP) >> 20 & 1) != 0, (getauxval(AT_HWCAP2) >> 13 & 1) != 0};
#endif
#if defined(__ARM_FEATURE_DOTPROD)
    features.dotprod = true;
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8)
    features.i8mm = true;
#endif
    return features;
}

}  // namespace linnet
