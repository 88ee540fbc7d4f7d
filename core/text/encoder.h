// Text and special tokens, in turns, to ids: normalises as libsentencepiece does and gives the characters to the merger.
//
// A segment is the text between two special tokens. It may come in several pieces (a chat template's own words and a
// person's), which merge as if they were one text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/error.h"
#include "core/text/merger.h"
#include "core/text/tokenizer.h"

namespace linnet {

class Encoder {
public:
    // `first_prefix`: the first segment begins with the vocabulary's own space (if it has one). After failure of any call the
    // encoder is not used any more.
    Status open(const Tokenizer& tokenizer, bool first_prefix, void* workspace, size_t workspace_bytes, int32_t* ids,
                size_t capacity, Error& error);

    // The BOS token, before everything; it leaves what follows as it is.
    void put_bos(int32_t id) { writer_.put(id); }
    // More text of the segment. It must stay valid until the next special token, or finish().
    Status text(std::string_view text, Error& error);
    // Ends the segment and writes the token.
    Status special(int32_t id, Error& error);
    Status finish(size_t& count, Error& error);

private:
    static constexpr uint32_t max_parts = 16;

    struct Cursor {  // reads the segment's characters, normalised
        uint32_t part;
        size_t offset;
        bool prefix;
    };
    // The next character, at most 4 bytes; empty at the end.
    std::string_view next(Cursor& cursor) const;
    bool matches(Cursor cursor, std::string_view piece, Cursor& after) const;
    int32_t user_defined(const Cursor& cursor, Cursor& after) const;
    void strip(bool left, bool right);
    Status end_segment(bool right, Error& error);

    const Tokenizer* tokenizer_ = nullptr;
    Merger merger_;
    IdWriter writer_{};
    std::string_view parts_[max_parts];
    uint32_t part_count_ = 0;
    bool prefix_ = false;      // this segment gets the vocabulary's space
    bool strip_left_ = false;  // the special token before swallows white space
};

}  // namespace linnet
