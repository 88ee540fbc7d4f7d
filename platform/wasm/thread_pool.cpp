#include "platform/wasm/thread_pool.h"

#include <emscripten.h>

namespace linnet {

#ifdef __EMSCRIPTEN_PTHREADS__

struct WasmWaiting {
    static constexpr uint32_t timed_jobs = 7;  // a prime, so that it is not always the same part of a layer
    // To ask a browser for the time takes a fifth of a microsecond: about as long as so many looks.
    static constexpr int looks = 256;
    // Longer than the serial work between two parallel steps, since to wake a thread takes some 50 microseconds, and far shorter
    // than a time slice.
    static constexpr uint64_t spin_nanoseconds = 100'000;

    static uint64_t nanoseconds() { return static_cast<uint64_t>(emscripten_get_now() * 1e6); }
    static void relax() {}  // an engine has no pause instruction
    // The standard library's own wait polls with pauses here, which are far too long.
    template <typename Value>
    static void sleep(std::atomic<Value>& value, Value old) {
        if constexpr (sizeof(Value) == 8) {
            __builtin_wasm_memory_atomic_wait64(reinterpret_cast<int64_t*>(&value), static_cast<int64_t>(old), -1);
        } else {
            __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t*>(&value), static_cast<int32_t>(old), -1);
        }
    }
    template <typename Value>
    static void notify(std::atomic<Value>& value) {
        __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t*>(&value), 0xffffffffu);
    }
};

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
