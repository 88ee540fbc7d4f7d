#include "platform/posix/queued_reads.h"

#include <cerrno>

#include "platform/posix/file.h"

#if defined(__linux__) && __has_include(<linux/aio_abi.h>)
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>
#define LINNET_QUEUE 1
#else
#define LINNET_QUEUE 0
#endif

namespace linnet {

#if LINNET_QUEUE

// The C library has no functions for these calls.
QueuedReads::~QueuedReads() {
    if (queue_ == Queue::open) syscall(SYS_io_destroy, context_);
}

bool QueuedReads::takes(int descriptor, uint64_t offset, const void* to, size_t bytes) {
    if (!goes_past_cache(descriptor, offset, to, bytes) || bytes > most_queued) return false;
    if (queue_ == Queue::untried) {
        queue_ = syscall(SYS_io_setup, 2U, &context_) == 0 ? Queue::open : Queue::none;
    }
    return queue_ == Queue::open;
}

int32_t QueuedReads::begin(int descriptor, ReadAhead::Read read, void* source, uint64_t offset, void* to, size_t bytes,
                           uint32_t* ticket) {
    for (uint32_t i = 0; i < 2; ++i) {
        Request& request = requests_[i];
        if (request.in_use) continue;
        request = {};
        request.read = read;
        request.source = source;
        request.offset = offset;
        request.to = static_cast<unsigned char*>(to);
        request.bytes = bytes;
        iocb order{};
        order.aio_data = i;
        order.aio_lio_opcode = IOCB_CMD_PREAD;
        order.aio_fildes = static_cast<uint32_t>(descriptor);
        order.aio_buf = reinterpret_cast<uintptr_t>(to);
        order.aio_nbytes = bytes / direct_alignment * direct_alignment;
        order.aio_offset = static_cast<int64_t>(offset);
        iocb* orders[] = {&order};
        // Refused, whatever for: wait() reads it then, and says what is wrong.
        if (syscall(SYS_io_submit, context_, 1L, orders) != 1) request.arrived = true;
        request.in_use = true;
        *ticket = first_ticket + i;
        return 0;
    }
    return too_many;
}

int32_t QueuedReads::wait(uint32_t ticket) {
    if (!has(ticket)) return too_many;
    Request& request = requests_[ticket - first_ticket];
    if (!request.in_use) return too_many;
    while (!request.arrived) {
        io_event events[2];
        const long count = syscall(SYS_io_getevents, context_, 1L, 2L, events, nullptr);
        if (count < 0 && errno != EINTR) return errno;
        for (long i = 0; i < count; ++i) {
            requests_[events[i].data].arrived = true;
            requests_[events[i].data].result = events[i].res;
        }
    }
    request.in_use = false;
    // Whole blocks only: the end of the file may lie in the last one.
    const size_t came = request.result <= 0 ? 0 : static_cast<size_t>(request.result) / direct_alignment * direct_alignment;
    if (came == request.bytes) return 0;
    return request.read(request.source, request.offset + came, request.to + came, request.bytes - came);
}

#else

QueuedReads::~QueuedReads() = default;
bool QueuedReads::takes(int, uint64_t, const void*, size_t) { return false; }
int32_t QueuedReads::begin(int, ReadAhead::Read, void*, uint64_t, void*, size_t, uint32_t*) { return too_many; }
int32_t QueuedReads::wait(uint32_t) { return too_many; }

#endif

}  // namespace linnet
