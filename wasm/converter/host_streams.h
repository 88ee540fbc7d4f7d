// The converter's Input, Output and Progress over a host in JavaScript, whose answers may take their time.
//
// The host is an object with:
//   size                            bytes of the source
//   read(offset, bytes, address)    a promise of an Outcome; done: those bytes stand at the address in the module's memory
//   write(bytes)                    a Uint8Array, valid during the call; an Outcome
//   progress(done, total)           true when the event loop has not been seen for long: pause() is called then
//   pause()                         a promise of an Outcome, after the event loop had its turn
// What went wrong the host keeps for itself; the library only hears that something did.
#pragma once

#include <emscripten/val.h>

#include <vector>

#include "tools/converter/bytes_io.h"

namespace linnet {

enum class Outcome : int { done = 0, failed = 1, cancelled = 2 };

Status host_status(Outcome outcome, Error& error);

// Small reads come out of a window of the source; what is larger than the window is read to where it goes.
class HostInput : public Input {
public:
    explicit HostInput(emscripten::val host);
    uint64_t size() const override { return size_; }
    Status read(uint64_t offset, void* to, size_t bytes, Error& error) override;

private:
    emscripten::val host_;
    uint64_t size_;
    uint64_t window_from_ = 0;
    std::vector<uint8_t> window_;

    Status fetch(uint64_t offset, void* to, size_t bytes, Error& error);
};

// The one file: the other parts of a split model cannot be reached from here.
class HostFolder : public InputFolder {
public:
    HostFolder(std::string name, Input& input) : name_(std::move(name)), input_(input) {}
    std::vector<std::string> names() const override { return {name_}; }
    Status open(const std::string& name, Input*& input, Error& error) override;

private:
    std::string name_;
    Input& input_;
};

// Gathers what is written into large pieces.
class HostOutput : public Output {
public:
    explicit HostOutput(emscripten::val host);
    Status write(const void* bytes, size_t count, Error& error) override;
    // Once, at the end.
    Status flush(Error& error);

private:
    emscripten::val host_;
    std::vector<uint8_t> gathered_;
};

class HostProgress : public Progress {
public:
    explicit HostProgress(emscripten::val host) : host_(std::move(host)) {}
    bool update(uint64_t done, uint64_t total) override;

private:
    emscripten::val host_;
};

}  // namespace linnet
