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

private:
    const uint8_t* block_ = nullptr;
    size_t bytes_ = 0;
    // ...
};

}  // namespace linnet
