#include "platform/fake/fake_device.h"

#include <cstring>

namespace linnet {

namespace {

constexpr int32_t no_power = 19;
constexpr int32_t outside = 22;
constexpr int32_t unreadable = 5;

}  // namespace

FakeDevice::FakeDevice(uint32_t block_bytes, uint64_t blocks) : bytes_(block_bytes * blocks, 0xff), unreadable_(blocks, false) {
    device_.context = this;
    device_.block_bytes = block_bytes;
    device_.blocks = blocks;
    device_.read = read;
    device_.write = write;
    device_.sync = sync;
}

void FakeDevice::cut_at(uint64_t number, Torn torn, bool cache) {
    cut_ = writes_ + number;
    torn_ = torn;
    cache_ = cache;
}

void FakeDevice::power_on() {
    off_ = false;
    cut_ = UINT64_MAX;
    cache_ = false;
    unsynced_.clear();
}

uint64_t FakeDevice::random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
}

void FakeDevice::tear(uint8_t* at, const uint8_t* from, size_t bytes) {
    const size_t half_of_blocks = bytes / device_.block_bytes / 2 * device_.block_bytes;
    switch (torn_) {
        case Torn::old:
        case Torn::unreadable: break;
        case Torn::changed: memcpy(at, from, bytes); break;
        case Torn::half: memcpy(at, from, bytes / 2 + device_.block_bytes / 4); break;
        case Torn::noise:
            for (size_t i = 0; i < bytes; ++i) at[i] = static_cast<uint8_t>(random() >> 24);
            break;
        case Torn::backwards: memcpy(at + half_of_blocks, from + half_of_blocks, bytes - half_of_blocks); break;
    }
}

int32_t FakeDevice::read(void* context, uint64_t first, void* to, uint32_t count) {
    FakeDevice& self = *static_cast<FakeDevice*>(context);
    if (self.off_) return no_power;
    if (first > self.device_.blocks || count > self.device_.blocks - first) return outside;
    for (uint64_t block = first; block < first + count; ++block) {
        if (self.unreadable_[block]) return unreadable;
    }
    memcpy(to, self.bytes_.data() + first * self.device_.block_bytes, size_t{count} * self.device_.block_bytes);
    return 0;
}

int32_t FakeDevice::write(void* context, uint64_t first, const void* from, uint32_t count) {
    FakeDevice& self = *static_cast<FakeDevice*>(context);
    if (self.off_) return no_power;
    if (first > self.device_.blocks || count > self.device_.blocks - first) return outside;
    const size_t offset = static_cast<size_t>(first) * self.device_.block_bytes;
    const size_t bytes = size_t{count} * self.device_.block_bytes;
    uint8_t* at = self.bytes_.data() + offset;
    self.writes_ += 1;
    const bool cut = self.writes_ == self.cut_ && self.torn_ == Torn::unreadable;
    for (uint64_t block = first; block < first + count; ++block) self.unreadable_[block] = cut;
    if (self.writes_ == self.cut_) {
        self.tear(at, static_cast<const uint8_t*>(from), bytes);
        // Later writes first, so that each lost one leaves what was there before it.
        for (size_t i = self.unsynced_.size(); self.cache_ && i-- != 0;) {
            const Unsynced& lost = self.unsynced_[i];
            if (i % 2 == 0 || self.random() % 2 == 0)
                memcpy(self.bytes_.data() + lost.offset, lost.before.data(), lost.before.size());
        }
        self.off_ = true;
        return no_power;
    }
    if (self.cache_) self.unsynced_.push_back({offset, {at, at + bytes}});
    memcpy(at, from, bytes);
    return 0;
}

int32_t FakeDevice::sync(void* context) {
    FakeDevice& self = *static_cast<FakeDevice*>(context);
    if (self.off_) return no_power;
    self.syncs_ += 1;
    self.unsynced_.clear();
    return 0;
}

}  // namespace linnet
