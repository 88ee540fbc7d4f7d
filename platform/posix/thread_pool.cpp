#include "platform/posix/thread_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <cstdio>
#include <system_error>

#include "platform/posix/posix.h"

namespace linnet {

namespace {

// How long a thread looks at an atomic before it sleeps. Longer than the serial work between two parallel steps (norms, RoPE,
// a scheduler's hiccup), far shorter than a time slice: on a busy machine the processor is given away soon.
constexpr uint64_t spin_nanoseconds = 60'000;

uint64_t nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: looks for a while, then sleeps.
void wait_for_change(const std::atomic<uint32_t>& value, uint32_t old) {
    const uint64_t start = nanoseconds();
    do {
        for (int i = 0; i < 32; ++i) {
            if (value.load(std::memory_order_acquire) != old) return;
            relax();
        }
    } while (nanoseconds() - start < spin_nanoseconds);
    value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(uint32_t threads) {
    // Signals are the calling thread's business: a worker that handles Ctrl-C would leave the caller in its read().
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    try {
        for (uint32_t i = 1; i < threads; ++i) workers_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {
        // No more threads to be had: those that there are do the work.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadPool::~ThreadPool() {
    ending_.store(true, std::memory_order_relaxed);
    call_workers();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::call_workers() {
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_all();  // costs a system call only when somebody sleeps
}

void ThreadPool::serve() {
    uint32_t seen = 0;
    uint32_t answered = 0;
    while (!ending_.load(std::memory_order_relaxed)) {
        wait_for_change(signal_, seen);
        seen = signal_.load(std::memory_order_acquire);
        if (!account_.answer_if_asked(answered, nanoseconds, ending_)) take_tasks();
    }
}

uint32_t ThreadPool::take_tasks() {
    uint32_t taken = 0;
    uint64_t job = job_.load(std::memory_order_acquire);
    for (;;) {
        const auto left = static_cast<uint32_t>(job);
        if (left == 0) return taken;
        // These belong to `job` if the exchange succeeds: they only change after every task of a job is done.
        const linnet_task task = task_.load(std::memory_order_relaxed);
        void* const context = context_.load(std::memory_order_relaxed);
        const uint32_t index = count_.load(std::memory_order_relaxed) - left;
        if (!job_.compare_exchange_weak(job, job - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
        task(context, index);
        ++taken;
        if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_all();
        job = job_.load(std::memory_order_acquire);
    }
}

void ThreadPool::run(linnet_task task, void* context, uint32_t count) {
    if (count <= 1 || workers_.empty() || in_use_.exchange(true, std::memory_order_acquire)) {
        for (uint32_t i = 0; i < count; ++i) task(context, i);
        return;
    }
    if (account_.does_without(static_cast<uint32_t>(workers_.size()), nanoseconds, [this] { call_workers(); })) {
        in_use_.store(false, std::memory_order_release);
        for (uint32_t i = 0; i < count; ++i) task(context, i);
        return;
    }
    const uint64_t start = nanoseconds();
    task_.store(task, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    count_.store(count, std::memory_order_relaxed);
    unfinished_.store(count, std::memory_order_relaxed);
    const uint64_t generation = (job_.load(std::memory_order_relaxed) >> 32) + 1;
    job_.store(generation << 32 | count, std::memory_order_release);
    call_workers();
    const uint32_t taken = take_tasks();
    const uint64_t own_end = nanoseconds();
    for (;;) {
        const uint32_t unfinished = unfinished_.load(std::memory_order_acquire);
        if (unfinished == 0) break;
        wait_for_change(unfinished_, unfinished);
    }
    const uint64_t end = nanoseconds();
    account_.brought(taken, count, own_end - start, end - own_end);
    account_.waited(own_end, end);
    in_use_.store(false, std::memory_order_release);
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
