// Text of a generation that is not certain yet: the end of it could be the beginning of a stop string.
#pragma once

#include <cstring>

#include "core/linnet.h"

namespace linnet {

class HeldText {
public:
    static constexpr size_t token_capacity = 512;  // what one token can bring, see linnet_detokenize

    // The strings must stay where they are.
    void begin(const char* const* stops, uint32_t count) {
        stops_ = stops;
        count_ = count;
        length_ = 0;
    }

    char* end() { return text_ + length_; }
    void grow(size_t bytes) { length_ += bytes; }
    const char* text() const { return text_; }
    size_t length() const { return length_; }

    // Where the first stop string begins; length() when there is none.
    size_t find_stop() const { return find(Match::whole); }

    // Bytes from the front that no stop string can begin in.
    size_t certain() const { return find(Match::beginning); }

    void drop(size_t bytes) {
        memmove(text_, text_ + bytes, length_ - bytes);
        length_ -= bytes;
    }

private:
    enum class Match { none, beginning, whole };

    size_t find(Match wanted) const {
        for (size_t at = 0; at < length_; ++at) {
            for (uint32_t i = 0; i < count_; ++i) {
                if (match(stops_[i], at) == wanted) return at;
            }
        }
        return length_;
    }

    Match match(const char* stop, size_t at) const {
        size_t i = 0;
        while (stop[i] != 0 && at + i < length_ && text_[at + i] == stop[i]) ++i;
        return stop[i] == 0 ? Match::whole : at + i == length_ ? Match::beginning : Match::none;
    }

    const char* const* stops_;
    uint32_t count_;
    size_t length_;
    char text_[LINNET_MAX_STOP_BYTES + token_capacity];
};

}  // namespace linnet
