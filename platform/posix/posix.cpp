#include "platform/posix/posix.h"

#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "platform/posix/available_memory.h"
#include "platform/posix/cached_reads.h"
#include "platform/posix/file.h"
#include "platform/posix/queued_reads.h"
#include "platform/posix/read_ahead.h"
#include "platform/posix/scratch_file.h"
#include "platform/posix/thread_pool.h"

namespace linnet {

namespace {

// Errors of the temporary file are told apart from the model's by this.
constexpr int32_t scratch_errors = 1 << 16;
// How long a look at the machine's memory is good for.
constexpr uint64_t look_again = 1'000'000;

uint64_t microseconds() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000u + static_cast<uint64_t>(now.tv_nsec) / 1000u;
}

}  // namespace

struct PosixPlatform::State {
    ReadOnlyFile file;
    std::optional<ThreadPool> pool;
    ScratchFile scratch;
    CachedReads cached;
    bool computes_everywhere = false;  // the pool has all the processors that there are
    std::optional<ReadAhead> ahead;    // after what its threads read, so that it ends first
    std::optional<QueuedReads> queued;
    DirectReads direct = DirectReads::automatic;
    std::atomic<bool> past_cache{false};  // what is the case with DirectReads::automatic
    uint64_t looked = 0;                  // when, in microseconds; 0: never
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
    // Reads that come again and again, in an order that defeats a cache smaller than the file: through the cache only where
    // all of it has room there, with a quarter to spare for everybody else.
    bool choose_direct() {
        if (direct != DirectReads::automatic) return direct == DirectReads::always;
        const uint64_t now = microseconds();
        if (looked == 0 || now - looked > look_again) {
            looked = now;
            past_cache.store(file.size() + scratch.size() > available_memory() / 4 * 3, std::memory_order_relaxed);
        }
        return past_cache.load(std::memory_order_relaxed);
    }

    static int32_t file_read(void* source, uint64_t offset, void* to, size_t bytes) {
        State& state = of(source);
        return state.cached.read(state.file, offset, to, bytes);
    }
    static int32_t file_read_direct(void* source, uint64_t offset, void* to, size_t bytes) {
        return static_cast<ReadOnlyFile*>(source)->read_direct(offset, to, bytes);
    }
    static int32_t of_scratch(int32_t result) { return result == 0 ? 0 : scratch_errors + result; }
    static int32_t scratch_file_read(void* source, uint64_t offset, void* to, size_t bytes) {
        return of_scratch(static_cast<ScratchFile*>(source)->read(offset, to, bytes));
    }
    static int32_t scratch_file_read_direct(void* source, uint64_t offset, void* to, size_t bytes) {
        return of_scratch(static_cast<ScratchFile*>(source)->read_direct(offset, to, bytes));
    }

    // By the kernel itself where it can, else by threads that wait for the disk.
    int32_t begin_direct(int descriptor, ReadAhead::Read how, void* source, uint64_t offset, void* to, size_t bytes,
                         uint32_t* ticket) {
        if (queued->takes(descriptor, offset, to, bytes))
            return queued->begin(descriptor, how, source, offset, to, bytes, ticket);
        return ahead->begin(how, source, offset, to, bytes, ticket);
    }

    static int32_t begin_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
        State& state = of(context);
        int32_t result = 0;
        if (state.choose_direct() && !state.file.refuses_direct()) {
            result = state.begin_direct(state.file.direct(), file_read_direct, &state.file, offset, to, bytes, ticket);
        } else if (state.computes_everywhere && state.cached.likely()) {
            result = state.cached.begin(state.file, offset, to, bytes, ticket);
        } else {
            result = state.ahead->begin(file_read, &state, offset, to, bytes, ticket);
        }
        return result == 0 ? state.note(0, bytes) : state.note(result, 0);
    }
    static int32_t wait(void* context, uint32_t ticket) {
        State& state = of(context);
        int32_t result = 0;
        if (state.cached.has(ticket)) {
            result = state.cached.wait(ticket, *state.pool);
        } else if (state.queued->has(ticket)) {
            result = state.queued->wait(ticket);
        } else {
            result = state.ahead->wait(ticket);
        }
        return state.note(result, 0);
    }
    static int32_t scratch_write(void* context, uint64_t offset, const void* from, size_t bytes) {
        State& state = of(context);
        return state.note(of_scratch(state.scratch.write(offset, from, bytes)), 0);
    }
    static int32_t scratch_read(void* context, uint64_t offset, void* to, size_t bytes) {
        State& state = of(context);
        const ReadAhead::Read how = state.choose_direct() ? scratch_file_read_direct : scratch_file_read;
        return state.note(how(&state.scratch, offset, to, bytes), 0);
    }
    static int32_t begin_scratch_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
        State& state = of(context);
        const int32_t result = state.choose_direct()
                                   ? state.begin_direct(state.scratch.direct(), scratch_file_read_direct, &state.scratch,
                                                        offset, to, bytes, ticket)
                                   : state.ahead->begin(scratch_file_read, &state.scratch, offset, to, bytes, ticket);
        return state.note(result, 0);
    }
    static uint64_t ticks(void*) { return microseconds(); }
    static void log(void*, const char* line) { fprintf(stderr, "linnet: %s\n", line); }
    static void parallel(void* context, linnet_task task, void* task_context, uint32_t count) {
        of(context).pool->run(task, task_context, count);
    }
    static int32_t alone(void* context) { return of(context).pool->alone() ? 1 : 0; }
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

bool PosixPlatform::open(const std::string& path, uint32_t threads, std::string& problem, const PosixOptions& options) {
    State& state = *state_;
    state.ahead.reset();
    state.queued.reset();
    if (!state.scratch.choose(options.scratch_folder, path, problem)) return false;
    if (!state.file.open(path, problem)) return false;
    state.pool.emplace(threads == 0 ? available_threads() : threads);
    state.computes_everywhere = state.pool->threads() >= available_threads();
    state.ahead.emplace();
    state.queued.emplace();
    state.direct = options.direct;
    linnet_platform& platform = state.platform;
    platform.version = LINNET_PLATFORM_VERSION;
    platform.context = &state;
    platform.file_bytes = state.file.size();
    platform.read = State::read;
    platform.begin_read = State::begin_read;
    platform.wait = State::wait;
    if (state.scratch.available()) {
        platform.scratch_write = State::scratch_write;
        platform.scratch_read = State::scratch_read;
        platform.begin_scratch_read = State::begin_scratch_read;
        platform.scratch_bytes = state.scratch.room();
    }
    platform.ticks = State::ticks;
    platform.log = State::log;
    platform.parallel = State::parallel;
    platform.threads = state.pool->threads();
    platform.alone = State::alone;
    platform.yield = State::yield;
    return true;
}

const linnet_platform& PosixPlatform::platform() const { return state_->platform; }

void PosixPlatform::interrupt(bool value) { state_->interrupted.store(value ? 1 : 0, std::memory_order_relaxed); }

void PosixPlatform::watch(void (*each)(void*, uint64_t), void* context) {
    state_->watcher = each;
    state_->watcher_context = context;
}

std::string PosixPlatform::problem() const {
    const int32_t failure = state_->last_failure.load(std::memory_order_relaxed);
    return read_problem(failure > scratch_errors / 2 ? failure - scratch_errors : failure);
}

std::string PosixPlatform::scratch_problem() const {
    const int32_t failure = state_->last_failure.load(std::memory_order_relaxed);
    if (failure <= scratch_errors / 2) return {};
    if (failure == scratch_errors + ENOSPC || failure == scratch_errors + EDQUOT || failure == scratch_errors + EFBIG) {
        return "The folder \"" + state_->scratch.folder() +
               "\" has no room left for the keys and values that do not fit into memory. Make room there or name another one.";
    }
    return "The temporary file in \"" + state_->scratch.folder() + "\" cannot be used: " + problem() + ".";
}

bool PosixPlatform::reads_directly() const { return state_->choose_direct() && !state_->file.refuses_direct(); }

}  // namespace linnet
