// One block of memory, given by the caller, handed out front to back and never given back.
//
// The same code runs twice: once over a measuring arena (no memory, only a count), which is how the plan
// knows its size, and once over the real one. So what the plan says is what the run uses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace linnet {

class Arena {
public:
    // A measuring arena: every take() succeeds with a null pointer and only the size is counted.
    Arena() = default;
    Arena(void* memory, size_t bytes) : base_(static_cast<unsigned char*>(memory)), capacity_(bytes), measuring_(false) {}

    bool measuring() const { return measuring_; }
    // True once a request did not fit; used() then still counts on, so it tells what would have been needed.
    bool overflowed() const { return overflowed_; }
    uint64_t used() const { return used_; }

    // `count` objects of T, aligned to `alignment` (a power of two). Null when measuring or when it does not fit.
    template <typename T>
    T* take(uint64_t count, uint64_t alignment = 64) {
        // NOLINTNEXTLINE(bugprone-sizeof-expression)  T may itself be a pointer: a list of pointers is taken
        return static_cast<T*>(take_bytes(count, sizeof(T), alignment));
    }

private:
    void* take_bytes(uint64_t count, uint64_t size, uint64_t alignment) {
        const uint64_t start = (used_ + alignment - 1) & ~(alignment - 1);
        if (start < used_ || (size != 0 && count > (UINT64_MAX - start) / size)) {
            overflowed_ = true;
            used_ = UINT64_MAX / 2;
            return nullptr;
        }
        used_ = start + count * size;
        if (measuring_) return nullptr;
        if (used_ > capacity_) {
            overflowed_ = true;
            return nullptr;
        }
        return base_ + start;
    }

    unsigned char* base_ = nullptr;  // must be aligned to at least 64
    uint64_t capacity_ = 0;
    uint64_t used_ = 0;
    bool measuring_ = true;
    bool overflowed_ = false;
};

}  // namespace linnet
