// Files for the converter: what it reads by range, and what it writes from front to back.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "platform/posix/file.h"
#include "platform/posix/thread_pool.h"
#include "tools/converter/bytes_io.h"
#include "tools/linnet/terminal.h"

namespace linnet {

// All of a (small) file or of stdin. Throws a Failure.
std::string read_whole_file(const std::string& path);
std::string read_stdin();

// A folder's regular files by name; names with a slash are refused.
class FileFolder : public InputFolder {
public:
    explicit FileFolder(std::string path);
    ~FileFolder() override;
    std::vector<std::string> names() const override;
    Status open(const std::string& name, Input*& input, Error& error) override;

private:
    class File;
    std::string path_;
    std::map<std::string, std::unique_ptr<File>> files_;
};

// Where a model comes from, as open_source() wants it: a folder and, for a file, its name in it.
struct SourcePath {
    std::string folder;
    std::string main;  // empty: the folder is the model
};
// Throws a Failure where there is nothing.
SourcePath find_source(const std::string& path);

// A file that stands under its final name only when it is complete. It is written as "NAME.partial-PID" in the same folder, which
// is removed when the work fails or is interrupted. What is no regular file (/dev/null, a pipe) is written as it is.
class OutputFile : public Output {
public:
    explicit OutputFile(std::string path);  // throws a Failure
    ~OutputFile() override;
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    // Refuses, with a sentence, when the disk has less room than `bytes`.
    Status expect(uint64_t bytes, Error& error);
    Status write(const void* bytes, size_t count, Error& error) override;
    // On the disk and under its own name. Throws a Failure.
    void finish();
    uint64_t written() const { return written_; }

    // For a file that is only to be read again: what has been written so far stands under this name, until this object goes. Whoever
    // has opened it by then can read on. Empty: what is written is no regular file.
    const std::string& passing_name() const { return partial_; }
    Status flush(Error& error);

private:
    Status failed(int number, Error& error);

    std::string path_;
    std::string partial_;  // empty: written in place
    int descriptor_ = -1;
    uint64_t written_ = 0;
    uint64_t expected_ = 0;
    std::vector<uint8_t> buffer_;
};

// Refuses to write over a file that is being read.
void refuse_same_file(const std::string& input, const std::string& output);

class PoolWorkers : public Workers {
public:
    explicit PoolWorkers(uint32_t threads) : pool_(threads) {}
    uint32_t threads() const override { return pool_.threads(); }
    void run(ParallelTask task, void* context, uint32_t count) override { pool_.run(task, context, count); }

private:
    ThreadPool pool_;
};

// Shows the progress of an output file, and asks the disk for room once the size is known.
class OutputProgress : public Progress {
public:
    OutputProgress(OutputFile& file, ProgressLine& line) : file_(file), line_(line) {}
    bool update(uint64_t done, uint64_t total) override;
    // What made update() answer false.
    const Error& error() const { return error_; }

private:
    OutputFile& file_;
    ProgressLine& line_;
    uint64_t total_ = 0;
    Error error_;
};

}  // namespace linnet
