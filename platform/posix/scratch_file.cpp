#include "platform/posix/scratch_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "platform/posix/file.h"

namespace linnet {

namespace {

// A folder in memory would take from the memory that the file is there to spare.
bool in_memory(const std::string& folder) {
#ifdef __linux__
    struct statfs system{};
    if (statfs(folder.c_str(), &system) != 0) return false;
    const auto type = static_cast<unsigned long>(system.f_type);
    return type == 0x01021994ul || type == 0x858458f6ul;  // tmpfs, ramfs
#else
    (void)folder;
    return false;
#endif
}

bool can_write(const std::string& folder) { return access(folder.c_str(), W_OK | X_OK) == 0; }

}  // namespace

ScratchFile::~ScratchFile() {
    if (descriptor_ >= 0) close(descriptor_);
    if (direct_ >= 0) close(direct_);
}

bool ScratchFile::choose(const std::string& folder, const std::string& beside, std::string& problem) {
    folder_.clear();
    if (!folder.empty()) {
        struct stat status{};
        const bool there = stat(folder.c_str(), &status) == 0;
        if (!there || !S_ISDIR(status.st_mode) || !can_write(folder)) {
            problem = "Cannot put a temporary file into \"" + folder +
                      "\": " + (there && !S_ISDIR(status.st_mode) ? "it is no folder" : strerror(errno)) + ".";
            return false;
        }
        folder_ = folder;
        return true;
    }
    const char* environment = getenv("TMPDIR");
    const size_t slash = beside.rfind('/');
    const std::string candidates[] = {environment != nullptr ? environment : "",
                                      slash == std::string::npos ? "." : beside.substr(0, slash + 1), "/var/tmp", "/tmp"};
    for (const bool memory : {false, true}) {
        for (const std::string& candidate : candidates) {
            if (candidate.empty() || !can_write(candidate) || in_memory(candidate) != memory) continue;
            folder_ = candidate;
            return true;
        }
    }
    return true;
}

uint64_t ScratchFile::room() const {
    uint64_t room = UINT64_MAX;
    struct statvfs system{};
    if (statvfs(folder_.c_str(), &system) == 0) {
        room = uint64_t{system.f_bavail} * (system.f_frsize != 0 ? system.f_frsize : system.f_bsize);
    }
    struct rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < room) room = limit.rlim_cur;
    return room;
}

int32_t ScratchFile::create() {
    if (descriptor_ >= 0) return 0;
    do {
#ifdef O_TMPFILE
        descriptor_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
#else
        errno = EOPNOTSUPP;
#endif
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
        // A file system that makes no files without a name: one with a name, which is taken away at once.
        std::string path = folder_ + "/.linnet-scratch-XXXXXX";
        descriptor_ = mkstemp(path.data());
        if (descriptor_ >= 0) {
            unlink(path.c_str());
            fcntl(descriptor_, F_SETFD, FD_CLOEXEC);
        }
    }
    if (descriptor_ < 0) return errno;
    direct_ = reopen_direct(descriptor_);
    return 0;
}

int32_t ScratchFile::write(uint64_t offset, const void* from, size_t bytes) {
    int descriptor = -1;
    {
        const std::lock_guard lock(mutex_);
        if (const int32_t result = create(); result != 0) return result;
        descriptor = descriptor_;
    }
    // Past what a process may write, the system would end it with a signal.
    struct rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (offset > limit.rlim_cur || bytes > limit.rlim_cur - offset)) {
        return EFBIG;
    }
    if (const int32_t result = write_fully(descriptor, offset, from, bytes); result != 0) return result;
    const std::lock_guard lock(mutex_);
    if (offset + bytes > size_) size_ = offset + bytes;
    return 0;
}

int32_t ScratchFile::read(uint64_t offset, void* to, size_t bytes) const {
    int descriptor = -1;
    {
        const std::lock_guard lock(mutex_);
        descriptor = descriptor_;
    }
    return descriptor < 0 ? ReadOnlyFile::shrunk : read_fully(descriptor, offset, to, bytes);
}

int32_t ScratchFile::read_direct(uint64_t offset, void* to, size_t bytes) const {
    size_t done = 0;
    const int32_t result = read_past_cache(direct(), offset, to, bytes, &done);
    if (result != 0 && result != EINVAL) return result;
    return read(offset + done, static_cast<unsigned char*>(to) + done, bytes - done);
}

int ScratchFile::direct() const {
    const std::lock_guard lock(mutex_);
    return direct_;
}

uint64_t ScratchFile::size() const {
    const std::lock_guard lock(mutex_);
    return size_;
}

}  // namespace linnet
