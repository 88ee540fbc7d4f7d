// Reads past the system's cache that the kernel does on its own, while the caller computes: Linux's asynchronous I/O (io_submit(2)).
//
// No thread waits for them, so none has to find a processor free when a disk has answered: where the threads that compute have all
// processors, a reader that has to be woken for each part loses more time than the reading takes (figures in core/stream/README.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform/posix/read_ahead.h"

namespace linnet {

// Called by one thread at a time.
class QueuedReads {
public:
    QueuedReads() = default;
    ~QueuedReads();  // waits for what is under way
    QueuedReads(const QueuedReads&) = delete;
    QueuedReads& operator=(const QueuedReads&) = delete;

    // Whether reads of this descriptor (opened with O_DIRECT), place and length can be queued: never where the system has no such
    // queue, or forbids it.
    bool takes(int descriptor, uint64_t offset, const void* to, size_t bytes);
    // Begins what takes() said yes to. Two at a time; 0 or too_many. Tickets are 4 and 5. `read` reads the same file,
    // and is called from wait() for what the queue did not bring: the bytes behind the last whole block, or after an error.
    int32_t begin(int descriptor, ReadAhead::Read read, void* source, uint64_t offset, void* to, size_t bytes,
                  uint32_t* ticket);
    bool has(uint32_t ticket) const { return ticket >= first_ticket && ticket < first_ticket + 2; }
    int32_t wait(uint32_t ticket);

    static constexpr int32_t too_many = -2;

private:
    static constexpr uint32_t first_ticket = 4;
    static constexpr size_t most_queued = size_t{1} << 30;

    struct Request {
        bool in_use = false;
        bool arrived = false;
        ReadAhead::Read read = nullptr;
        void* source = nullptr;
        uint64_t offset = 0;
        unsigned char* to = nullptr;
        size_t bytes = 0;
        int64_t result = 0;  // bytes that came, or a negative errno
    };

    enum class Queue { untried, open, none } queue_ = Queue::untried;
    unsigned long context_ = 0;  // aio_context_t
    Request requests_[2];
};

}  // namespace linnet
