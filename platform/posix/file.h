// A regular file, read at any place by any thread.
#pragma once

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

private:
    int descriptor_ = -1;
    uint64_t size_ = 0;
};

// A sentence for what ReadOnlyFile::read returned.
std::string read_problem(int32_t result);

}  // namespace linnet
