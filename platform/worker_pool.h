// How the threads of a pool share the tasks of a job, on whatever system: dealt out, taken, waited for. What a system adds are the
// threads themselves, a clock, and how one of them sleeps (`Waiting`).
//
// Each thread has a place with a range of neighbouring tasks, on a cache line that nobody else writes as long as it has some. Who
// has none left takes those of another place. So a job costs the caller one line's way to each worker, and each worker one line's
// way back: a decoded token is some hundred jobs of ten to some hundred microseconds, and a line's way a tenth of one.
//
// The caller waits for nothing but tasks that a worker has begun; with workers that never come it does everything itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "platform/platform.h"
#include "platform/worker_account.h"

namespace linnet {

// Waiting::nanoseconds(): a clock. Waiting::timed_jobs: of so many jobs one is timed as a whole, and stands for all.
// Waiting::looks: at an atomic, one after the other, each followed by Waiting::relax(); what changes within them is not worth timing.
// Waiting::spin_nanoseconds: for so long a thread looks before it sleeps.
// Waiting::sleep(value, old): until someone notifies, or at once if the value is no longer `old`. Waiting::notify(value).
template <typename Waiting>
class WorkerPool {
public:
    // For so many threads at the most, the caller's among them.
    explicit WorkerPool(uint32_t threads) : places_(threads < 1 ? 1 : threads) {}
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // Runs task(context, i) for every i in [0, count). From one thread at a time. `workers`: that serve or are about to.
    void run(linnet_task task, void* context, uint32_t count, uint32_t workers) {
        if (count <= 1 || alone(workers)) {
            for (uint32_t i = 0; i < count; ++i) task(context, i);
            return;
        }
        const bool timed = ++jobs_ % Waiting::timed_jobs == 0;
        const uint64_t start = timed ? Waiting::nanoseconds() : 0;
        deal(task, context, count, workers);
        const uint32_t taken = take_tasks(0);
        uint64_t own_end = timed ? Waiting::nanoseconds() : 0;
        expected_ += count - taken;
        uint32_t done = done_.load(std::memory_order_acquire);
        while (done != expected_ && changes_soon(done_, done)) done = done_.load(std::memory_order_acquire);
        if (done == expected_ && !timed) return;
        if (!timed) own_end = Waiting::nanoseconds();
        while (done != expected_) {
            wait_for_change(done_, done, callers_asleep_);
            done = done_.load(std::memory_order_acquire);
        }
        const uint64_t end = Waiting::nanoseconds();
        if (timed) account_.brought(taken, count, own_end - start, end - own_end, Waiting::timed_jobs);
        account_.waited(own_end, end);
    }

    // Whether the caller would do a job by itself just now.
    bool alone(uint32_t workers) {
        return workers == 0 || account_.does_without(workers, Waiting::nanoseconds, [&] { call(workers); });
    }

    // What a worker does until the end. `thread`: 1 for the first one.
    void serve(uint32_t thread) {
        Place& own = places_[thread];
        uint64_t seen = 0;
        uint32_t answered = 0;
        while (!ending_.load(std::memory_order_relaxed)) {
            wait_for_change(own.tasks, seen, own.asleep);
            // This job's number, and no task: the place's state when it has nothing more to do.
            seen = own.tasks.load(std::memory_order_acquire) >> 32 << 32;
            if (account_.answer_if_asked(answered, Waiting::nanoseconds, ending_)) continue;
            const uint32_t taken = take_tasks(thread);
            if (taken == 0) continue;
            done_.fetch_add(taken, std::memory_order_seq_cst);
            wake(done_, callers_asleep_);
        }
    }

    // No job may be under way.
    void end(uint32_t workers) {
        ending_.store(true, std::memory_order_relaxed);
        call(workers);
    }

private:
    struct alignas(64) Place {
        // Number of the job in the upper half, tasks not yet taken in the lower: one is taken by one compare-and-swap, which fails
        // when the job has become another meanwhile.
        std::atomic<uint64_t> tasks{0};
        std::atomic<linnet_task> task{nullptr};
        std::atomic<void*> context{nullptr};
        std::atomic<uint32_t> end{0};  // the number of the task after the range's last
        std::atomic<uint32_t> asleep{0};
    };

    // Looks for a moment: whether it is no longer `old`.
    template <typename Value>
    static bool changes_soon(const std::atomic<Value>& value, Value old) {
        for (int i = 0; i < Waiting::looks; ++i) {
            if (value.load(std::memory_order_acquire) != old) return true;
            Waiting::relax();
        }
        return false;
    }

    // Waits until the value is no longer `old`. `asleep` counts who sleeps on it.
    template <typename Value>
    static void wait_for_change(std::atomic<Value>& value, Value old, std::atomic<uint32_t>& asleep) {
        if (changes_soon(value, old)) return;
        const uint64_t start = Waiting::nanoseconds();
        do {
            if (changes_soon(value, old)) return;
        } while (Waiting::nanoseconds() - start < Waiting::spin_nanoseconds);
        // Whoever changes the value afterwards sees a sleeper; and what was changed before is seen by the sleep.
        asleep.fetch_add(1, std::memory_order_seq_cst);
        Waiting::sleep(value, old);
        asleep.fetch_sub(1, std::memory_order_relaxed);
    }

    // To be called after the value has changed. To notify takes a system call or a lock, which is spared where nobody sleeps.
    template <typename Value>
    static void wake(std::atomic<Value>& value, const std::atomic<uint32_t>& asleep) {
        if (asleep.load(std::memory_order_seq_cst) != 0) Waiting::notify(value);
    }

    void call(uint32_t workers) { deal(nullptr, nullptr, 0, workers); }

    // The caller's own part is the first one.
    void deal(linnet_task task, void* context, uint32_t count, uint32_t workers) {
        ++number_;
        uint32_t begin = 0;
        for (uint32_t i = 0; i <= workers; ++i) {
            Place& place = places_[i];
            const auto end = static_cast<uint32_t>(uint64_t{count} * (i + 1) / (workers + 1));
            place.task.store(task, std::memory_order_relaxed);
            place.context.store(context, std::memory_order_relaxed);
            place.end.store(end, std::memory_order_relaxed);
            place.tasks.store(uint64_t{number_} << 32 | (end - begin), std::memory_order_seq_cst);
            if (i != 0) wake(place.tasks, place.asleep);
            begin = end;
        }
    }

    // From the thread's own place, then from the others'. How many there were.
    uint32_t take_tasks(uint32_t thread) {
        const auto threads = static_cast<uint32_t>(places_.size());
        uint32_t taken = 0;
        for (uint32_t i = 0; i < threads; ++i) {
            Place& place = places_[thread + i < threads ? thread + i : thread + i - threads];
            uint64_t tasks = place.tasks.load(std::memory_order_acquire);
            while (const auto left = static_cast<uint32_t>(tasks)) {
                // These belong to the job if the exchange succeeds: they only change after every task of a job is done.
                const linnet_task task = place.task.load(std::memory_order_relaxed);
                void* const context = place.context.load(std::memory_order_relaxed);
                const uint32_t index = place.end.load(std::memory_order_relaxed) - left;
                if (!place.tasks.compare_exchange_weak(tasks, tasks - 1, std::memory_order_acq_rel,
                                                       std::memory_order_acquire)) {
                    continue;
                }
                task(context, index);
                ++taken;
                tasks = place.tasks.load(std::memory_order_acquire);
            }
        }
        return taken;
    }

    std::vector<Place> places_;
    alignas(64) std::atomic<uint32_t> done_{0};  // tasks that workers have done, since the beginning
    std::atomic<uint32_t> callers_asleep_{0};
    std::atomic<bool> ending_{false};
    alignas(64) WorkerAccount account_;
    uint32_t expected_ = 0;  // what done_ becomes when the job is done
    uint32_t number_ = 0;    // of the job
    uint32_t jobs_ = 0;      // handed out, of which some are timed
};

}  // namespace linnet
