#include "tools/linnet/token_progress.h"

#include <cstdio>

#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

// Fewer are over before anybody has read the line.
constexpr uint32_t worth_a_line = 100;

}  // namespace

TokenProgress::TokenProgress(std::string what, bool answering, bool forced)
    : what_(std::move(what)),
      terminal_(stderr_is_terminal()),
      beneath_(answering && terminal_ && stdout_is_terminal()),
      forced_(forced) {}

void TokenProgress::show(const std::string& line) const {
    if (beneath_) {
        // Index and reverse index make room for a line without leaving the column; then the cursor is saved, and put back.
        fprintf(stderr, "\x1b%s\x1b%s\x1b%s\x1b%s\r%s\x1b[K\x1b%s", "D", "M", "7", "D", line.c_str(), "8");
    } else if (terminal_) {
        fprintf(stderr, "\r%s\x1b[K", line.c_str());
    } else {
        fprintf(stderr, "%s\n", line.c_str());
    }
    fflush(stderr);
}

void TokenProgress::update(const linnet_progress& progress) {
    if (progress.tokens < worth_a_line || (!terminal_ && !forced_)) return;
    const Clock::time_point now = Clock::now();
    // A terminal is rewritten ten times a second; a log gets a line every two.
    const double since_last = std::chrono::duration<double>(now - last_).count();
    if (shown_ && since_last < (terminal_ ? 0.1 : 2.0)) return;
    last_ = now;
    shown_ = true;
    const double passed = std::chrono::duration<double>(now - start_).count();
    const double share = static_cast<double>(progress.tokens_done) / progress.tokens;
    std::string line = what_ + " " + format_number(progress.tokens) + " tokens  " + format_fixed(share * 100, 0) + "%";
    if (share > 0 && passed > 1) line += "  " + format_seconds(passed / share - passed) + " left";
    show(terminal_ ? dim(line) : line);
}

void TokenProgress::clear() {
    if (shown_ && terminal_) show("");
    shown_ = false;
}

}  // namespace linnet
