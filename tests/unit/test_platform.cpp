// The POSIX platform: every byte or an error, every task once, memory that can be used.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "platform/posix/file.h"
#include "platform/posix/posix.h"
#include "platform/posix/thread_pool.h"

using namespace linnet;

namespace {

// A file that goes away with the test.
struct TemporaryFile {
    std::string path;
    explicit TemporaryFile(const std::vector<uint8_t>& bytes) {
        const char* folder = getenv("TMPDIR");
        path = std::string(folder != nullptr ? folder : "/tmp") + "/linnet-test-XXXXXX";
        const int descriptor = mkstemp(path.data());
        REQUIRE(descriptor >= 0);
        REQUIRE(write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        close(descriptor);
    }
    ~TemporaryFile() { unlink(path.c_str()); }
};

std::vector<uint8_t> counting_bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
    return bytes;
}

struct Tally {
    std::vector<std::atomic<uint32_t>> times;
    explicit Tally(size_t count) : times(count) {}
    static void count(void* context, uint32_t index) { static_cast<Tally*>(context)->times[index].fetch_add(1); }
    bool each(uint32_t expected) const {
        for (const auto& time : times) {
            if (time.load() != expected) return false;
        }
        return true;
    }
};

}  // namespace

TEST_CASE("a file gives exactly the bytes asked for, or an error") {
    const std::vector<uint8_t> bytes = counting_bytes(100'000);
    const TemporaryFile file(bytes);
    PosixPlatform posix;
    std::string problem;
    REQUIRE(posix.open(file.path, 2, problem));
    const linnet_platform& platform = posix.platform();
    CHECK(platform.file_bytes == bytes.size());
    std::vector<uint8_t> got(5000);
    for (uint64_t offset : {0, 1, 4095, 95'000}) {
        REQUIRE(platform.read(platform.context, offset, got.data(), got.size()) == 0);
        CHECK(memcmp(got.data(), bytes.data() + offset, got.size()) == 0);
    }
    CHECK(posix.problem().empty());
    CHECK(platform.read(platform.context, 95'001, got.data(), got.size()) != 0);
    CHECK(platform.read(platform.context, UINT64_MAX - 10, got.data(), got.size()) != 0);

    SUBCASE("a file that shrinks is an error and no signal") {
        REQUIRE(truncate(file.path.c_str(), 10) == 0);
        CHECK(platform.read(platform.context, 0, got.data(), got.size()) == ReadOnlyFile::shrunk);
        CHECK(posix.problem() == "the file has become shorter since it was opened");
    }
}

TEST_CASE("what is not a file is refused with a sentence") {
    PosixPlatform posix;
    std::string problem;
    CHECK_FALSE(posix.open("/nowhere/at/all", 1, problem));
    CHECK(problem == "Cannot open \"/nowhere/at/all\": No such file or directory.");
    CHECK_FALSE(posix.open("/tmp", 1, problem));
    CHECK(problem == "Cannot open \"/tmp\": it is a folder, a file is needed.");
    CHECK_FALSE(posix.open("/dev/null", 1, problem));
    CHECK(problem == "Cannot open \"/dev/null\": it is not a regular file.");
    const TemporaryFile place({});
    unlink(place.path.c_str());
    REQUIRE(mkfifo(place.path.c_str(), 0600) == 0);
    CHECK_FALSE(posix.open(place.path, 1, problem));  // and does not wait for a writer
}

TEST_CASE("reads that are begun arrive, two at a time") {
    const std::vector<uint8_t> bytes = counting_bytes(1 << 20);
    const TemporaryFile file(bytes);
    PosixPlatform posix;
    std::string problem;
    REQUIRE(posix.open(file.path, 1, problem));
    const linnet_platform& platform = posix.platform();
    std::vector<uint8_t> slots[2] = {std::vector<uint8_t>(10'000), std::vector<uint8_t>(10'000)};
    uint32_t tickets[2];
    for (int i = 0; i < 2; ++i) {
        REQUIRE(platform.begin_read(platform.context, i * 10'000, slots[i].data(), 10'000, &tickets[i]) == 0);
    }
    uint32_t third;
    CHECK(platform.begin_read(platform.context, 0, slots[0].data(), 1, &third) != 0);
    for (uint64_t i = 0; i < 100; ++i) {
        std::vector<uint8_t>& slot = slots[i % 2];
        REQUIRE(platform.wait(platform.context, tickets[i % 2]) == 0);
        CHECK(memcmp(slot.data(), bytes.data() + i * 10'000, slot.size()) == 0);
        REQUIRE(platform.begin_read(platform.context, (i + 2) * 10'000, slot.data(), slot.size(), &tickets[i % 2]) == 0);
    }
    CHECK(platform.wait(platform.context, tickets[0]) == 0);
    CHECK(platform.wait(platform.context, tickets[0]) != 0);  // no longer under way
    CHECK(platform.begin_read(platform.context, bytes.size(), slots[0].data(), 1, &tickets[0]) == 0);
    CHECK(platform.wait(platform.context, tickets[0]) == ReadOnlyFile::shrunk);
    // Ticket 1 is still under way: the destructor must cope with that.
}

TEST_CASE("every task runs exactly once, whatever the threads") {
    for (uint32_t threads : {1, 2, 3, 8}) {
        ThreadPool pool(threads);
        CHECK(pool.threads() == threads);
        for (uint32_t count : {0, 1, 2, 7, 64, 1000}) {
            Tally tally(count);
            for (int i = 0; i < 200; ++i) pool.run(Tally::count, &tally, count);
            CHECK(tally.each(200));
        }
    }
}

TEST_CASE("who has no tasks left takes those of another thread") {
    ThreadPool pool(2);
    // Of four tasks each thread has two neighbours. The first of each pair is not done before the second, which the other thread
    // has to take: within a time, for it may have no processor.
    struct Pairs {
        std::atomic<bool> done[4] = {};
        std::thread::id by[4];
        static void task(void* context, uint32_t index) {
            Pairs& pairs = *static_cast<Pairs*>(context);
            const auto start = std::chrono::steady_clock::now();
            while (index == pairs.waits && !pairs.done[index + 1].load() &&
                   std::chrono::steady_clock::now() - start < std::chrono::seconds(30)) {
                std::this_thread::yield();
            }
            pairs.by[index] = std::this_thread::get_id();
            pairs.done[index].store(true);
        }
        uint32_t waits;
    };
    for (uint32_t waits : {0, 2}) {
        Pairs pairs;
        pairs.waits = waits;
        pool.run(Pairs::task, &pairs, 4);
        for (const std::atomic<bool>& done : pairs.done) CHECK(done.load());
        CHECK(pairs.by[waits] != pairs.by[waits + 1]);
    }
}

TEST_CASE("workers that have gone to sleep come back") {
    ThreadPool pool(4);
    Tally tally(64);
    for (int i = 0; i < 20; ++i) {
        usleep(2000);  // longer than they look for work
        pool.run(Tally::count, &tally, 64);
    }
    CHECK(tally.each(20));
}

TEST_CASE("a task may start tasks, and two threads may share a pool") {
    ThreadPool pool(3);
    struct Nested {
        ThreadPool& pool;
        Tally inner{10};
        Tally outer{30};
    } nested{pool};
    pool.run(
        [](void* context, uint32_t index) {
            Nested& self = *static_cast<Nested*>(context);
            Tally::count(&self.outer, index);
            self.pool.run(Tally::count, &self.inner, 10);
        },
        &nested, 30);
    CHECK(nested.outer.each(1));
    CHECK(nested.inner.each(30));

    Tally first(50);
    Tally second(50);
    std::thread other([&] {
        for (int i = 0; i < 500; ++i) pool.run(Tally::count, &second, 50);
    });
    for (int i = 0; i < 500; ++i) pool.run(Tally::count, &first, 50);
    other.join();
    CHECK(first.each(500));
    CHECK(second.each(500));
}

TEST_CASE("workers that are only waited for are left out for a while, and get another chance") {
    ThreadPool pool(2);
    struct Job {
        std::thread::id caller = std::this_thread::get_id();
        bool stall = false;
        std::atomic<uint32_t> by_workers{0};
        std::atomic<uint32_t> done{0};
        static void task(void* context, uint32_t) {
            Job& job = *static_cast<Job*>(context);
            const bool worker = std::this_thread::get_id() != job.caller;
            if (worker) job.by_workers.fetch_add(1);
            usleep(worker && job.stall ? 6000 : 200);
            job.done.fetch_add(1);
        }
    } job;
    const auto by_workers = [&](uint32_t runs) {
        job.by_workers = job.done = 0;
        for (uint32_t i = 0; i < runs; ++i) pool.run(Job::task, &job, 8);
        CHECK(job.done.load() == 8 * runs);
        return job.by_workers.load();
    };
    // On a busy machine a worker comes late, and says up to three times in a row that it has no processor.
    const auto take_part = [&](uint32_t runs) {
        const auto start = std::chrono::steady_clock::now();
        uint32_t taken = 0;
        while (taken == 0 && std::chrono::steady_clock::now() - start < std::chrono::seconds(30)) taken = by_workers(runs);
        return taken;
    };
    CHECK(take_part(5) > 0);
    job.stall = true;
    const uint32_t stalled = take_part(40);  // one in each job, were they not left out
    CHECK(stalled > 0);
    CHECK(stalled < 30);
    job.stall = false;
    usleep(700'000);  // longer than they are left out for
    CHECK(take_part(5) > 0);
}

TEST_CASE("interrupt stops work through yield, and the watcher sees what was read") {
    const TemporaryFile file(counting_bytes(1000));
    PosixPlatform posix;
    std::string problem;
    REQUIRE(posix.open(file.path, 1, problem));
    const linnet_platform& platform = posix.platform();
    CHECK(platform.yield(platform.context) == 0);
    posix.interrupt(true);
    CHECK(platform.yield(platform.context) == 1);
    CHECK(platform.yield(platform.context) == 1);
    posix.interrupt(false);
    CHECK(platform.yield(platform.context) == 0);
    uint64_t seen = 0;
    posix.watch([](void* context, uint64_t bytes) { *static_cast<uint64_t*>(context) = bytes; }, &seen);
    uint8_t buffer[300];
    REQUIRE(platform.read(platform.context, 0, buffer, sizeof buffer) == 0);
    platform.yield(platform.context);
    CHECK(seen == 300);
    const uint64_t before = platform.ticks(platform.context);
    usleep(1000);
    CHECK(platform.ticks(platform.context) >= before + 1000);
}

TEST_CASE("arena memory is aligned, zero and all there") {
    for (size_t bytes : {size_t{1}, size_t{100'000}, size_t{2} << 20, (size_t{5} << 20) + 1}) {
        ArenaMemory memory;
        REQUIRE(memory.allocate(bytes));
        CHECK(memory.size() >= bytes);
        CHECK(reinterpret_cast<uintptr_t>(memory.data()) % 4096 == 0);
        if (bytes >= (size_t{2} << 20)) CHECK(reinterpret_cast<uintptr_t>(memory.data()) % (2 << 20) == 0);
        auto* at = static_cast<uint8_t*>(memory.data());
        CHECK(at[0] == 0);
        CHECK(at[bytes - 1] == 0);
        memset(at, 1, bytes);
    }
    ArenaMemory memory;
    CHECK_FALSE(memory.allocate(0));
    CHECK_FALSE(memory.allocate(SIZE_MAX));
    CHECK_FALSE(memory.allocate(SIZE_MAX / 4));
    CHECK(memory.allocate(4096));
}
