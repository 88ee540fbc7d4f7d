// What a pool's workers bring and what they are waited for: of a worker whose processor the system gives to another program in
// the middle of a task, everybody waits for the end. Where that is a loss, the pool does without its workers for a while.
//
// Times are nanoseconds of any clock that does not go backwards. For the thread that hands out the tasks alone.
#pragma once

#include <cstdint>

namespace linnet {

class WorkerAccount {
public:
    // Whether the caller is to do a job that begins now by itself.
    bool without_workers(uint64_t now) const { return now < alone_until_; }

    // Whether workers have ever been left out: before that, nobody need ask for the time to know whether they are now.
    bool left_out() const { return alone_until_ != 0; }

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
        if (balance_ > -most_owed) return;
        balance_ = 0;
        const bool again = alone_until_ != 0 && end - alone_until_ < alone_for_;
        alone_for_ = again ? alone_for_ * 2 : alone_at_first;
        if (alone_for_ > alone_at_most) alone_for_ = alone_at_most;
        alone_until_ = end + alone_for_;
    }

private:
    // A stall is a time slice of some milliseconds; the first turn of bad luck is not yet a busy machine.
    static constexpr int64_t most_owed = 2'000'000;
    static constexpr int64_t most_saved = 4'000'000;
    static constexpr uint64_t alone_at_first = 40'000'000;
    static constexpr uint64_t alone_at_most = 640'000'000;

    int64_t balance_ = 0;       // what the workers have brought, of late
    uint64_t alone_until_ = 0;  // without them
    uint64_t alone_for_ = 0;    // the last time
};

}  // namespace linnet
