#include "tools/linnet/bench_surroundings.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "platform/posix/file.h"
#include "platform/posix/thread_pool.h"
#include "tools/linnet/command.h"
#include "tools/linnet/interrupts.h"

namespace linnet {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// "key : value" of a file of /proc; empty where it is not there.
std::string value_of(const char* path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.compare(0, key.size(), key) != 0) continue;
        const size_t colon = line.find(':');
        const size_t at = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
        if (at != std::string::npos) return line.substr(at);
    }
    return {};
}

std::string huge_pages() {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string line;
    std::getline(file, line);
    const size_t from = line.find('[');
    const size_t to = line.find(']');
    return from == std::string::npos || to == std::string::npos || to < from ? "unknown" : line.substr(from + 1, to - from - 1);
}

// Bytes a second of reading a file with several reads under way, the way that weights are loaded. 0: it could not be read.
double read_rate(const std::string& path, bool direct, uint32_t threads) {
    // Long enough for a rate, short enough to be waited for.
    constexpr uint64_t most = uint64_t{1} << 30;
    static constexpr size_t piece = size_t{1} << 20;
    struct Reading {
        ReadOnlyFile file;
        ArenaMemory memory;
        std::atomic<uint64_t> next{0};
        uint64_t bytes;
        bool direct;
        std::atomic<bool> failed{false};
        void serve(uint32_t index) {
            uint8_t* to = static_cast<uint8_t*>(memory.data()) + size_t{index} * piece;
            for (uint64_t at = next.fetch_add(piece); at < bytes && !failed; at = next.fetch_add(piece)) {
                const size_t count = static_cast<size_t>(std::min<uint64_t>(piece, bytes - at));
                if ((direct ? file.read_direct(at, to, count) : file.read(at, to, count)) != 0) failed = true;
            }
        }
    } reading;
    std::string problem;
    // More than there are processors: a disk likes several requests at a time.
    const uint32_t requests = std::max(4u, threads);
    if (!reading.file.open(path, problem) || !reading.memory.allocate(requests * piece)) return 0;
    memset(reading.memory.data(), 0, reading.memory.size());
    reading.bytes = std::min(reading.file.size(), most);
    reading.direct = direct;
    if (direct && reading.file.refuses_direct()) return 0;
    const Clock::time_point start = Clock::now();
    ThreadPool pool(requests);
    pool.run([](void* self, uint32_t index) { static_cast<Reading*>(self)->serve(index); }, &reading, requests);
    const double seconds = seconds_since(start);
    if (reading.failed || (direct && reading.file.refuses_direct()) || seconds <= 0) return 0;
    return static_cast<double>(reading.bytes) / seconds;
}

}  // namespace

MachineReport describe_machine() {
    MachineReport machine;
    machine.place = "native";
    machine.processor = value_of("/proc/cpuinfo", "model name");
    struct utsname system{};
    if (machine.processor.empty() && uname(&system) == 0) machine.processor = system.machine;
    machine.cores = available_threads();
    machine.huge_pages = huge_pages();
    return machine;
}

uint64_t huge_page_bytes() {
    const std::string kilobytes = value_of("/proc/self/smaps_rollup", "AnonHugePages");
    return strtoull(kilobytes.c_str(), nullptr, 10) * 1024;
}

Start start_model(LoadedModel& model, uint32_t context, double seconds_before) {
    const Clock::time_point start = Clock::now();
    if (context != 0) model.set_context(context);
    model.load();
    linnet_error error;
    const int32_t token = model.info().bos_token >= 0 ? model.info().bos_token : 0;
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        status = linnet_evaluate(model.session(), &token, 1, &error);
    }
    if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
    model.require_platform(status, error);
    return {seconds_before + seconds_since(start), model.load_seconds()};
}

bool drop_from_cache(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    // What is not yet written to the disk cannot leave the cache.
    fsync(descriptor);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
    ReadOnlyFile file;
    std::string problem;
    if (!file.open(path, problem)) return false;
    // Some places of it: none may be there any more.
    uint8_t byte;
    for (uint64_t part = 0; part < 16; ++part) {
        if (file.read_cached(file.size() / 16 * part, &byte, 1) != 0) return false;
    }
    return true;
}

void measure_cold_start(const ModelChoices& choices, uint32_t context, LoadReport& report) {
    if (!drop_from_cache(choices.file)) return;
    uint32_t threads = 1;
    {
        const Clock::time_point start = Clock::now();
        LoadedModel model(choices);
        report.cold_seconds = start_model(model, context, seconds_since(start)).first_token_seconds;
        threads = model.threads();
    }
    // The better of both ways of reading: a ceiling.
    if (drop_from_cache(choices.file)) report.storage_bytes_per_second = read_rate(choices.file, false, threads);
    report.storage_bytes_per_second = std::max(report.storage_bytes_per_second, read_rate(choices.file, true, threads));
}

}  // namespace linnet
