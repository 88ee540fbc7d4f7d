// A model file and a scratch storage in memory that break on purpose: the platform of the tests.
//
// Everything is the same at every run: faults are counted, and time is the clock's own, which reads and ticks() move forward.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/platform.h"

namespace linnet {

// What goes wrong. Reads (begun ones when they begin, and of the file alone), yields, scratch reads and writes are counted from 1
// over the platform's life, or since restart().
struct Faults {
    static constexpr uint64_t never = UINT64_MAX;
    uint64_t fail_read = never;      // this read gives an error,
    bool fail_from_then_on = false;  // and so do all after it: the storage has gone
    int32_t error = 5;               // the error that they give
    bool half_done = false;          // a read that fails has delivered the first half of its bytes
    bool fail_at_begin = false;      // begin_read itself gives it, and not the wait for it
    uint64_t corrupt_read = never;   // this read delivers a byte with one bit turned, and no error
    // Reads of any of these bytes of the file deliver all of them with a bit turned, the first corrupt_times times.
    uint64_t corrupt_offset = 0;
    uint64_t corrupt_bytes = 0;
    uint64_t corrupt_times = never;
    uint64_t cancel_yield = never;  // this yield asks to stop, once

    // On the fake clock: each read takes delay_microseconds and a second for every bytes_per_second (0: no time), the
    // stall_read-th stall_microseconds more. A begun one passes while the clock is moved by others, one after the other.
    uint64_t delay_microseconds = 0;
    uint64_t bytes_per_second = 0;
    uint64_t stall_read = never;
    uint64_t stall_microseconds = 0;

    bool mapped = false;    // `map` gives the bytes in place (faults of reads then hit what is read only)
    bool blocking = false;  // there is no begin_read and no begin_scratch_read

    bool no_scratch = false;
    uint64_t scratch_bytes = never;  // that the platform says it has
    uint64_t scratch_full = never;   // writes that reach beyond this many bytes give scratch_error
    int32_t scratch_error = 28;
    uint64_t fail_scratch_write = never;
    uint64_t fail_scratch_read = never;
    bool scratch_fails_from_then_on = false;
    uint64_t corrupt_scratch_read = never;
};

class FakePlatform {
public:
    explicit FakePlatform(std::vector<uint8_t> bytes);
    FakePlatform(const FakePlatform&) = delete;
    FakePlatform& operator=(const FakePlatform&) = delete;

    // Counts anew, with these faults. platform() may change. Reads that are under way stay so, and end as they would have; what is
    // in the scratch storage stays there.
    void restart(const Faults& faults);
    const linnet_platform& platform() const { return platform_; }
    std::vector<uint8_t>& bytes() { return bytes_; }
    std::vector<uint8_t>& scratch() { return scratch_; }
    uint64_t reads() const { return read_bytes_.size(); }
    uint64_t bytes_of_read(uint64_t number) const { return read_bytes_[number - 1]; }  // that were asked for
    uint64_t yields() const { return yields_; }
    uint64_t scratch_reads() const { return scratch_reads_; }
    uint64_t scratch_writes() const { return scratch_writes_; }
    uint64_t clock() const { return clock_; }
    // Reads begun and not waited for.
    uint32_t under_way() const;
    // How often the core did what platform.h forbids: a third read under way, a ticket that is none, scratch out of line, never
    // written, or written while it is read.
    uint64_t violations() const { return violations_; }

private:
    static constexpr uint64_t scratch_page = 4096;
    struct Pending {
        bool in_use = false;
        bool scratch = false;
        uint64_t offset = 0;
        uint8_t* to = nullptr;
        size_t bytes = 0;
        std::vector<uint8_t> delivered;  // what arrives, the faults included
        int32_t result = 0;
        uint64_t done = 0;  // on the clock
    };

    static FakePlatform& of(void* context) { return *static_cast<FakePlatform*>(context); }
    int32_t violated(int32_t result) {
        ++violations_;
        return result;
    }
    // What a read of the file comes to now, faults and all: `to` is filled, *takes is its time. Counts it.
    int32_t deliver(uint64_t offset, uint8_t* to, size_t bytes, uint64_t* takes, bool* fails);
    int32_t deliver_scratch(uint64_t offset, uint8_t* to, size_t bytes, uint64_t* takes, bool* fails);
    uint64_t time_of(size_t bytes) const;
    int32_t begin(bool scratch, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);

    static int32_t read(void* context, uint64_t offset, void* to, size_t bytes);
    static int32_t begin_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    static int32_t wait(void* context, uint32_t ticket);
    static int32_t scratch_write(void* context, uint64_t offset, const void* from, size_t bytes);
    static int32_t scratch_read(void* context, uint64_t offset, void* to, size_t bytes);
    static int32_t begin_scratch_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    static const void* map(void* context, uint64_t offset, size_t bytes);
    static uint64_t ticks(void* context);
    static int32_t yield(void* context);

    std::vector<uint8_t> storage_;  // of bytes_, with room to align it when mapped
    std::vector<uint8_t> bytes_;
    std::vector<uint8_t> scratch_;
    std::vector<bool> scratch_written_;  // by pages
    linnet_platform platform_{};
    Faults faults_;
    Pending pending_[2];
    std::vector<uint64_t> read_bytes_;  // of each read of the file
    uint64_t corrupted_ = 0;            // times
    uint64_t scratch_reads_ = 0;
    uint64_t scratch_writes_ = 0;
    uint64_t yields_ = 0;
    uint64_t violations_ = 0;
    uint64_t clock_ = 0;
    uint64_t busy_until_ = 0;  // the storage does one read after the other
};

}  // namespace linnet
