// Reads that go on while the caller computes: two requests at a time, cut into parts that several threads read.
//
// Several, because a disk is only as fast as the number of requests that it has: figures in read_ahead.cpp.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace linnet {

class ReadAhead {
public:
    // Reads exactly `bytes` bytes at `offset` of what `source` is: 0 or an error. Called by any thread.
    using Read = int32_t (*)(void* source, uint64_t offset, void* to, size_t bytes);

    ReadAhead() = default;
    ~ReadAhead();
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // 0, or too_many when two are under way. The threads start with the first request.
    int32_t begin(Read read, void* source, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    // What the read came to; too_many for a ticket that is not under way.
    int32_t wait(uint32_t ticket);

    static constexpr int32_t too_many = -2;

private:
    struct Request {
        bool in_use = false;
        Read read = nullptr;
        void* source = nullptr;
        uint64_t offset = 0;
        unsigned char* to = nullptr;
        size_t bytes = 0;
        size_t taken = 0;    // of these, by some thread
        uint32_t parts = 0;  // that are being read
        int32_t result = 0;  // the first error
        uint64_t order = 0;
        bool waiting() const { return in_use && taken != bytes; }
        bool done() const { return taken == bytes && parts == 0; }
    };

    void start();
    void serve();
    Request* oldest_waiting();
    // Reads one part with the lock released.
    void read_part(Request& request, std::unique_lock<std::mutex>& lock);

    std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable finished_;
    Request requests_[2];
    uint64_t next_order_ = 0;
    bool started_ = false;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace linnet
