#include "wasm/converter/host_streams.h"

#include <algorithm>
#include <cstring>

namespace linnet {

using emscripten::val;

namespace {

// Large enough that awaiting costs nothing beside the work on what came; small beside the rest of the memory.
constexpr size_t window_bytes = 1024 * 1024;
constexpr size_t gathered_bytes = 1024 * 1024;

Outcome outcome_of(const val& value) { return static_cast<Outcome>(value.as<int>()); }

}  // namespace

Status host_status(Outcome outcome, Error& error) {
    switch (outcome) {
        case Outcome::done: return Status::ok;
        case Outcome::cancelled: return error.fail(Status::cancelled) << "The conversion was stopped.";
        case Outcome::failed: break;
    }
    return error.fail(Status::io) << "Reading or writing failed.";
}

HostInput::HostInput(val host) : host_(std::move(host)), size_(static_cast<uint64_t>(host_["size"].as<double>())) {}

Status HostInput::fetch(uint64_t offset, void* to, size_t bytes, Error& error) {
    const val answer = host_.call<val>("read", static_cast<double>(offset), static_cast<double>(bytes),
                                       static_cast<double>(reinterpret_cast<uintptr_t>(to)));
    return host_status(outcome_of(answer.await()), error);
}

Status HostInput::read(uint64_t offset, void* to, size_t bytes, Error& error) {
    if (offset > size_ || bytes > size_ - offset) {
        return error.fail(Status::bad_file)
               << "The file ends too early: " << bytes << " bytes were wanted at byte " << offset << " of " << size_ << '.';
    }
    uint8_t* at = static_cast<uint8_t*>(to);
    while (bytes != 0) {
        if (offset >= window_from_ && offset - window_from_ < window_.size()) {
            const size_t within = static_cast<size_t>(offset - window_from_);
            const size_t now = std::min(bytes, window_.size() - within);
            memcpy(at, window_.data() + within, now);
            at += now;
            offset += now;
            bytes -= now;
            continue;
        }
        if (bytes >= window_bytes) return fetch(offset, at, bytes, error);
        // Empty until it is filled: after a failed read nothing stale must stand here.
        const size_t fill = static_cast<size_t>(std::min<uint64_t>(window_bytes, size_ - offset));
        std::vector<uint8_t> filled = std::move(window_);
        window_.clear();
        filled.resize(fill);
        if (Status status = fetch(offset, filled.data(), fill, error); status != Status::ok) return status;
        window_ = std::move(filled);
        window_from_ = offset;
    }
    return Status::ok;
}

Status HostFolder::open(const std::string& name, Input*& input, Error& error) {
    input = nullptr;
    if (name == name_) {
        input = &input_;
        return Status::ok;
    }
    return error.fail(Status::unsupported)
           << "This is one part of a GGUF model in several files, and a browser is given one file at a time. Convert the model "
              "on a computer (linnet convert), which reads all parts, and load the .linnet file that it writes.";
}

HostOutput::HostOutput(val host) : host_(std::move(host)) { gathered_.reserve(gathered_bytes); }

Status HostOutput::write(const void* bytes, size_t count, Error& error) {
    const uint8_t* from = static_cast<const uint8_t*>(bytes);
    while (count != 0) {
        const size_t now = std::min(count, gathered_bytes - gathered_.size());
        gathered_.insert(gathered_.end(), from, from + now);
        from += now;
        count -= now;
        if (gathered_.size() < gathered_bytes) continue;
        if (Status status = flush(error); status != Status::ok) return status;
    }
    return Status::ok;
}

Status HostOutput::flush(Error& error) {
    if (gathered_.empty()) return Status::ok;
    const val view = val(emscripten::typed_memory_view(gathered_.size(), gathered_.data()));
    const Status status = host_status(outcome_of(host_.call<val>("write", view)), error);
    gathered_.clear();
    return status;
}

bool HostProgress::update(uint64_t done, uint64_t total) {
    if (!host_.call<bool>("progress", static_cast<double>(done), static_cast<double>(total))) return true;
    return outcome_of(host_.call<val>("pause").await()) == Outcome::done;
}

}  // namespace linnet
