#include "core/session/draft.h"

namespace linnet {

Repeat find_repeat(const int32_t* tokens, uint32_t count, uint32_t longest) {
    Repeat best{0, 0};
    if (count < 2) return best;
    const int32_t* const last = tokens + count - 1;
    for (uint32_t at = count - 1; at-- > 0;) {
        if (tokens[at] != *last) continue;
        uint32_t matched = 1;
        while (matched < longest && matched <= at && tokens[at - matched] == last[-static_cast<int64_t>(matched)]) ++matched;
        if (matched <= best.matched) continue;
        best = {at + 1, matched};
        if (matched == longest) break;
    }
    return best;
}

uint32_t DraftLength::next(const Repeat& repeat) const {
    if (repeat.matched == 0) return 0;
    return length_;
}

void DraftLength::learn(uint32_t drafted, uint32_t taken) {
    if (drafted == 0) return;
    if (taken == drafted) {
        length_ = length_ * 2 < most ? length_ * 2 : most;
    } else if (taken < length_) {
        length_ = taken + 1;
    }
}

}  // namespace linnet
