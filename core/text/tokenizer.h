// The SentencePiece-BPE tokenizer: equal to libsentencepiece on any bytes, used in place, no allocation.
//
// A tokenizer block is a position-independent run of bytes inside the container (and the arena, or flash), made at
// conversion by tools/converter (build_tokenizer_block) and only read here. open() checks every offset and count in it
// once against its real length; after that no input, whatever it holds, reads outside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/error.h"

namespace linnet {

struct TokenizerHeader;

class Tokenizer {
public:
    // `block` must stay valid and 8-aligned as long as the tokenizer is used.
    Status open(const uint8_t* block, size_t bytes, Error& error);
    bool available() const { return block_ != nullptr; }

    // Working memory that encode() needs, in bytes, for texts whose longest run without a safe cut is `run_bytes` bytes
    // long. (A safe cut is a place that no piece of the vocabulary spans: in ordinary text, before each word.)
    static size_t workspace_bytes(size_t run_bytes);

    struct Options {
        bool parse_special = false;  // added tokens such as "<|user|>" are recognised in the text
        bool add_bos = false;        // begin with the BOS token
        bool dummy_prefix = true;    // the vocabulary's own leading space; false for a text that continues another
    };
    // Writes at most `capacity` ids; sets `count` to the number of them in all (so that capacity 0 measures).
    // `workspace` is 8-aligned. A run that is too long for it is Status::does_not_fit, with nothing written past capacity.
    Status encode(std::string_view text, const Options& options, void* workspace, size_t workspace_bytes, int32_t* ids,
                  size_t capacity, size_t& count, Error& error) const;

    uint32_t vocabulary() const;
    int32_t bos() const;  // -1: none
    // The id of an added or control token by its exact text; -1: none.
    int32_t special(std::string_view text) const;

    enum class Kind : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
    Kind kind(int32_t id) const;
    // The raw piece ("▁the", "<0x0A>", "<|user|>"), valid as long as the block; empty outside the vocabulary.
    std::string_view piece(int32_t id) const;

    // ---- for the encoder, the text stream and the chat templates -----------------------------------------------------------

    bool dummy_prefix() const;            // a text begins with a space of its own
    bool prefix_after_special() const;    // so does what follows a special token
    bool cuts_before_space() const;       // words merge on their own
    bool added(int32_t id) const;         // found in text only where special tokens are parsed
    bool strips_right(int32_t id) const;  // swallows the white space after it
    bool strips_left(int32_t id) const;
    int32_t unknown() const;  // -1: none, and then there are byte pieces
    // The piece that merging makes of this text; -1: none.
    int32_t find(const char* text, size_t bytes) const;
    // Lower merges first.
    uint32_t rank(int32_t id) const { return ranks_[id]; }
    // The piece of one byte; -1: this vocabulary has no byte pieces.
    int32_t byte_id(uint8_t byte) const;
    // The byte that a piece of Kind::byte stands for.
    uint8_t byte_value(int32_t id) const;
    // The longest added or control piece that the text begins with; -1: none.
    int32_t special_at(std::string_view text) const;
    // Pieces that are matched whole before anything merges, longest first, among those that begin with `byte`.
    const uint32_t* user_defined(uint8_t byte, uint32_t& count) const;
    bool has_user_defined() const;
    // The longest piece that merging makes, in characters.
    uint32_t longest_piece() const { return longest_piece_; }

private:
    const uint8_t* block_ = nullptr;
    const TokenizerHeader* header_ = nullptr;
    const uint32_t* entries_ = nullptr;
    const uint32_t* ranks_ = nullptr;
    const uint32_t* slots_ = nullptr;
    const uint32_t* byte_ids_ = nullptr;
    const uint32_t* special_first_ = nullptr;
    const uint32_t* special_ids_ = nullptr;
    const uint32_t* user_first_ = nullptr;
    const uint32_t* user_ids_ = nullptr;
    const char* text_ = nullptr;
    uint32_t longest_piece_ = 0;
};

}  // namespace linnet
