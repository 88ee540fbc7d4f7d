#include "tools/linnet/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tools/linnet/command.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/sizes.h"

namespace linnet {

namespace {

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string read_descriptor(int descriptor, const std::string& name) {
    std::string text;
    for (;;) {
        const size_t before = text.size();
        text.resize(before + 65536);
        const ssize_t got = read(descriptor, text.data() + before, 65536);
        text.resize(before + static_cast<size_t>(got > 0 ? got : 0));
        if (got == 0) return text;
        if (got < 0 && errno != EINTR) throw Failure(exit_bad_input, "Cannot read " + name + ": " + strerror(errno) + ".");
    }
}

}  // namespace

std::string read_whole_file(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw Failure(exit_bad_input, "Cannot open \"" + path + "\": " + strerror(errno) + ".");
    std::string text;
    try {
        text = read_descriptor(descriptor, "\"" + path + "\"");
    } catch (...) {
        close(descriptor);
        throw;
    }
    close(descriptor);
    return text;
}

std::string read_stdin() { return read_descriptor(STDIN_FILENO, "the standard input"); }

// ---- reading -----------------------------------------------------------------------------------------------------------

class FileFolder::File : public Input {
public:
    bool open(const std::string& path, std::string& problem) {
        name_ = path;
        return file_.open(path, problem);
    }
    uint64_t size() const override { return file_.size(); }
    Status read(uint64_t offset, void* to, size_t bytes, Error& error) override {
        if (offset > size() || bytes > size() - offset) {
            return error.fail(Status::bad_file) << '"' << name_ << "\" has " << size() << " bytes; " << bytes << " at offset "
                                                << offset << " were asked for: it is truncated or malformed.";
        }
        const int32_t result = file_.read(offset, to, bytes);
        if (result == 0) return Status::ok;
        return error.fail(Status::io) << "Cannot read \"" << name_ << "\": " << read_problem(result) << '.';
    }

private:
    std::string name_;
    ReadOnlyFile file_;
};

FileFolder::FileFolder(std::string path) : path_(std::move(path)) {}
FileFolder::~FileFolder() = default;

std::vector<std::string> FileFolder::names() const {
    std::vector<std::string> names;
    std::error_code problem;
    for (const auto& entry : std::filesystem::directory_iterator(path_, problem)) {
        std::error_code ignored;
        if (entry.is_regular_file(ignored)) names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

Status FileFolder::open(const std::string& name, Input*& input, Error& error) {
    input = nullptr;
    if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos) {
        return error.fail(Status::bad_file) << '"' << name << "\" is not the name of a file in the model's folder.";
    }
    const auto known = files_.find(name);
    if (known != files_.end()) {
        input = known->second.get();
        return Status::ok;
    }
    const std::string path = path_ + "/" + name;
    struct stat status{};
    if (stat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) return Status::ok;
    auto file = std::make_unique<File>();
    std::string problem;
    if (!file->open(path, problem)) return error.fail(Status::io) << problem;
    input = (files_[name] = std::move(file)).get();
    return Status::ok;
}

SourcePath find_source(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        throw Failure(exit_bad_input, "Cannot open \"" + path + "\": " + strerror(errno) + ".");
    if (S_ISDIR(status.st_mode)) return {path, ""};
    const size_t slash = path.rfind('/');
    return {folder_of(path), slash == std::string::npos ? path : path.substr(slash + 1)};
}

void refuse_same_file(const std::string& input, const std::string& output) {
    struct stat one{};
    struct stat other{};
    if (stat(input.c_str(), &one) != 0 || stat(output.c_str(), &other) != 0 || !S_ISREG(other.st_mode)) return;
    if (one.st_dev == other.st_dev && one.st_ino == other.st_ino) {
        throw Failure(exit_usage, "The output is the file that is read. Choose another name for it.");
    }
}

// ---- writing -----------------------------------------------------------------------------------------------------------

OutputFile::OutputFile(std::string path) : path_(std::move(path)) {
    const auto refuse = [&](const std::string& why) {
        throw Failure(exit_bad_input, "Cannot write \"" + path_ + "\": " + why + ".");
    };
    struct stat status{};
    std::string target = path_;
    const bool there = stat(path_.c_str(), &status) == 0;
    if (there && S_ISDIR(status.st_mode)) refuse("it is a folder");
    if (!there || S_ISREG(status.st_mode)) {
        // Through a symbolic link the file itself is replaced, not the link.
        std::error_code problem;
        const auto resolved = std::filesystem::canonical(path_, problem);
        if (there && !problem) path_ = resolved.string();
        partial_ = path_ + ".partial-" + std::to_string(getpid());
        target = partial_;
    }
    // The name is the handler's before there is a file, so that no moment is left in which a signal leaves one behind.
    if (!partial_.empty()) set_unfinished_file(partial_);
    do {
        descriptor_ = open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) {
        const std::string why = strerror(errno);
        set_unfinished_file("");
        refuse(why);
    }
    buffer_.reserve(size_t{1} << 20);
}

OutputFile::~OutputFile() {
    if (descriptor_ < 0) return;
    close(descriptor_);
    if (!partial_.empty()) {
        unlink(partial_.c_str());
        set_unfinished_file("");
    }
}

Status OutputFile::failed(int number, Error& error) {
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
        struct statvfs disk{};
        const uint64_t room =
            fstatvfs(descriptor_, &disk) == 0 ? uint64_t{disk.f_bavail} * static_cast<uint64_t>(disk.f_frsize) : 0;
        error.fail(Status::io) << "The disk of \"" << folder_of(path_) << "\" is full or has a limit (" << strerror(number)
                               << "): ";
        if (expected_ != 0) {
            error << "the file needs " << format_bytes(expected_) << " (" << expected_ << " bytes) and ";
        }
        return error << format_bytes(written_) << " were written; " << format_bytes(room)
                     << " are free now. Make room, or choose another place.";
    }
    return error.fail(Status::io) << "Cannot write \"" << path_ << "\": " << strerror(number) << '.';
}

Status OutputFile::expect(uint64_t bytes, Error& error) {
    expected_ = bytes;
    struct statvfs disk{};
    if (partial_.empty() || fstatvfs(descriptor_, &disk) != 0) return Status::ok;
    const uint64_t room = uint64_t{disk.f_bavail} * static_cast<uint64_t>(disk.f_frsize) + written_;
    if (room >= bytes) return Status::ok;
    return error.fail(Status::io) << "The disk of \"" << folder_of(path_) << "\" has too little room: the file needs "
                                  << format_bytes(bytes) << " (" << bytes << " bytes) and " << format_bytes(room)
                                  << " are free. Make room, or choose another place.";
}

Status OutputFile::flush(Error& error) {
    const uint8_t* at = buffer_.data();
    size_t left = buffer_.size();
    while (left != 0) {
        const ssize_t put = ::write(descriptor_, at, left);
        if (put < 0) {
            if (errno == EINTR) continue;
            return failed(errno, error);
        }
        at += put;
        left -= static_cast<size_t>(put);
        written_ += static_cast<uint64_t>(put);
    }
    buffer_.clear();
    return Status::ok;
}

Status OutputFile::write(const void* bytes, size_t count, Error& error) {
    const auto* at = static_cast<const uint8_t*>(bytes);
    while (count != 0) {
        const size_t room = buffer_.capacity() - buffer_.size();
        const size_t piece = count < room ? count : room;
        buffer_.insert(buffer_.end(), at, at + piece);
        at += piece;
        count -= piece;
        if (buffer_.size() == buffer_.capacity()) {
            if (Status status = flush(error); status != Status::ok) return status;
        }
    }
    return Status::ok;
}

void OutputFile::finish() {
    Error error;
    require(flush(error), error);
    if (partial_.empty()) {
        const int result = close(descriptor_);
        descriptor_ = -1;
        if (result != 0) throw Failure(exit_bad_input, "Cannot write \"" + path_ + "\": " + strerror(errno) + ".");
        return;
    }
    // The data is on the disk before the name is: after a power cut there is a whole file or none.
    if (fsync(descriptor_) != 0) require(failed(errno, error), error);
    if (rename(partial_.c_str(), path_.c_str()) != 0) require(failed(errno, error), error);
    set_unfinished_file("");
    close(descriptor_);
    descriptor_ = -1;
    const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
}

bool OutputProgress::update(uint64_t done, uint64_t total) {
    if (total != total_) {
        total_ = total;
        if (file_.expect(total, error_) != Status::ok) return false;
    }
    line_.update(done, total);
    return true;
}

}  // namespace linnet
