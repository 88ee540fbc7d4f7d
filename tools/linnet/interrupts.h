// Signals: Ctrl-C ends the program and leaves no half-written file behind, except while a model works on an answer, where it
// only stops that.
#pragma once

#include <string>

#include "platform/posix/posix.h"

namespace linnet {

// SIGINT, SIGTERM and SIGHUP end the program with 128 + number; SIGPIPE and SIGXFSZ become errors of the write.
void install_interrupts();

// The file that is removed when a signal ends the program. Empty: none.
void set_unfinished_file(const std::string& path);

// While one of these lives, Ctrl-C asks this platform's work to stop instead of ending the program; the third time it ends it all
// the same. They nest: within a longer one a shorter one changes nothing.
class StopOnInterrupt {
public:
    explicit StopOnInterrupt(PosixPlatform& platform);
    ~StopOnInterrupt();
    StopOnInterrupt(const StopOnInterrupt&) = delete;
    StopOnInterrupt& operator=(const StopOnInterrupt&) = delete;
    bool asked() const;
    // What was asked is done: the platform works again.
    void reset();

private:
    PosixPlatform& platform_;
    bool outermost_;
};

}  // namespace linnet
