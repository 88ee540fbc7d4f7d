// A model file in memory that breaks on purpose: the platform of the tests.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/platform.h"

namespace linnet {

// What goes wrong. Reads and yields are counted from 1 over the platform's life, or since restart().
struct Faults {
    static constexpr uint64_t never = UINT64_MAX;
    uint64_t fail_read = never;       // this read gives an error,
    bool fail_from_then_on = false;   // and so do all after it
    int32_t error = 5;                // the error that they give
    bool half_done = false;           // a read that fails has delivered the first half of its bytes
    uint64_t corrupt_read = never;    // this read delivers a byte with one bit turned, and no error
    uint64_t cancel_yield = never;    // this yield asks to stop, once
    uint32_t delay_microseconds = 0;  // of each read
    bool mapped = false;              // `map` gives the bytes in place (faults of reads then hit what is read only)
};

class FakePlatform {
public:
    explicit FakePlatform(std::vector<uint8_t> bytes);
    FakePlatform(const FakePlatform&) = delete;
    FakePlatform& operator=(const FakePlatform&) = delete;

    // Counts anew, with these faults. platform() may change.
    void restart(const Faults& faults);
    const linnet_platform& platform() const { return platform_; }
    std::vector<uint8_t>& bytes() { return bytes_; }
    uint64_t reads() const { return reads_; }
    uint64_t yields() const { return yields_; }

private:
    static int32_t read(void* context, uint64_t offset, void* to, size_t bytes);
    static const void* map(void* context, uint64_t offset, size_t bytes);
    static uint64_t ticks(void* context);
    static int32_t yield(void* context);

    std::vector<uint8_t> storage_;  // of bytes_, with room to align it when mapped
    std::vector<uint8_t> bytes_;
    linnet_platform platform_{};
    Faults faults_;
    uint64_t reads_ = 0;
    uint64_t yields_ = 0;
    uint64_t clock_ = 0;
};

}  // namespace linnet
