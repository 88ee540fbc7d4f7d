// What a pool's workers bring and what they are waited for: of a worker whose processor the system gives to another program in
// the middle of a task, everybody waits for the end. Where that is a loss, the pool does without its workers for a while, and
// then asks them whether they have their processors to themselves again. To find out with work costs a wait each time: that is done
// only when they have said no several times in a row.
//
// Times are nanoseconds of any clock that does not go backwards. But for what workers answer, all of it is for the thread that
// hands out the tasks.
#pragma once

#include <atomic>
#include <cstdint>

namespace linnet {

class WorkerAccount {
public:
    // Whether the caller is to do the next job by itself. Where it is time to ask its `workers` they are asked, and woken by
    // `wake`. The time is only asked for while they are left out.
    template <typename Clock, typename Wake>
    bool does_without(uint32_t workers, const Clock& nanoseconds, const Wake& wake) {
        if (crew_ == Crew::works) return false;
        if (crew_ == Crew::left_out) {
            if (nanoseconds() < alone_until_) return true;
            crew_ = Crew::asked;
            answers_.store(0, std::memory_order_relaxed);
            question_.fetch_add(1, std::memory_order_release);
            wake();
            return true;
        }
        const uint32_t answers = answers_.load(std::memory_order_acquire);
        const uint32_t lost = answers >> 16;
        if (lost + (answers & 0xffff) < workers) return true;
        if (lost == 0 || ++refused_ == most_refused) {
            refused_ = 0;
            crew_ = Crew::works;
            return false;
        }
        leave_out(nanoseconds());
        return true;
    }

    // Of a job of `count` tasks, about equal ones, the caller has done `taken` in `own` nanoseconds and then waited for the others
    // for `waited`. A task that a worker did counts half: two threads that read memory are not twice as fast as one. `jobs`: so
    // many are like this one, and not told of.
    void brought(uint32_t taken, uint32_t count, uint64_t own, uint64_t waited, uint32_t jobs = 1) {
        balance_ += static_cast<int64_t>(taken == 0 ? waited : own / taken * (count - taken) / 2 * jobs);
        if (balance_ > most_saved) balance_ = most_saved;
    }

    // The caller has waited for its workers from `own_end` to `end`.
    void waited(uint64_t own_end, uint64_t end) {
        balance_ -= static_cast<int64_t>(end - own_end);
        if (balance_ <= -most_owed) leave_out(end);
    }

    // For a worker that was woken: whether that was in order to be asked, in which case it answers, after some milliseconds; less
    // when the pool is `ending`. `seen`: which question it has answered, its own, 0 at first.
    template <typename Clock>
    bool answer_if_asked(uint32_t& seen, const Clock& nanoseconds, const std::atomic<bool>& ending) {
        const uint32_t question = question_.load(std::memory_order_acquire);
        if (question == seen) return false;
        seen = question;
        answers_.fetch_add(keeps_processor(nanoseconds, ending) ? 1 : 1u << 16, std::memory_order_release);
        return true;
    }

private:
    enum class Crew : uint8_t { works, left_out, asked };

    void leave_out(uint64_t now) {
        const uint64_t soon = alone_for_ > soon_at_least ? alone_for_ : soon_at_least;
        const bool again = alone_until_ != 0 && now - alone_until_ < soon;
        alone_for_ = again ? alone_for_ * 2 : alone_at_first;
        if (alone_for_ > alone_at_most) alone_for_ = alone_at_most;
        alone_until_ = now + alone_for_;
        balance_ = 0;
        crew_ = Crew::left_out;
    }

    // Looks at the clock for some time slices. What is missing between two looks somebody else has had.
    template <typename Clock>
    static bool keeps_processor(const Clock& nanoseconds, const std::atomic<bool>& ending) {
        const uint64_t start = nanoseconds();
        uint64_t last = start;
        uint64_t lost = 0;
        while (last - start < looking && !ending.load(std::memory_order_relaxed)) {
            const uint64_t now = nanoseconds();
            if (now - last > interrupt) lost += now - last;
            if (lost > most_lost) return false;
            last = now;
        }
        return true;
    }

    // A stall is a time slice of some milliseconds; the first turn of bad luck is not yet a busy machine.
    static constexpr int64_t most_owed = 2'000'000;
    static constexpr int64_t most_saved = 4'000'000;
    // Short: what an engine compiles in the beginning takes a processor for a moment now and then. Doubled by being left out again soon.
    static constexpr uint64_t alone_at_first = 5'000'000;
    static constexpr uint64_t soon_at_least = 60'000'000;
    static constexpr uint64_t alone_at_most = 640'000'000;
    static constexpr uint64_t looking = 10'000'000;
    static constexpr uint64_t interrupt = 100'000;  // takes less
    static constexpr uint64_t most_lost = 2'000'000;
    // After so many times no they are tried all the same: where the caller has to share its processor too, they are no worse.
    static constexpr uint32_t most_refused = 4;

    Crew crew_ = Crew::works;
    int64_t balance_ = 0;                            // what the workers have brought, of late
    uint64_t alone_until_ = 0;                       // without them, at the least; 0: never yet
    uint64_t alone_for_ = 0;                         // the last time
    uint32_t refused_ = 0;                           // questions with a no, one after the other
    alignas(64) std::atomic<uint32_t> question_{0};  // its number
    std::atomic<uint32_t> answers_{0};               // 1 for a processor that was kept, 1 << 16 for one that was not
};

}  // namespace linnet
