#include "platform/posix/cached_reads.h"

#include <algorithm>

namespace linnet {

namespace {

// Some ten microseconds of copying, which stay in a processor's own cache.
constexpr size_t part_bytes = size_t{128} << 10;

}  // namespace

int32_t CachedReads::begin(const ReadOnlyFile& file, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    for (uint32_t i = 0; i < 2; ++i) {
        Request& request = requests_[i];
        if (request.in_use) continue;
        request.in_use = true;
        request.self = this;
        request.file = &file;
        request.offset = offset;
        request.to = static_cast<unsigned char*>(to);
        request.bytes = bytes;
        request.result.store(0, std::memory_order_relaxed);
        *ticket = first_ticket + i;
        return 0;
    }
    return too_many;
}

int32_t CachedReads::wait(uint32_t ticket, ThreadPool& pool) {
    if (!has(ticket)) return too_many;
    Request& request = requests_[ticket - first_ticket];
    if (!request.in_use) return too_many;
    pool.run(read_part, &request, static_cast<uint32_t>((request.bytes + part_bytes - 1) / part_bytes));
    request.in_use = false;
    return request.result.load(std::memory_order_relaxed);
}

void CachedReads::read_part(void* context, uint32_t index) {
    Request& request = *static_cast<Request*>(context);
    const size_t at = index * part_bytes;
    const size_t bytes = std::min(part_bytes, request.bytes - at);
    const int32_t result = request.self->read(*request.file, request.offset + at, request.to + at, bytes);
    if (result != 0) request.result.store(result, std::memory_order_relaxed);
}

int32_t CachedReads::read(const ReadOnlyFile& file, uint64_t offset, void* to, size_t bytes) {
    const size_t done = file.read_cached(offset, to, bytes);
    if (done == bytes) {
        const uint32_t had = had_.load(std::memory_order_relaxed);
        if (had < convincing) had_.store(had + 1, std::memory_order_relaxed);
        return 0;
    }
    had_.store(0, std::memory_order_relaxed);
    return file.read(offset + done, static_cast<unsigned char*>(to) + done, bytes - done);
}

}  // namespace linnet
