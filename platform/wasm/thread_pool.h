// Threads for linnet_platform.parallel in WebAssembly: workers over one shared memory. Without thread support in the build, or
// with one thread, the caller does everything.
//
// The caller must not be a page's main thread, which may not wait; Linnet always runs in a worker.
#pragma once

#include <cstdint>

#ifdef __EMSCRIPTEN_PTHREADS__
#include <pthread.h>

#include "platform/worker_pool.h"
#endif

#include "platform/platform.h"

namespace linnet {

#ifdef __EMSCRIPTEN_PTHREADS__

struct WasmWaiting;  // how a thread waits: in thread_pool.cpp

#endif

class WasmThreadPool {
public:
    // The caller is one of the `threads`. Where the engine gives fewer workers, the pool is smaller.
    explicit WasmThreadPool(uint32_t threads);
    ~WasmThreadPool();
    WasmThreadPool(const WasmThreadPool&) = delete;
    WasmThreadPool& operator=(const WasmThreadPool&) = delete;

    uint32_t threads() const { return workers_ + 1; }
    // Runs task(context, i) for every i in [0, count). From one thread at a time.
    void run(linnet_task task, void* context, uint32_t count);
    // Whether run() would do everything on the calling thread just now.
    bool alone();

private:
    static constexpr uint32_t most_workers = 15;
    uint32_t workers_ = 0;
#ifdef __EMSCRIPTEN_PTHREADS__
    struct Worker {
        WorkerPool<WasmWaiting>* pool;
        uint32_t thread;
        pthread_t handle;
    };
    static void* serve(void* worker);
    WorkerPool<WasmWaiting> pool_;
    Worker handles_[most_workers] = {};
#endif
};

}  // namespace linnet
