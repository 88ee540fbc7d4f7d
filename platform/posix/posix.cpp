#include "platform/posix/posix.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <system_error>

#include "platform/posix/file.h"
#include "platform/posix/thread_pool.h"

namespace linnet {

namespace {

// Reads that go on while the caller computes: two places, one thread that starts with the first read.
class ReadAhead {
public:
    explicit ReadAhead(const ReadOnlyFile& file) : file_(file) {}
    ~ReadAhead() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }

    int32_t begin(uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
        const std::lock_guard lock(mutex_);
        for (uint32_t i = 0; i < 2; ++i) {
            if (requests_[i].state != Request::free) continue;
            requests_[i] = {Request::waiting, offset, to, bytes, 0, next_order_++};
            *ticket = i;
            if (!thread_.joinable()) start();
            changed_.notify_all();
            return 0;
        }
        return too_many;
    }

    int32_t wait(uint32_t ticket) {
        if (ticket > 1) return too_many;
        std::unique_lock lock(mutex_);
        Request& request = requests_[ticket];
        if (request.state == Request::free) return too_many;
        if (!thread_.joinable() && request.state == Request::waiting) {
            // The system gave no thread: the read happens here.
            request.result = file_.read(request.offset, request.to, request.bytes);
            request.state = Request::done;
        }
        changed_.wait(lock, [&] { return request.state == Request::done; });
        request.state = Request::free;
        return request.result;
    }

private:
    static constexpr int32_t too_many = -2;
    struct Request {
        enum State { free, waiting, reading, done } state = free;
        uint64_t offset = 0;
        void* to = nullptr;
        size_t bytes = 0;
        int32_t result = 0;
        uint64_t order = 0;
    };

    void start() {
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        try {
            thread_ = std::thread([this] { serve(); });
        } catch (const std::system_error&) {}
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    Request* oldest_waiting() {
        Request* oldest = nullptr;
        for (Request& request : requests_) {
            if (request.state == Request::waiting && (oldest == nullptr || request.order < oldest->order)) oldest = &request;
        }
        return oldest;
    }

    void serve() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return ending_ || oldest_waiting() != nullptr; });
            if (ending_) return;
            Request& request = *oldest_waiting();
            request.state = Request::reading;
            lock.unlock();
            const int32_t result = file_.read(request.offset, request.to, request.bytes);
            lock.lock();
            request.result = result;
            request.state = Request::done;
            changed_.notify_all();
        }
    }

    const ReadOnlyFile& file_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Request requests_[2];
    uint64_t next_order_ = 0;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace

struct PosixPlatform::State {
    ReadOnlyFile file;
    std::optional<ThreadPool> pool;
    std::optional<ReadAhead> ahead;
    linnet_platform platform{};
    std::atomic<int32_t> interrupted{0};
    std::atomic<int32_t> last_failure{0};
    std::atomic<uint64_t> bytes_read{0};
    void (*watcher)(void*, uint64_t) = nullptr;
    void* watcher_context = nullptr;

    static State& of(void* context) { return *static_cast<State*>(context); }

    int32_t note(int32_t result, size_t bytes) {
        if (result == 0) {
            bytes_read.fetch_add(bytes, std::memory_order_relaxed);
        } else {
            last_failure.store(result, std::memory_order_relaxed);
        }
        return result;
    }

    static int32_t read(void* context, uint64_t offset, void* to, size_t bytes) {
        State& state = of(context);
        return state.note(state.file.read(offset, to, bytes), bytes);
    }
    static int32_t begin_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
        State& state = of(context);
        const int32_t result = state.ahead->begin(offset, to, bytes, ticket);
        return result == 0 ? state.note(0, bytes) : state.note(result, 0);
    }
    static int32_t wait(void* context, uint32_t ticket) {
        State& state = of(context);
        return state.note(state.ahead->wait(ticket), 0);
    }
    static uint64_t ticks(void*) {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<uint64_t>(now.tv_sec) * 1'000'000u + static_cast<uint64_t>(now.tv_nsec) / 1000u;
    }
    static void log(void*, const char* line) { fprintf(stderr, "linnet: %s\n", line); }
    static void parallel(void* context, linnet_task task, void* task_context, uint32_t count) {
        of(context).pool->run(task, task_context, count);
    }
    static int32_t yield(void* context) {
        State& state = of(context);
        if (state.watcher != nullptr) {
            state.watcher(state.watcher_context, state.bytes_read.load(std::memory_order_relaxed));
        }
        return state.interrupted.load(std::memory_order_relaxed);
    }
};

PosixPlatform::PosixPlatform() : state_(std::make_unique<State>()) {}
PosixPlatform::~PosixPlatform() = default;

bool PosixPlatform::open(const std::string& path, uint32_t threads, std::string& problem) {
    State& state = *state_;
    if (!state.file.open(path, problem)) return false;
    state.pool.emplace(threads == 0 ? available_threads() : threads);
    state.ahead.emplace(state.file);
    linnet_platform& platform = state.platform;
    platform.version = LINNET_PLATFORM_VERSION;
    platform.context = &state;
    platform.file_bytes = state.file.size();
    platform.read = State::read;
    platform.begin_read = State::begin_read;
    platform.wait = State::wait;
    platform.ticks = State::ticks;
    platform.log = State::log;
    platform.parallel = State::parallel;
    platform.threads = state.pool->threads();
    platform.yield = State::yield;
    return true;
}

const linnet_platform& PosixPlatform::platform() const { return state_->platform; }

void PosixPlatform::interrupt(bool value) { state_->interrupted.store(value ? 1 : 0, std::memory_order_relaxed); }

void PosixPlatform::watch(void (*each)(void*, uint64_t), void* context) {
    state_->watcher = each;
    state_->watcher_context = context;
}

std::string PosixPlatform::problem() const { return read_problem(state_->last_failure.load(std::memory_order_relaxed)); }

}  // namespace linnet
