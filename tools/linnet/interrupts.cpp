#include "tools/linnet/interrupts.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace linnet {

namespace {

// What the handler looks at. A handler has no argument of ours, so this is the one place with state of the whole process.
std::atomic<PosixPlatform*> working{nullptr};
std::atomic<int> stops_asked{0};
std::atomic<bool> unfinished{false};
char unfinished_path[4096];

void on_signal(int number) {
    PosixPlatform* platform = working.load();
    constexpr int patience = 3;
    if (number == SIGINT && platform != nullptr && stops_asked.fetch_add(1) + 1 < patience) {
        platform->interrupt(true);
        return;
    }
    // write, unlink and _exit are all that a handler may do.
    if (unfinished.load()) unlink(unfinished_path);
    if (number == SIGINT && isatty(STDERR_FILENO)) {
        const ssize_t ignored = write(STDERR_FILENO, "\n", 1);
        static_cast<void>(ignored);
    }
    _exit(128 + number);
}

void handle(int number, void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    struct sigaction before{};
    sigaction(number, nullptr, &before);
    // What a parent had ignored (nohup) stays ignored.
    if (before.sa_handler == SIG_IGN && handler != SIG_IGN) return;
    sigaction(number, &action, nullptr);
}

}  // namespace

void install_interrupts() {
    for (int number : {SIGINT, SIGTERM, SIGHUP}) handle(number, on_signal);
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
}

void set_unfinished_file(const std::string& path) {
    unfinished.store(false);
    if (path.empty() || path.size() >= sizeof unfinished_path) return;
    memcpy(unfinished_path, path.c_str(), path.size() + 1);
    unfinished.store(true);
}

StopOnInterrupt::StopOnInterrupt(PosixPlatform& platform) : platform_(platform), outermost_(working.load() == nullptr) {
    if (!outermost_) return;
    reset();
    working.store(&platform);
}

StopOnInterrupt::~StopOnInterrupt() {
    if (!outermost_) return;
    working.store(nullptr);
    platform_.interrupt(false);
}

bool StopOnInterrupt::asked() const { return stops_asked.load() != 0; }

void StopOnInterrupt::reset() {
    stops_asked.store(0);
    platform_.interrupt(false);
}

}  // namespace linnet
