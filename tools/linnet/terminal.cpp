#include "tools/linnet/terminal.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/linnet/command.h"
#include "tools/linnet/sizes.h"

namespace linnet {

bool stdout_is_terminal() { return isatty(STDOUT_FILENO) != 0; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) != 0; }
bool stdin_is_terminal() { return isatty(STDIN_FILENO) != 0; }

namespace {

[[noreturn]] void output_failed() {
    // 141 is what a shell shows for a program that SIGPIPE has ended: the reader wants no more, and nothing is wrong.
    if (errno == EPIPE) throw OutputFailure(141, "");
    throw OutputFailure(exit_bad_input, std::string("Writing the output failed: ") + strerror(errno) + ".");
}

}  // namespace

void print(std::string_view text) {
    if (fwrite(text.data(), 1, text.size(), stdout) != text.size()) output_failed();
}

void flush_output() {
    if (fflush(stdout) != 0) output_failed();
}

void finish_output() { flush_output(); }

std::string for_terminal(std::string_view text) {
    std::string shown;
    shown.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte == '\n' || byte == '\t') {
            shown += static_cast<char>(byte);
        } else if (byte < 0x20) {
            shown += '^';
            shown += static_cast<char>(byte + 0x40);
        } else if (byte == 0x7f) {
            shown += "^?";
        } else if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
            // U+0080 to U+009F: some terminals take U+009B for ESC [.
            char code[16];
            snprintf(code, sizeof code, "<U+%04X>", static_cast<unsigned>(static_cast<unsigned char>(text[++i])));
            shown += code;
        } else {
            shown += static_cast<char>(byte);
        }
    }
    return shown;
}

void print_untrusted(std::string_view text) {
    if (stdout_is_terminal()) {
        print(for_terminal(text));
    } else {
        print(text);
    }
}

std::string dim(std::string_view text) {
    const char* no_color = getenv("NO_COLOR");
    const bool plain = !stderr_is_terminal() || (no_color != nullptr && *no_color != 0);
    return plain ? std::string(text) : "\x1b[2m" + std::string(text) + "\x1b[0m";
}

void note(std::string_view line) {
    fprintf(stderr, "%s\n", dim(for_terminal(line)).c_str());
    fflush(stderr);
}

std::string aligned(const Rows& rows) {
    // Tables of one page have one margin.
    size_t width = 16;
    for (const auto& row : rows) width = std::max(width, row.first.size());
    std::string text;
    for (const auto& row : rows) text += "  " + row.first + std::string(width - row.first.size() + 2, ' ') + row.second + "\n";
    return text;
}

ProgressLine::ProgressLine(std::string what, bool forced, double delay_seconds)
    : what_(std::move(what)), forced_(forced), rewrites_(stderr_is_terminal()), delay_(forced ? 0 : delay_seconds) {}

ProgressLine::~ProgressLine() { clear(); }

double ProgressLine::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void ProgressLine::update(uint64_t done, uint64_t total) {
    if (!rewrites_ && !forced_) return;
    const Clock::time_point now = Clock::now();
    const double passed = std::chrono::duration<double>(now - start_).count();
    const double since_last = std::chrono::duration<double>(now - last_).count();
    // A terminal is rewritten ten times a second; a log gets a line every two.
    if (passed < delay_ || (shown_ && since_last < (rewrites_ ? 0.1 : 2.0))) return;
    last_ = now;
    shown_ = true;
    const double share = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
    const double rate = passed > 0 ? static_cast<double>(done) / passed : 0;
    std::string line = what_ + "  " + format_fixed(share * 100, 0) + "%  " + format_bytes(static_cast<uint64_t>(rate)) + "/s";
    if (rate > 0 && done < total) line += "  " + format_seconds(static_cast<double>(total - done) / rate) + " left";
    if (rewrites_) {
        fprintf(stderr, "\r%s\x1b[K", dim(line).c_str());
    } else {
        fprintf(stderr, "%s\n", line.c_str());
    }
    fflush(stderr);
}

void ProgressLine::clear() {
    if (shown_ && rewrites_) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
    }
    shown_ = false;
}

}  // namespace linnet
