#include "platform/fake/fake.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace linnet {

namespace {

constexpr int32_t outside = -1;    // of the file, or of what was written
constexpr int32_t forbidden = -2;  // by platform.h
constexpr uint8_t not_yet = 0xa5;  // what stands where a read is under way

}  // namespace

FakePlatform::FakePlatform(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) { restart({}); }

void FakePlatform::restart(const Faults& faults) {
    faults_ = faults;
    read_bytes_.clear();
    corrupted_ = scratch_reads_ = scratch_writes_ = yields_ = 0;
    platform_ = {};
    platform_.version = LINNET_PLATFORM_VERSION;
    platform_.context = this;
    platform_.file_bytes = bytes_.size();
    platform_.read = read;
    platform_.ticks = ticks;
    platform_.yield = yield;
    if (!faults.blocking) {
        platform_.begin_read = begin_read;
        platform_.wait = wait;
    }
    if (!faults.no_scratch) {
        platform_.scratch_write = scratch_write;
        platform_.scratch_read = scratch_read;
        if (!faults.blocking) platform_.begin_scratch_read = begin_scratch_read;
        platform_.scratch_bytes = faults.scratch_bytes;
    }
    if (faults.mapped) {
        // A mapping is 64-aligned wherever its offset in the file is.
        storage_.resize(bytes_.size() + 64);
        const size_t shift = (64 - reinterpret_cast<uintptr_t>(storage_.data()) % 64) % 64;
        if (!bytes_.empty()) memcpy(storage_.data() + shift, bytes_.data(), bytes_.size());
        platform_.map = map;
    }
}

uint32_t FakePlatform::under_way() const { return (pending_[0].in_use ? 1u : 0u) + (pending_[1].in_use ? 1u : 0u); }

uint64_t FakePlatform::time_of(size_t bytes) const {
    return faults_.delay_microseconds + (faults_.bytes_per_second != 0 ? bytes * 1'000'000u / faults_.bytes_per_second : 0);
}

int32_t FakePlatform::deliver(uint64_t offset, uint8_t* to, size_t bytes, uint64_t* takes, bool* fails) {
    read_bytes_.push_back(bytes);
    const uint64_t number = read_bytes_.size();
    *takes = time_of(bytes) + (number == faults_.stall_read ? faults_.stall_microseconds : 0);
    *fails = number == faults_.fail_read || (faults_.fail_from_then_on && number > faults_.fail_read);
    if (offset > bytes_.size() || bytes > bytes_.size() - offset) return outside;
    if (*fails) {
        if (faults_.half_done) memcpy(to, bytes_.data() + offset, bytes / 2);
        return faults_.error;
    }
    if (bytes == 0) return 0;
    memcpy(to, bytes_.data() + offset, bytes);
    if (number == faults_.corrupt_read) to[bytes / 2] ^= 0x10;
    const uint64_t from = std::max(offset, faults_.corrupt_offset);
    const uint64_t end = std::min(offset + bytes, faults_.corrupt_offset + faults_.corrupt_bytes);
    if (from < end && corrupted_ < faults_.corrupt_times) {
        ++corrupted_;
        for (uint64_t at = from; at < end; ++at) to[at - offset] ^= 0x10;
    }
    return 0;
}

int32_t FakePlatform::deliver_scratch(uint64_t offset, uint8_t* to, size_t bytes, uint64_t* takes, bool* fails) {
    const uint64_t number = ++scratch_reads_;
    *takes = time_of(bytes);
    *fails = number == faults_.fail_scratch_read || (faults_.scratch_fails_from_then_on && number > faults_.fail_scratch_read);
    if (offset % scratch_page != 0 || bytes % scratch_page != 0) return violated(forbidden);
    if (offset > scratch_.size() || bytes > scratch_.size() - offset) return violated(outside);
    for (uint64_t page = offset / scratch_page; page < (offset + bytes) / scratch_page; ++page) {
        if (!scratch_written_[page]) return violated(outside);
    }
    if (*fails) return faults_.scratch_error;
    if (bytes == 0) return 0;
    memcpy(to, scratch_.data() + offset, bytes);
    if (number == faults_.corrupt_scratch_read) to[bytes / 2] ^= 0x10;
    return 0;
}

int32_t FakePlatform::read(void* context, uint64_t offset, void* to, size_t bytes) {
    FakePlatform& self = of(context);
    uint64_t takes = 0;
    bool fails = false;
    const int32_t result = self.deliver(offset, static_cast<uint8_t*>(to), bytes, &takes, &fails);
    self.clock_ = self.busy_until_ = std::max(self.clock_, self.busy_until_) + takes;
    return result;
}

int32_t FakePlatform::scratch_read(void* context, uint64_t offset, void* to, size_t bytes) {
    FakePlatform& self = of(context);
    uint64_t takes = 0;
    bool fails = false;
    const int32_t result = self.deliver_scratch(offset, static_cast<uint8_t*>(to), bytes, &takes, &fails);
    self.clock_ = self.busy_until_ = std::max(self.clock_, self.busy_until_) + takes;
    return result;
}

// The bytes arrive with `wait` and not before: until then something else stands there.
int32_t FakePlatform::begin(bool scratch, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    Pending* pending = nullptr;
    for (Pending& place : pending_) {
        if (!place.in_use && pending == nullptr) pending = &place;
    }
    if (pending == nullptr) return violated(forbidden);
    auto* target = static_cast<uint8_t*>(to);
    if (bytes != 0) memset(target, not_yet, bytes);
    std::vector<uint8_t> delivered(bytes, not_yet);
    uint64_t takes = 0;
    bool fails = false;
    const int32_t result = scratch ? deliver_scratch(offset, delivered.data(), bytes, &takes, &fails)
                                   : deliver(offset, delivered.data(), bytes, &takes, &fails);
    if (fails && faults_.fail_at_begin) return result;
    busy_until_ = std::max(clock_, busy_until_) + takes;
    *pending = {true, scratch, offset, target, bytes, std::move(delivered), result, busy_until_};
    *ticket = static_cast<uint32_t>(pending - pending_);
    return 0;
}

int32_t FakePlatform::begin_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    return of(context).begin(false, offset, to, bytes, ticket);
}

int32_t FakePlatform::begin_scratch_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    return of(context).begin(true, offset, to, bytes, ticket);
}

int32_t FakePlatform::wait(void* context, uint32_t ticket) {
    FakePlatform& self = of(context);
    if (ticket > 1 || !self.pending_[ticket].in_use) return self.violated(forbidden);
    Pending& pending = self.pending_[ticket];
    pending.in_use = false;
    self.clock_ = std::max(self.clock_, pending.done);
    if (pending.bytes != 0) memcpy(pending.to, pending.delivered.data(), pending.bytes);
    return pending.result;
}

int32_t FakePlatform::scratch_write(void* context, uint64_t offset, const void* from, size_t bytes) {
    FakePlatform& self = of(context);
    const Faults& faults = self.faults_;
    const uint64_t number = ++self.scratch_writes_;
    self.clock_ = self.busy_until_ = std::max(self.clock_, self.busy_until_) + self.time_of(bytes);
    if (offset % scratch_page != 0 || bytes % scratch_page != 0) return self.violated(forbidden);
    for (const Pending& pending : self.pending_) {
        const bool overlaps = offset < pending.offset + pending.bytes && pending.offset < offset + bytes;
        if (pending.in_use && pending.scratch && overlaps) return self.violated(forbidden);
    }
    if (number == faults.fail_scratch_write || (faults.scratch_fails_from_then_on && number > faults.fail_scratch_write)) {
        return faults.scratch_error;
    }
    if (offset > faults.scratch_full || bytes > faults.scratch_full - offset) return faults.scratch_error;
    if (offset + bytes > self.scratch_.size()) {
        self.scratch_.resize(offset + bytes);
        self.scratch_written_.resize((offset + bytes) / scratch_page, false);
    }
    if (bytes != 0) memcpy(self.scratch_.data() + offset, from, bytes);
    for (uint64_t page = offset / scratch_page; page < (offset + bytes) / scratch_page; ++page)
        self.scratch_written_[page] = true;
    return 0;
}

const void* FakePlatform::map(void* context, uint64_t offset, size_t bytes) {
    FakePlatform& self = of(context);
    if (offset > self.bytes_.size() || bytes > self.bytes_.size() - offset) return nullptr;
    const size_t shift = (64 - reinterpret_cast<uintptr_t>(self.storage_.data()) % 64) % 64;
    return self.storage_.data() + shift + offset;
}

uint64_t FakePlatform::ticks(void* context) { return of(context).clock_ += 100; }

int32_t FakePlatform::yield(void* context) {
    FakePlatform& self = of(context);
    return ++self.yields_ == self.faults_.cancel_yield ? 1 : 0;
}

}  // namespace linnet
