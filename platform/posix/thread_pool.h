// Threads for linnet_platform.parallel. How they share the work: platform/worker_pool.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "platform/platform.h"
#include "platform/worker_pool.h"

namespace linnet {

struct ThreadWaiting;  // how a thread waits: in thread_pool.cpp

class ThreadPool {
public:
    // The caller is one of the `threads`. Where the system gives fewer, the pool is smaller.
    explicit ThreadPool(uint32_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    uint32_t threads() const { return static_cast<uint32_t>(workers_.size()) + 1; }
    // Runs task(context, i) for every i in [0, count). Calls from inside a task, or from a second thread while a first is
    // served, run on the calling thread alone.
    void run(linnet_task task, void* context, uint32_t count);
    // Whether run() would do everything on the calling thread just now.
    bool alone();

private:
    WorkerPool<ThreadWaiting> pool_;  // of the thread that has in_use_
    std::atomic<bool> in_use_{false};
    std::vector<std::thread> workers_;
};

}  // namespace linnet
