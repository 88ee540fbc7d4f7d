// Storage that is read and written by another worker, while this one computes: a few words of the shared memory in which requests
// are put down and answered. The other end is the package's reader (wasm/package/src/reader/), which reads straight into the
// module's memory.
//
// For one thread at a time, as platform.h has it. Without thread support in the build nothing can be begun.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace linnet {

class ReaderChannel {
public:
    enum class Kind : int32_t { read_model = 0, read_scratch = 1, write_scratch = 2 };

    // What a request can end with; the reader uses them too. Anything but `done` is an error of the platform.
    static constexpr int32_t done = 0;
    static constexpr int32_t short_read = 1;  // fewer bytes than asked for
    static constexpr int32_t silent = 5;      // the reader does not answer

    ReaderChannel() = default;
    ReaderChannel(const ReaderChannel&) = delete;
    ReaderChannel& operator=(const ReaderChannel&) = delete;

    // Puts down a request and returns at once; not `done` where there is no room for one or no reader.
    int32_t begin(Kind kind, uint64_t offset, void* memory, size_t bytes, uint32_t* ticket);
    // Blocks until the request is answered.
    int32_t wait(uint32_t ticket);
    // Both in one.
    int32_t complete(Kind kind, uint64_t offset, void* memory, size_t bytes);

private:
    // Two reads under way, and one request that is waited for at once; one to spare.
    static constexpr uint32_t slots = 4;
    enum State : int32_t { idle = 0, asked = 1, answered = 2 };

    // As the reader sees them: 32-bit words in this order.
    struct Slot {
        std::atomic<int32_t> state{idle};
        int32_t number = 0;  // requests are served in the order of their numbers
        int32_t kind = 0;
        uint32_t offset_low = 0;
        uint32_t offset_high = 0;
        uint32_t address = 0;
        uint32_t bytes = 0;
        int32_t result = 0;
    };
    std::atomic<int32_t> signal_{0};   // changes with every request: the reader sleeps on it
    std::atomic<int32_t> ending_{0};   // set by the package: the reader is to end
    std::atomic<int32_t> ended_{0};    // set when it has: nothing is answered any more
    std::atomic<int32_t> problem_{0};  // the last result that was not `done`
    Slot requests_[slots];
    [[maybe_unused]] int32_t next_number_ = 1;
    [[maybe_unused]] bool broken_ = false;
};

}  // namespace linnet
