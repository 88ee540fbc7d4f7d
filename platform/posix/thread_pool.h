// Threads for linnet_platform.parallel.
//
// A decoded token is some hundred parallel steps of some ten to some hundred microseconds, so handing work over must cost about a
// microsecond: between steps the workers look at one atomic for a moment before they sleep. The caller takes tasks as well and
// waits for nothing but tasks that a worker has begun; with workers that never come it does everything itself.
//
// Faster cores take more tasks. A worker whose processor the system gives to another program, in the middle of a task, is worse than
// none: everybody waits for it. So the pool keeps account of what its workers bring and of what they are waited for, and does without
// them for a while where that is a loss.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "platform/platform.h"
#include "platform/worker_account.h"

namespace linnet {

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

private:
    void serve();
    void call_workers();
    uint32_t take_tasks();  // how many

    // Generation of the job in the upper half, tasks not yet taken in the lower: a task is taken by one compare-and-swap, which
    // fails if the job has become another meanwhile.
    alignas(64) std::atomic<uint64_t> job_{0};
    std::atomic<linnet_task> task_{nullptr};
    std::atomic<void*> context_{nullptr};
    std::atomic<uint32_t> count_{0};
    alignas(64) std::atomic<uint32_t> unfinished_{0};
    alignas(64) std::atomic<uint32_t> signal_{0};  // changes with every job: workers sleep on it
    std::atomic<bool> in_use_{false};
    std::atomic<bool> ending_{false};
    WorkerAccount account_;  // of the thread that has in_use_
    std::vector<std::thread> workers_;
};

}  // namespace linnet
