// What the commands show: text on stdout, and on stderr what a person watches.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

bool stdout_is_terminal();
bool stderr_is_terminal();
bool stdin_is_terminal();

// Text to stdout. A write that fails ends the command: quietly when the reader has gone away, with a sentence when a disk is full.
void print(std::string_view text);
// Hands what is buffered to the system. print() alone may hold it back.
void flush_output();
// The last flush of a program, with close()'s own errors.
void finish_output();

// The same text with everything that would steer a terminal made visible: ESC becomes "^[". Line breaks and tabs stay.
std::string for_terminal(std::string_view text);
// for_terminal() where stdout is a terminal; the text itself elsewhere.
void print_untrusted(std::string_view text);

// "text" in dim letters where stderr is a terminal (and NO_COLOR is not set).
std::string dim(std::string_view text);
// One line for the person, on stderr.
void note(std::string_view line);

// Lines of "name   value", aligned.
using Rows = std::vector<std::pair<std::string, std::string>>;
std::string aligned(const Rows& rows);

// One line on stderr that is rewritten: "converting   45%  312 MB/s  12 s left". Shows nothing before `delay` has passed, so
// that quick work stays quiet, and nothing at all where stderr is no terminal, unless it is `forced`.
class ProgressLine {
public:
    ProgressLine(std::string what, bool forced, double delay_seconds = 0.5);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;
    void update(uint64_t done, uint64_t total);
    void clear();
    double seconds() const;

private:
    using Clock = std::chrono::steady_clock;
    std::string what_;
    bool shown_ = false;
    bool forced_;
    bool rewrites_;
    double delay_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_{};
};

}  // namespace linnet
