// A file without a name for what a model cannot hold in memory: made when something is first written, gone with the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

namespace linnet {

class ScratchFile {
public:
    ScratchFile() = default;
    ~ScratchFile();
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    // Chooses where the file will be: `folder`, or where that is empty $TMPDIR, the folder of `beside`, /var/tmp or /tmp, folders
    // that lie in memory last. False: `problem` says why a folder that was asked for will not do. Without any folder, available()
    // is false.
    bool choose(const std::string& folder, const std::string& beside, std::string& problem);
    bool available() const { return !folder_.empty(); }
    const std::string& folder() const { return folder_; }
    // That can be written now: room on the disk, and what the process is allowed.
    uint64_t room() const;

    // 0 or an errno. A write that fails leaves what was written before.
    int32_t write(uint64_t offset, const void* from, size_t bytes);
    // Bytes that were written. 0, or ReadOnlyFile::shrunk, or an errno.
    int32_t read(uint64_t offset, void* to, size_t bytes) const;
    int32_t read_direct(uint64_t offset, void* to, size_t bytes) const;
    // The descriptor for reads past the cache; -1 where there is none, or nothing has been written yet.
    int direct() const;
    // One past the last byte that was written.
    uint64_t size() const;

private:
    int32_t create();

    std::string folder_;
    mutable std::mutex mutex_;  // of what follows; reading and writing happen outside of it
    int descriptor_ = -1;
    int direct_ = -1;
    uint64_t size_ = 0;
};

}  // namespace linnet
