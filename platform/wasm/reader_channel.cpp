#include "platform/wasm/reader_channel.h"

namespace linnet {

#ifdef __EMSCRIPTEN_PTHREADS__

namespace {

// A storage may stall for long (a disk that wakes up), but a worker that is silent for so long has ended.
constexpr int64_t patience_nanoseconds = 120'000'000'000;

}  // namespace

int32_t ReaderChannel::begin(Kind kind, uint64_t offset, void* memory, size_t bytes, uint32_t* ticket) {
    if (broken_ || ended_.load(std::memory_order_acquire) != 0) return silent;
    for (uint32_t i = 0; i < slots; ++i) {
        Slot& slot = requests_[i];
        if (slot.state.load(std::memory_order_relaxed) != idle) continue;
        slot.number = next_number_;
        next_number_ = next_number_ == INT32_MAX ? 1 : next_number_ + 1;
        slot.kind = static_cast<int32_t>(kind);
        slot.offset_low = static_cast<uint32_t>(offset);
        slot.offset_high = static_cast<uint32_t>(offset >> 32);
        slot.address = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(memory));
        slot.bytes = static_cast<uint32_t>(bytes);
        slot.state.store(asked, std::memory_order_release);
        signal_.fetch_add(1, std::memory_order_release);
        __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t*>(&signal_), 1);
        *ticket = i;
        return done;
    }
    return silent;
}

int32_t ReaderChannel::wait(uint32_t ticket) {
    if (ticket >= slots || broken_) return silent;
    Slot& slot = requests_[ticket];
    while (slot.state.load(std::memory_order_acquire) == asked) {
        if (ended_.load(std::memory_order_acquire) != 0) return silent;
        const int woken =
            __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t*>(&slot.state), asked, patience_nanoseconds);
        if (woken == 2 && slot.state.load(std::memory_order_acquire) == asked) {
            broken_ = true;
            problem_.store(silent, std::memory_order_relaxed);
            return silent;
        }
    }
    const int32_t result = slot.result;
    slot.state.store(idle, std::memory_order_relaxed);
    return result;
}

#else

int32_t ReaderChannel::begin(Kind, uint64_t, void*, size_t, uint32_t*) { return silent; }
int32_t ReaderChannel::wait(uint32_t) { return silent; }

#endif

int32_t ReaderChannel::complete(Kind kind, uint64_t offset, void* memory, size_t bytes) {
    uint32_t ticket = 0;
    const int32_t begun = begin(kind, offset, memory, bytes, &ticket);
    return begun == done ? wait(ticket) : begun;
}

}  // namespace linnet
