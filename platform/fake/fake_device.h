// A block device in memory whose power goes away: for the tests of what must survive that.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/block_device.h"

namespace linnet {

// What is in the blocks that were being written when the power went.
enum class Torn { old, changed, half, noise, backwards, unreadable };

class FakeDevice {
public:
    FakeDevice(uint32_t block_bytes, uint64_t blocks);
    FakeDevice(const FakeDevice&) = delete;
    FakeDevice& operator=(const FakeDevice&) = delete;

    const linnet_block_device& device() const { return device_; }
    std::vector<uint8_t>& bytes() { return bytes_; }
    uint64_t writes() const { return writes_; }
    uint64_t syncs() const { return syncs_; }
    bool off() const { return off_; }

    // The power goes in the middle of the `number`-th write from now on (from 1); every call fails from then on. What that write leaves:
    //   old        nothing of it
    //   changed    all of it, but the caller never hears
    //   half       its first half of bytes, in the middle of a block
    //   noise      blocks of random bytes, no two the same
    //   backwards  the second half of its blocks, and not the first
    //   unreadable blocks that cannot be read until they are written again
    // With `cache`, writes since the last sync are lost as well, every other one of them at least: a device that keeps them in a cache.
    void cut_at(uint64_t number, Torn torn, bool cache);
    // The power is back. What was lost stays lost.
    void power_on();

private:
    static int32_t read(void* context, uint64_t first, void* to, uint32_t count);
    static int32_t write(void* context, uint64_t first, const void* from, uint32_t count);
    static int32_t sync(void* context);
    void tear(uint8_t* at, const uint8_t* from, size_t bytes);
    uint64_t random();

    struct Unsynced {
        size_t offset;
        std::vector<uint8_t> before;
    };
    linnet_block_device device_{};
    std::vector<uint8_t> bytes_;
    std::vector<bool> unreadable_;  // blocks
    std::vector<Unsynced> unsynced_;
    uint64_t writes_ = 0;
    uint64_t syncs_ = 0;
    uint64_t cut_ = UINT64_MAX;
    Torn torn_ = Torn::old;
    bool cache_ = false;
    bool off_ = false;
    uint64_t random_ = 88172645463325252u;
};

}  // namespace linnet
