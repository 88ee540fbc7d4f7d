#include "platform/posix/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace linnet {

ReadOnlyFile::~ReadOnlyFile() {
    if (descriptor_ >= 0) close(descriptor_);
}

bool ReadOnlyFile::open(const std::string& path, std::string& problem) {
    const auto refuse = [&](const std::string& why) {
        problem = "Cannot open \"" + path + "\": " + why + ".";
        if (descriptor_ >= 0) close(descriptor_);
        descriptor_ = -1;
        return false;
    };
    if (descriptor_ >= 0) close(descriptor_);
    // O_NONBLOCK, so that a named pipe is refused below and not waited for.
    do {
        descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) return refuse(strerror(errno));
    struct stat status{};
    if (fstat(descriptor_, &status) != 0) return refuse(strerror(errno));
    if (S_ISDIR(status.st_mode)) return refuse("it is a folder, a file is needed");
    if (!S_ISREG(status.st_mode)) return refuse("it is not a regular file");
    size_ = static_cast<uint64_t>(status.st_size);
    return true;
}

int32_t ReadOnlyFile::read(uint64_t offset, void* to, size_t bytes) const {
    auto* at = static_cast<unsigned char*>(to);
    constexpr size_t most = size_t{1} << 30;  // one call reads at most about 2 GiB on Linux
    while (bytes != 0) {
        const ssize_t got = pread(descriptor_, at, bytes < most ? bytes : most, static_cast<off_t>(offset));
        if (got < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        if (got == 0) return shrunk;
        at += got;
        offset += static_cast<uint64_t>(got);
        bytes -= static_cast<size_t>(got);
    }
    return 0;
}

std::string read_problem(int32_t result) {
    if (result == 0) return {};
    if (result == ReadOnlyFile::shrunk) return "the file has become shorter since it was opened";
    return strerror(result);
}

}  // namespace linnet
