#include "platform/posix/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <cstdio>
#include <system_error>

#include "platform/posix/posix.h"

namespace linnet {

struct ThreadWaiting {
    static constexpr uint32_t timed_jobs = 1;  // a clock costs little here
    static constexpr int looks = 32;
    // Longer than the serial work between two parallel steps (norms, RoPE, a scheduler's hiccup), far shorter than a time slice: on
    // a busy machine the processor is given away soon.
    static constexpr uint64_t spin_nanoseconds = 60'000;

    static uint64_t nanoseconds() {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
    }
    static void relax() {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }
    template <typename Value>
    static void sleep(std::atomic<Value>& value, Value old) {
        value.wait(old, std::memory_order_seq_cst);
    }
    template <typename Value>
    static void notify(std::atomic<Value>& value) {
        value.notify_all();
    }
};

ThreadPool::ThreadPool(uint32_t threads) : pool_(threads) {
    // Signals are the calling thread's business: a worker that handles Ctrl-C would leave the caller in its read().
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    try {
        for (uint32_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { pool_.serve(i); });
    } catch (const std::system_error&) {
        // No more threads to be had: those that there are do the work.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPool::~ThreadPool() {
    pool_.end(static_cast<uint32_t>(workers_.size()));
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(linnet_task task, void* context, uint32_t count) {
    if (count <= 1 || workers_.empty() || in_use_.exchange(true, std::memory_order_acquire)) {
        for (uint32_t i = 0; i < count; ++i) task(context, i);
        return;
    }
    pool_.run(task, context, count, static_cast<uint32_t>(workers_.size()));
    in_use_.store(false, std::memory_order_release);
}

bool ThreadPool::alone() {
    if (workers_.empty() || in_use_.exchange(true, std::memory_order_acquire)) return true;
    const bool alone = pool_.alone(static_cast<uint32_t>(workers_.size()));
    in_use_.store(false, std::memory_order_release);
    return alone;
}

uint32_t available_threads() {
    uint32_t count = std::thread::hardware_concurrency();
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = static_cast<uint32_t>(CPU_COUNT(&set));
    // A container's share of processor time: more threads than that are only put to sleep in turn.
    if (FILE* file = fopen("/sys/fs/cgroup/cpu.max", "re")) {
        unsigned long long quota = 0;
        unsigned long long period = 0;
        if (fscanf(file, "%llu %llu", &quota, &period) == 2 && quota != 0 && period != 0) {
            const unsigned long long whole = (quota + period - 1) / period;
            if (whole < count) count = static_cast<uint32_t>(whole);
        }
        fclose(file);
    }
#endif
    return count == 0 ? 1 : count;
}

}  // namespace linnet
