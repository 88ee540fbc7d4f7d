// Linnet's platform on POSIX systems: a file read by pread, a pool of threads, memory in huge pages where there are any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "platform/platform.h"

namespace linnet {

// One model file. Not copied, not moved: platform() points into it.
class PosixPlatform {
public:
    PosixPlatform();
    ~PosixPlatform();
    PosixPlatform(const PosixPlatform&) = delete;
    PosixPlatform& operator=(const PosixPlatform&) = delete;

    // Opens a file and starts threads - 1 workers (0: as many threads as this process may use). False: `problem` says why.
    bool open(const std::string& path, uint32_t threads, std::string& problem);
    const linnet_platform& platform() const;
    // Asks work under way to stop, from a signal handler; platform.yield answers 1 until it is called with false.
    void interrupt(bool value);

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Threads that this process may run at the same time (its affinity mask, not the machine's count).
uint32_t available_threads();

// A block of memory for an arena: page-aligned, in huge pages where the kernel has them, given back by the destructor.
class ArenaMemory {
public:
    ArenaMemory() = default;
    ~ArenaMemory();
    ArenaMemory(const ArenaMemory&) = delete;
    ArenaMemory& operator=(const ArenaMemory&) = delete;
    bool allocate(size_t bytes);  // false: the system has no more
    void* data() const { return data_; }
    size_t size() const { return bytes_; }

private:
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace linnet
