// Prompt lookup: what may come next, read off the session's own tokens. The end of them has often been there before, in a text that
// is summarised, edited or quoted; then what followed it there is a good guess. The guess is computed together with the token that
// is evaluated anyway, in one pass over the weights, and each guessed token is the session's only where the sampler chooses it: so
// the text and the bits are those of one token at a time.
#pragma once

#include <cstdint>

namespace linnet {

struct Repeat {
    uint32_t at;       // where what followed it stands
    uint32_t matched;  // tokens before that are those at the end; 0: none are
};

// The longest end of `tokens` that occurs earlier in them, up to `longest` tokens; of several the last one.
Repeat find_repeat(const int32_t* tokens, uint32_t count, uint32_t longest);

// How many tokens are worth guessing: more where guesses come true, fewer where they fail.
class DraftLength {
public:
    static constexpr uint32_t most = 7;
    static constexpr uint32_t longest_match = 8;

    void begin() { *this = DraftLength{}; }
    uint32_t next(const Repeat& repeat) const;
    // Of `drafted` tokens, `taken` came true.
    void learn(uint32_t drafted, uint32_t taken);

private:
    uint32_t length_ = most;
};

}  // namespace linnet
