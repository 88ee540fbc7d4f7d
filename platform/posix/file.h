// A regular file, read at any place by any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace linnet {

class ReadOnlyFile {
public:
    ReadOnlyFile() = default;
    ~ReadOnlyFile();
    ReadOnlyFile(const ReadOnlyFile&) = delete;
    ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;

    // False: `problem` is a sentence that says why.
    bool open(const std::string& path, std::string& problem);
    uint64_t size() const { return size_; }

    // The file ended before all bytes came: it has become shorter since it was opened.
    static constexpr int32_t shrunk = -1;
    // Exactly `bytes` bytes at `offset`. 0, or `shrunk`, or an errno. A file is read and never mapped, because a mapped file that
    // shrinks kills the process.
    int32_t read(uint64_t offset, void* to, size_t bytes) const;
    // What of it the system has in memory, from the start on and without waiting for a disk: bytes that were read, possibly none.
    size_t read_cached(uint64_t offset, void* to, size_t bytes) const;
    // Like `read`, past the system's cache, as far as offset, memory and length allow it and the file system knows how; the rest, and
    // everything where it does not, is read as above.
    int32_t read_direct(uint64_t offset, void* to, size_t bytes) const;
    // read_direct has nothing to read past the cache with.
    bool refuses_direct() const { return direct_ < 0 || direct_refused_.load(std::memory_order_relaxed); }
    // The descriptor for that; -1 where there is none.
    int direct() const { return refuses_direct() ? -1 : direct_; }

private:
    int descriptor_ = -1;
    int direct_ = -1;  // the same file, opened with O_DIRECT; -1: not possible here
    mutable std::atomic<bool> direct_refused_{false};
    uint64_t size_ = 0;
};

// Reads exactly `bytes` bytes of a descriptor: 0, ReadOnlyFile::shrunk or an errno. Short reads and EINTR are dealt with.
int32_t read_fully(int descriptor, uint64_t offset, void* to, size_t bytes);
// Writes all of them: 0 or an errno. Short writes and EINTR are dealt with.
int32_t write_fully(int descriptor, uint64_t offset, const void* from, size_t bytes);
// Whether anything of such a read can: the descriptor is not -1, place and memory are aligned, and it is long enough to gain by it.
bool goes_past_cache(int descriptor, uint64_t offset, const void* to, size_t bytes);
// What can be read past the cache of what a descriptor opened with O_DIRECT (or -1) is asked for: *done bytes from the start, a
// multiple of direct_alignment, possibly 0. 0 or an errno; EINVAL: this file system cannot do it.
int32_t read_past_cache(int descriptor, uint64_t offset, void* to, size_t bytes, size_t* done);

// The file of this descriptor once more, for reading past the cache; -1 where that is not possible.
int reopen_direct(int descriptor);

// Offsets, lengths and memory of reads past the cache: what every disk's sectors divide.
constexpr size_t direct_alignment = 4096;
// Below this many bytes the system's cache and its reading ahead serve better.
constexpr size_t least_direct = 65536;

// A sentence for what ReadOnlyFile::read returned.
std::string read_problem(int32_t result);

}  // namespace linnet
