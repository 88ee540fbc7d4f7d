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
// Of so many jobs one is timed as a whole, and stands for all. A prime, so that it is not always the same part of a layer.
constexpr uint32_t timed_jobs = 7;

uint64_t nanoseconds() { return static_cast<uint64_t>(emscripten_get_now() * 1e6); }

// Looks at `value` for a moment: whether it is no longer `old`.
bool has_changed(const std::atomic<uint32_t>& value, uint32_t old) {
    for (int i = 0; i < looks; ++i) {
        if (value.load(std::memory_order_acquire) != old) return true;
    }
    return false;
}

}  // namespace

// Waits until `value` is no longer `old`.
void WasmThreadPool::wait_for_change(std::atomic<uint32_t>& value, uint32_t old, std::atomic<uint32_t>& sleepers) {
    if (has_changed(value, old)) return;
    const double start = emscripten_get_now();
    do {
        if (has_changed(value, old)) return;
    } while (emscripten_get_now() - start < spin_milliseconds);
    // Whoever changes the value afterwards sees a sleeper; and what was changed before is seen by the wait.
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    // The standard library's own wait polls with pauses here, which are far too long.
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t*>(&value), static_cast<int32_t>(old), -1);
    sleepers.fetch_sub(1, std::memory_order_relaxed);
}

// To be called after the value has changed. To notify takes an engine a lock, which is spared where nobody sleeps.
void WasmThreadPool::wake(std::atomic<uint32_t>& value, const std::atomic<uint32_t>& sleepers) {
    if (sleepers.load(std::memory_order_seq_cst) == 0) return;
    __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t*>(&value), 0xffffffffu);
}

WasmThreadPool::WasmThreadPool(uint32_t threads) {
    for (uint32_t i = 1; i < threads && workers_ < most_workers; ++i) {
        if (pthread_create(&handles_[workers_], nullptr, serve, this) != 0) break;
        ++workers_;
    }
}

WasmThreadPool::~WasmThreadPool() {
    ending_.store(true, std::memory_order_relaxed);
    call_workers();
    for (uint32_t i = 0; i < workers_; ++i) pthread_join(handles_[i], nullptr);
}

void WasmThreadPool::call_workers() {
    signal_.fetch_add(1, std::memory_order_seq_cst);
    wake(signal_, workers_asleep_);
}

void* WasmThreadPool::serve(void* pool) {
    WasmThreadPool& self = *static_cast<WasmThreadPool*>(pool);
    uint32_t seen = 0;
    uint32_t answered = 0;
    while (!self.ending_.load(std::memory_order_relaxed)) {
        self.wait_for_change(self.signal_, seen, self.workers_asleep_);
        seen = self.signal_.load(std::memory_order_acquire);
        if (!self.account_.answer_if_asked(answered, nanoseconds, self.ending_)) self.take_tasks();
    }
    return nullptr;
}

uint32_t WasmThreadPool::take_tasks() {
    uint32_t taken = 0;
    uint64_t job = job_.load(std::memory_order_acquire);
    for (;;) {
        const uint32_t left = static_cast<uint32_t>(job);
        if (left == 0) return taken;
        // These belong to `job` if the exchange succeeds: they only change after every task of a job is done.
        const linnet_task task = task_.load(std::memory_order_relaxed);
        void* const context = context_.load(std::memory_order_relaxed);
        const uint32_t index = count_.load(std::memory_order_relaxed) - left;
        if (!job_.compare_exchange_weak(job, job - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
        task(context, index);
        ++taken;
        if (unfinished_.fetch_sub(1, std::memory_order_seq_cst) == 1) wake(unfinished_, callers_asleep_);
        job = job_.load(std::memory_order_acquire);
    }
}

void WasmThreadPool::run(linnet_task task, void* context, uint32_t count) {
    if (count <= 1 || workers_ == 0) {
        for (uint32_t i = 0; i < count; ++i) task(context, i);
        return;
    }
    if (account_.does_without(workers_, nanoseconds, [this] { call_workers(); })) {
        for (uint32_t i = 0; i < count; ++i) task(context, i);
        return;
    }
    task_.store(task, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    count_.store(count, std::memory_order_relaxed);
    unfinished_.store(count, std::memory_order_relaxed);
    const bool timed = ++jobs_ % timed_jobs == 0;
    const uint64_t start = timed ? nanoseconds() : 0;
    const uint64_t number = (job_.load(std::memory_order_relaxed) >> 32) + 1;
    job_.store(number << 32 | count, std::memory_order_release);
    call_workers();
    const uint32_t taken = take_tasks();
    uint64_t own_end = timed ? nanoseconds() : 0;
    bool done = false;
    for (int i = 0; i < looks && !done; ++i) done = unfinished_.load(std::memory_order_acquire) == 0;
    if (done && !timed) return;
    if (!timed) own_end = nanoseconds();
    while (!done) {
        const uint32_t unfinished = unfinished_.load(std::memory_order_acquire);
        done = unfinished == 0;
        if (!done) wait_for_change(unfinished_, unfinished, callers_asleep_);
    }
    const uint64_t end = nanoseconds();
    if (timed) account_.brought(taken, count, own_end - start, end - own_end, timed_jobs);
    account_.waited(own_end, end);
}

#else

WasmThreadPool::WasmThreadPool(uint32_t) {}
WasmThreadPool::~WasmThreadPool() = default;
void WasmThreadPool::run(linnet_task task, void* context, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) task(context, i);
}

#endif

}  // namespace linnet
