// When a pool of threads does without its workers, by times that are made up.
#include <doctest/doctest.h>

#include "platform/worker_account.h"

using linnet::WorkerAccount;

namespace {

constexpr uint64_t millisecond = 1'000'000;

// A job of eight tasks of 0.1 ms each, of which a worker did `by_worker`, and is waited for `waited`. Returns its end.
uint64_t job(WorkerAccount& account, uint64_t start, uint32_t by_worker, uint64_t waited) {
    const uint64_t own_end = start + (8 - by_worker) * millisecond / 10;
    account.brought(8 - by_worker, 8, own_end - start, waited);
    account.waited(own_end, own_end + waited);
    return own_end + waited;
}

}  // namespace

TEST_CASE("workers that do their part are kept, also with a stall now and then") {
    WorkerAccount account;
    uint64_t now = 1;
    for (int i = 0; i < 200; ++i) {
        now = job(account, now, 4, i % 40 == 39 ? 5 * millisecond : millisecond / 50);
        CHECK_FALSE(account.without_workers(now));
    }
}

TEST_CASE("workers that are only waited for are left out, longer where that comes again, and get another chance") {
    WorkerAccount account;
    uint64_t now = 1;
    const auto until_left_out = [&] {
        int jobs = 0;
        while (!account.without_workers(now) && ++jobs < 100) now = job(account, now, 1, 3 * millisecond);
        return jobs;
    };
    const auto until_back = [&] {
        const uint64_t from = now;
        while (account.without_workers(now) && now - from < 10'000 * millisecond) now += millisecond;
        return (now - from) / millisecond;
    };
    uint64_t before = 0;
    for (int i = 0; i < 5; ++i) {
        CHECK(until_left_out() < 4);
        const uint64_t alone = until_back();
        CHECK(alone >= 39);
        CHECK(alone > before);
        before = alone;
    }
    CHECK(before <= 640);
    // A good while later it begins again.
    for (int i = 0; i < 4000; ++i) now = job(account, now, 4, 0);
    for (int i = 0; i < 100 && !account.without_workers(now); ++i) now = job(account, now, 1, 3 * millisecond);
    CHECK(until_back() <= 41);
}
