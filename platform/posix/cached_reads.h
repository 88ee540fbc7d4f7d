// Reads of what the system's cache has. They are copying, not waiting: work for processors, of which the threads that compute have all.
// So what is begun here is copied by those threads when it is waited for, and no other threads get into their way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "platform/posix/file.h"
#include "platform/posix/thread_pool.h"

namespace linnet {

class CachedReads {
public:
    // What the cache does not have is waited for by the threads that should compute. Where that happens this says no for a while:
    // then such reads are better begun with threads of their own (ReadAhead), which tell with read() when it has become better.
    bool likely() const { return had_.load(std::memory_order_relaxed) >= convincing; }

    // Two at a time; 0 or too_many. Tickets are 2 and 3.
    int32_t begin(const ReadOnlyFile& file, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    bool has(uint32_t ticket) const { return ticket >= first_ticket && ticket < first_ticket + 2; }
    int32_t wait(uint32_t ticket, ThreadPool& pool);

    // Reads like ReadOnlyFile::read, and notes whether the cache had all of it.
    int32_t read(const ReadOnlyFile& file, uint64_t offset, void* to, size_t bytes);

    static constexpr int32_t too_many = -2;

private:
    static constexpr uint32_t first_ticket = 2;
    static constexpr uint32_t convincing = 64;  // reads that the cache had, one after the other

    struct Request {
        bool in_use = false;
        CachedReads* self = nullptr;
        const ReadOnlyFile* file = nullptr;
        uint64_t offset = 0;
        unsigned char* to = nullptr;
        size_t bytes = 0;
        std::atomic<int32_t> result{0};  // an error of some part
    };

    static void read_part(void* request, uint32_t index);

    Request requests_[2];
    std::atomic<uint32_t> had_{convincing};
};

}  // namespace linnet
