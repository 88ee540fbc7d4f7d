// convert --calibrate: the model reads a text, and tells which columns of its matrices errors cost most in.
#pragma once

#include <cstdint>
#include <string>

#include "tools/converter/importance.h"
#include "tools/converter/source.h"

namespace linnet {

struct CalibrationChoices {
    std::string text;      // a file of UTF-8
    std::string out;       // the file to be written: beside it stands the passing one
    std::string memory;    // the ceiling, as --memory takes it
    uint32_t threads = 0;  // 0: all that there are
    bool progress = false;
};

struct Calibration {
    Importance importance;
    uint64_t text_tokens = 0;  // of the text in all
    uint64_t tokens = 0;       // that were read
    uint32_t windows = 0;
    double seconds = 0;
};

// Converts the model to int8, into a file without a name beside `out`, and lets it read windows that lie evenly in the text. The
// memory stays under the ceiling, where the weights stream if they must. Throws a Failure; nothing is left behind.
Calibration calibrate(const SourceModel& model, const CalibrationChoices& choices);

}  // namespace linnet
