// When a pool of threads does without its workers, by times that are made up.
#include <doctest/doctest.h>

#include <atomic>

#include "platform/worker_account.h"

using linnet::WorkerAccount;

namespace {

constexpr uint64_t millisecond = 1'000'000;

// An account of one worker, and the time.
struct Pool {
    WorkerAccount account;
    uint64_t now = 1;
    int woken = 0;
    uint32_t seen = 0;

    bool does_without() {
        return account.does_without(1, [this] { return now; }, [this] { ++woken; });
    }
    // A job of eight tasks of 0.1 ms each, of which the worker did `by_worker`, and is waited for `waited`.
    void job(uint32_t by_worker, uint64_t waited) {
        const uint64_t own_end = now + (8 - by_worker) * millisecond / 10;
        account.brought(8 - by_worker, 8, own_end - now, waited);
        account.waited(own_end, own_end + waited);
        now = own_end + waited;
    }
    // The worker looks at the clock, which goes on by `step`, and of every 3 ms somebody else has `taken`. Whether it was asked.
    bool answer(uint64_t step, uint64_t taken) {
        uint64_t clock = now;
        uint64_t looks = 0;
        const std::atomic<bool> ending{false};
        const bool asked = account.answer_if_asked(
            seen,
            [&] {
                const uint64_t before = clock;
                clock += step;
                if (before / (3 * millisecond) != clock / (3 * millisecond)) clock += taken;
                ++looks;
                return clock;
            },
            ending);
        if (looks != 0) CHECK(clock - now < 20 * millisecond);
        return asked;
    }
    int until_left_out() {
        int jobs = 0;
        while (!does_without() && ++jobs < 100) job(1, 3 * millisecond);
        return jobs;
    }
    // Milliseconds until the worker is asked.
    uint64_t until_asked() {
        const uint64_t from = now;
        const int before = woken;
        while (does_without() && woken == before && now - from < 10'000 * millisecond) now += millisecond;
        return (now - from) / millisecond;
    }
};

}  // namespace

TEST_CASE("workers that do their part are kept, also with a stall now and then") {
    Pool pool;
    for (int i = 0; i < 200; ++i) {
        pool.job(4, i % 40 == 39 ? 5 * millisecond : millisecond / 50);
        CHECK_FALSE(pool.does_without());
    }
    CHECK_FALSE(pool.answer(1000, 0));
    CHECK(pool.woken == 0);
}

TEST_CASE("workers that are only waited for are left out, and asked later and later while they have no processor") {
    Pool pool;
    CHECK(pool.until_left_out() < 4);
    uint64_t before = 0;
    for (int no = 1; no <= 3; ++no) {
        const uint64_t alone = pool.until_asked();
        CHECK(alone >= 4);
        CHECK(alone > before);
        before = alone;
        // Without an answer nothing changes, and nobody is asked twice.
        const int woken = pool.woken;
        pool.now += 3000 * millisecond;
        CHECK(pool.does_without());
        CHECK(pool.woken == woken);
        pool.now -= 2990 * millisecond;
        CHECK(pool.answer(1000, 3 * millisecond));
        CHECK(pool.does_without());
    }
    // The fourth no is not believed: the caller may be no better off. That proves to be wrong, and they are left out for longer.
    for (int no = 4; no <= 8; ++no) {
        const uint64_t alone = pool.until_asked();
        CHECK((alone > before || alone == 640));
        before = alone;
        CHECK(pool.answer(1000, 3 * millisecond));
        CHECK(pool.does_without() == (no % 4 != 0));
        if (no % 4 == 0) CHECK(pool.until_left_out() < 4);
    }
    CHECK(pool.until_asked() == 640);
    // A processor that comes back is taken at once.
    CHECK(pool.answer(1000, millisecond / 100));
    CHECK_FALSE(pool.does_without());
    CHECK_FALSE(pool.answer(1000, 0));
    // A good while later it begins again.
    for (int i = 0; i < 4000; ++i) pool.job(4, 0);
    pool.until_left_out();
    CHECK(pool.until_asked() <= 6);
}

TEST_CASE("what a worker's processor does in interrupts is not taken for another program") {
    Pool pool;
    pool.until_left_out();
    pool.until_asked();
    // A slow clock, as in a browser that rounds it, and an interrupt now and then.
    CHECK(pool.answer(100'000, millisecond / 12));
    CHECK_FALSE(pool.does_without());
}

TEST_CASE("all workers have to have their processors") {
    WorkerAccount account;
    uint64_t now = 1;
    const auto without = [&] { return account.does_without(2, [&] { return now; }, [] {}); };
    account.waited(now, now + 3 * millisecond);
    now += 50 * millisecond;
    CHECK(without());  // asks
    const std::atomic<bool> ending{false};
    uint32_t seen[2] = {};
    CHECK(account.answer_if_asked(seen[0], [&] { return now += 1000; }, ending));
    CHECK(without());
    CHECK(account.answer_if_asked(seen[1], [&] { return now += 3 * millisecond; }, ending));
    CHECK(without());
    now += 100 * millisecond;
    CHECK(without());  // asks again
    CHECK(account.answer_if_asked(seen[0], [&] { return now += 1000; }, ending));
    CHECK(account.answer_if_asked(seen[1], [&] { return now += 1000; }, ending));
    CHECK_FALSE(without());
}

TEST_CASE("a pool that ends does not wait for an answer") {
    WorkerAccount account;
    account.waited(1, 1 + 3 * millisecond);
    uint64_t now = 50 * millisecond;
    CHECK(account.does_without(1, [&] { return now; }, [] {}));
    const std::atomic<bool> ending{true};
    uint32_t seen = 0;
    int looks = 0;
    account.answer_if_asked(
        seen,
        [&] {
            ++looks;
            return now;
        },
        ending);
    CHECK(looks == 1);
}
