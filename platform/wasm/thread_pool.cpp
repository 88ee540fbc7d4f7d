#include "platform/wasm/thread_pool.h"

#include <emscripten.h>

namespace linnet {

#ifdef __EMSCRIPTEN_PTHREADS__

namespace {

// How long a thread looks at an atomic before it sleeps: longer than the serial work between two parallel steps, since to wake
// a thread takes some 50 microseconds, and far shorter than a time slice. An engine has no pause instruction.
constexpr double spin_milliseconds = 0.1;
// To ask a browser for the time takes a fifth of a microsecond. What is over within so many looks, about as long, is not timed.
constexpr int looks = 256;

}  // namespace

uint64_t WasmWaiting::nanoseconds() { return static_cast<uint64_t>(emscripten_get_now() * 1e6); }

template <typename Value>
bool WasmWaiting::changes_soon(const std::atomic<Value>& value, Value old) {
    for (int i = 0; i < looks; ++i) {
        if (value.load(std::memory_order_acquire) != old) return true;
    }
    return false;
}

template <typename Value>
void WasmWaiting::wait_for_change(std::atomic<Value>& value, Value old, std::atomic<uint32_t>& asleep) {
    if (changes_soon(value, old)) return;
    const double start = emscripten_get_now();
    do {
        if (changes_soon(value, old)) return;
    } while (emscripten_get_now() - start < spin_milliseconds);
    // Whoever changes the value afterwards sees a sleeper; and what was changed before is seen by the wait.
    asleep.fetch_add(1, std::memory_order_seq_cst);
    // The standard library's own wait polls with pauses here, which are far too long.
    if constexpr (sizeof(Value) == 8) {
        __builtin_wasm_memory_atomic_wait64(reinterpret_cast<int64_t*>(&value), static_cast<int64_t>(old), -1);
    } else {
        __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t*>(&value), static_cast<int32_t>(old), -1);
    }
    asleep.fetch_sub(1, std::memory_order_relaxed);
}

// To notify takes an engine a lock, which is spared where nobody sleeps.
template <typename Value>
void WasmWaiting::wake(std::atomic<Value>& value, const std::atomic<uint32_t>& asleep) {
    if (asleep.load(std::memory_order_seq_cst) == 0) return;
    __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t*>(&value), 0xffffffffu);
}

WasmThreadPool::WasmThreadPool(uint32_t threads) : pool_(threads <= most_workers ? threads : most_workers + 1) {
    for (uint32_t i = 1; i < threads && workers_ < most_workers; ++i) {
        Worker& worker = handles_[workers_];
        worker.pool = &pool_;
        worker.thread = i;
        if (pthread_create(&worker.handle, nullptr, serve, &worker) != 0) break;
        ++workers_;
    }
}

WasmThreadPool::~WasmThreadPool() {
    pool_.end(workers_);
    for (uint32_t i = 0; i < workers_; ++i) pthread_join(handles_[i].handle, nullptr);
}

void* WasmThreadPool::serve(void* worker) {
    const Worker& self = *static_cast<Worker*>(worker);
    self.pool->serve(self.thread);
    return nullptr;
}

void WasmThreadPool::run(linnet_task task, void* context, uint32_t count) { pool_.run(task, context, count, workers_); }

bool WasmThreadPool::alone() { return pool_.alone(workers_); }

#else

WasmThreadPool::WasmThreadPool(uint32_t) {}
bool WasmThreadPool::alone() { return true; }
WasmThreadPool::~WasmThreadPool() = default;
void WasmThreadPool::run(linnet_task task, void* context, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) task(context, i);
}

#endif

}  // namespace linnet
