// Progress of a long evaluation, for the person at the terminal: "reading 20,000 tokens  45%  12 s left".
#pragma once

#include <chrono>
#include <string>

#include "core/linnet.h"

namespace linnet {

class TokenProgress {
public:
    // `answering`: text is coming on standard output. Where that is the terminal too, the progress stands on the line beneath and
    // the cursor goes back to where the text ended. `forced`: lines even where stderr is no terminal.
    TokenProgress(std::string what, bool answering, bool forced);
    ~TokenProgress() { clear(); }
    TokenProgress(const TokenProgress&) = delete;
    TokenProgress& operator=(const TokenProgress&) = delete;

    void update(const linnet_progress& progress);
    void clear();

private:
    using Clock = std::chrono::steady_clock;
    void show(const std::string& line) const;

    std::string what_;
    bool terminal_;
    bool beneath_;
    bool forced_;
    bool shown_ = false;
    Clock::time_point start_ = Clock::now();
    Clock::time_point last_{};
};

}  // namespace linnet
