#include "platform/posix/read_ahead.h"

#include <signal.h>

#include <algorithm>
#include <system_error>

namespace linnet {

namespace {

constexpr uint32_t readers = 4;
constexpr size_t part_bytes = size_t{512} << 10;  // a multiple of every alignment that direct reads ask for

}  // namespace

ReadAhead::~ReadAhead() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

int32_t ReadAhead::begin(Read read, void* source, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    const std::lock_guard lock(mutex_);
    for (uint32_t i = 0; i < 2; ++i) {
        Request& request = requests_[i];
        if (request.in_use) continue;
        request = {};
        request.in_use = true;
        request.read = read;
        request.source = source;
        request.offset = offset;
        request.to = static_cast<unsigned char*>(to);
        request.bytes = bytes;
        request.order = next_order_++;
        *ticket = i;
        if (!started_) start();
        const size_t parts = (bytes + part_bytes - 1) / part_bytes;
        for (size_t part = 0; part < std::min<size_t>(parts, readers); ++part) work_.notify_one();
        return 0;
    }
    return too_many;
}

int32_t ReadAhead::wait(uint32_t ticket) {
    if (ticket > 1) return too_many;
    std::unique_lock lock(mutex_);
    Request& request = requests_[ticket];
    if (!request.in_use) return too_many;
    // The system gave no thread: the read happens here. Else it is left to them: a caller that takes parts away lets them fall asleep,
    // and fewer requests reach the disk at a time.
    while (threads_.empty() && request.waiting()) read_part(request, lock);
    finished_.wait(lock, [&] { return request.done(); });
    request.in_use = false;
    return request.result;
}

void ReadAhead::start() {
    started_ = true;
    // Signals are the business of the threads that the caller knows of.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    try {
        threads_.reserve(readers);
        while (threads_.size() < readers) threads_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {}
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ReadAhead::Request* ReadAhead::oldest_waiting() {
    Request* oldest = nullptr;
    for (Request& request : requests_) {
        if (request.waiting() && (oldest == nullptr || request.order < oldest->order)) oldest = &request;
    }
    return oldest;
}

void ReadAhead::read_part(Request& request, std::unique_lock<std::mutex>& lock) {
    const size_t at = request.taken;
    const size_t bytes = std::min(part_bytes, request.bytes - at);
    request.taken += bytes;
    ++request.parts;
    lock.unlock();
    const int32_t result = request.read(request.source, request.offset + at, request.to + at, bytes);
    lock.lock();
    --request.parts;
    if (result != 0 && request.result == 0) {
        request.result = result;
        request.taken = request.bytes;  // what is left of it is of no use
    }
    if (request.done()) finished_.notify_all();
}

void ReadAhead::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_.wait(lock, [&] { return ending_ || oldest_waiting() != nullptr; });
        if (ending_) return;
        read_part(*oldest_waiting(), lock);
    }
}

}  // namespace linnet
