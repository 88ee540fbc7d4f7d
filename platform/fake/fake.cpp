#include "platform/fake/fake.h"

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace linnet {

FakePlatform::FakePlatform(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) { restart({}); }

void FakePlatform::restart(const Faults& faults) {
    faults_ = faults;
    reads_ = 0;
    yields_ = 0;
    platform_ = {};
    platform_.version = LINNET_PLATFORM_VERSION;
    platform_.context = this;
    platform_.file_bytes = bytes_.size();
    platform_.read = read;
    platform_.ticks = ticks;
    platform_.yield = yield;
    if (faults.mapped) {
        // A mapping is 64-aligned wherever its offset in the file is.
        storage_.resize(bytes_.size() + 64);
        const size_t shift = (64 - reinterpret_cast<uintptr_t>(storage_.data()) % 64) % 64;
        if (!bytes_.empty()) memcpy(storage_.data() + shift, bytes_.data(), bytes_.size());
        platform_.map = map;
    }
}

int32_t FakePlatform::read(void* context, uint64_t offset, void* to, size_t bytes) {
    FakePlatform& self = *static_cast<FakePlatform*>(context);
    const uint64_t number = ++self.reads_;
    const Faults& faults = self.faults_;
    if (faults.delay_microseconds != 0) std::this_thread::sleep_for(std::chrono::microseconds(faults.delay_microseconds));
    if (offset > self.bytes_.size() || bytes > self.bytes_.size() - offset) return -1;
    const bool fails = number == faults.fail_read || (faults.fail_from_then_on && number > faults.fail_read);
    if (fails) {
        if (faults.half_done) memcpy(to, self.bytes_.data() + offset, bytes / 2);
        return faults.error;
    }
    memcpy(to, self.bytes_.data() + offset, bytes);
    if (number == faults.corrupt_read && bytes != 0) static_cast<uint8_t*>(to)[bytes / 2] ^= 0x10;
    return 0;
}

const void* FakePlatform::map(void* context, uint64_t offset, size_t bytes) {
    FakePlatform& self = *static_cast<FakePlatform*>(context);
    if (offset > self.bytes_.size() || bytes > self.bytes_.size() - offset) return nullptr;
    const size_t shift = (64 - reinterpret_cast<uintptr_t>(self.storage_.data()) % 64) % 64;
    return self.storage_.data() + shift + offset;
}

// A clock of its own, so that a test sees the same times whenever it runs.
uint64_t FakePlatform::ticks(void* context) { return static_cast<FakePlatform*>(context)->clock_ += 100; }

int32_t FakePlatform::yield(void* context) {
    FakePlatform& self = *static_cast<FakePlatform*>(context);
    return ++self.yields_ == self.faults_.cancel_yield ? 1 : 0;
}

}  // namespace linnet
