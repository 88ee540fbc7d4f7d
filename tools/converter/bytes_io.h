// How the converter sees the world: bytes in by range, bytes out in order. No files, no operating system: the command gives it
// files, a browser gives it ranges of a download.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace linnet {

class Input {
public:
    virtual ~Input() = default;
    virtual uint64_t size() const = 0;
    // Exactly `bytes` bytes at `offset`, or an error. Offsets outside are the caller's mistake and are refused too.
    // May be called from several threads at a time.
    virtual Status read(uint64_t offset, void* to, size_t bytes, Error& error) = 0;
};

// The files of one model by name: a folder, or one file (and its siblings, for split files).
class InputFolder {
public:
    virtual ~InputFolder() = default;
    virtual std::vector<std::string> names() const = 0;
    // Null, without an error, when there is no such file. Owned by the folder.
    virtual Status open(const std::string& name, Input*& input, Error& error) = 0;
};

class Output {
public:
    virtual ~Output() = default;
    virtual Status write(const void* bytes, size_t count, Error& error) = 0;
};

// Several threads for long work; null: one.
using ParallelTask = void (*)(void* context, uint32_t index);
class Workers {
public:
    virtual ~Workers() = default;
    virtual uint32_t threads() const = 0;
    virtual void run(ParallelTask task, void* context, uint32_t count) = 0;
};

// Called now and then with the bytes of the output done, and of it in all. Returns false to stop (Status::cancelled).
class Progress {
public:
    virtual ~Progress() = default;
    virtual bool update(uint64_t done, uint64_t total) = 0;
};

}  // namespace linnet
