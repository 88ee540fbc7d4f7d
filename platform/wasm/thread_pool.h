// Threads for linnet_platform.parallel in WebAssembly: workers over one shared memory. Without thread support in the build, or
// with one thread, the caller does everything.
//
// The caller must not be a page's main thread, which may not wait; Linnet always runs in a worker.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "platform/platform.h"
#include "platform/worker_account.h"

namespace linnet {

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

private:
    static void* serve(void* pool);
    void call_workers();
    uint32_t take_tasks();  // how many
    static void wait_for_change(std::atomic<uint32_t>& value, uint32_t old, std::atomic<uint32_t>& sleepers);
    static void wake(std::atomic<uint32_t>& value, const std::atomic<uint32_t>& sleepers);

    static constexpr uint32_t most_workers = 15;
    // Number of the job in the upper half, tasks not yet taken in the lower: a task is taken by one compare-and-swap, which
    // fails when the job has become another meanwhile.
    alignas(64) std::atomic<uint64_t> job_{0};
    std::atomic<linnet_task> task_{nullptr};
    std::atomic<void*> context_{nullptr};
    std::atomic<uint32_t> count_{0};
    alignas(64) std::atomic<uint32_t> unfinished_{0};
    alignas(64) std::atomic<uint32_t> signal_{0};  // changes with every job: workers sleep on it
    std::atomic<bool> ending_{false};
    std::atomic<uint32_t> workers_asleep_{0};
    std::atomic<uint32_t> callers_asleep_{0};
    WorkerAccount account_;
    uint32_t jobs_ = 0;  // handed out, of which some are timed
    pthread_t handles_[most_workers] = {};
    uint32_t workers_ = 0;
};

}  // namespace linnet
