// Linnet's platform on POSIX systems: a file read by pread, a pool of threads, memory in huge pages where there are any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "platform/platform.h"

namespace linnet {

// How reads that are begun (weights and caches that stream) reach the disk.
enum class DirectReads {
    automatic,  // through the system's cache while the file fits into the memory that is free, past it where not
    always,     // past the cache, where the file system can
    never,
};

struct PosixOptions {
    DirectReads direct = DirectReads::automatic;
    std::string scratch_folder;  // of the temporary file; empty: see ScratchFile::choose
};

// One model file. Not copied, not moved: platform() points into it.
class PosixPlatform {
public:
    PosixPlatform();
    ~PosixPlatform();
    PosixPlatform(const PosixPlatform&) = delete;
    PosixPlatform& operator=(const PosixPlatform&) = delete;

    // Opens a file and starts threads - 1 workers (0: as many threads as this process may use). False: `problem` says why.
    bool open(const std::string& path, uint32_t threads, std::string& problem, const PosixOptions& options = {});
    const linnet_platform& platform() const;
    // Asks work under way to stop, from a signal handler; platform.yield answers 1 until it is called with false.
    void interrupt(bool value);

    // Calls `each` from platform.yield with the bytes that have been read so far: progress while a model loads. Null: no more.
    void watch(void (*each)(void* context, uint64_t bytes_read), void* context);
    // What the last read that failed met, for a person; empty if none has.
    std::string problem() const;
    // A sentence for the same, where it was reading or writing the temporary file that failed; empty where it was not.
    std::string scratch_problem() const;
    // Whether reads that are begun go past the system's cache as things stand.
    bool reads_directly() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

// Threads that this process may run at the same time: its affinity mask and its control group's quota, not the machine's count.
uint32_t available_threads();

// A block of memory for an arena: page-aligned, in huge pages where the kernel has them, given back by the destructor. Pages
// come into being when they are first touched.
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
