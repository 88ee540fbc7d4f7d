// A generation under way, as a session keeps it between two steps.
#pragma once

#include "core/linnet.h"
#include "core/session/draft.h"
#include "core/session/held_text.h"

namespace linnet {

struct GenerationState {
    bool running;
    bool evaluating;  // the pending token, and not yet done
    bool speculate;
    linnet_generation settings;
    linnet_generated generated;  // so far
    linnet_text_stream stream;
    HeldText held;
    size_t given;  // bytes of the held text that the last step gave out
    DraftLength draft_length;
    uint32_t drafted;  // in the last pass
    uint32_t taken;    // of these
};

}  // namespace linnet
