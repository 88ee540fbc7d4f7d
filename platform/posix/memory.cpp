// Memory for arenas. Weights are read once a token from end to end: with 4 KiB pages the processor's page tables become the
// bottleneck (12 GB/s against 28 on the machine of facts), so the block is aligned to 2 MiB and huge pages are asked for.
#include <sys/mman.h>

#include <cstdint>

#include "platform/posix/posix.h"

namespace linnet {

namespace {

constexpr size_t huge_page = size_t{2} << 20;

}  // namespace

ArenaMemory::~ArenaMemory() {
    if (data_ != nullptr) munmap(data_, bytes_);
}

bool ArenaMemory::allocate(size_t bytes) {
    if (data_ != nullptr) munmap(data_, bytes_);
    data_ = nullptr;
    bytes_ = 0;
    if (bytes == 0 || bytes > SIZE_MAX - 2 * huge_page) return false;
    constexpr size_t page = 65536;  // a multiple of every page size in use
    const size_t rounded = (bytes + page - 1) / page * page;
    const size_t slack = rounded >= huge_page ? huge_page : 0;
    void* mapped = mmap(nullptr, rounded + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return false;
    auto address = reinterpret_cast<uintptr_t>(mapped);
    if (slack != 0) {
        // Gives back what stands before the first boundary and after the end.
        const uintptr_t aligned = (address + huge_page - 1) / huge_page * huge_page;
        const size_t before = aligned - address;
        if (before != 0) munmap(mapped, before);
        if (slack != before) munmap(reinterpret_cast<void*>(aligned + rounded), slack - before);
        address = aligned;
#ifdef MADV_HUGEPAGE
        // Advice: where the kernel has no huge pages everything works, more slowly.
        madvise(reinterpret_cast<void*>(address), rounded, MADV_HUGEPAGE);
#endif
    }
    data_ = reinterpret_cast<void*>(address);
    bytes_ = rounded;
    return true;
}

}  // namespace linnet
