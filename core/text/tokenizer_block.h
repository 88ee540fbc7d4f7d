// The layout of a tokenizer block: what tools/converter/tokenizer_block.cpp writes and Tokenizer::open() checks.
//
//     TokenizerHeader
//     uint32_t entries[pieces + 1]      where each piece's text begins, with its kind and flags; the last one ends the text
//     uint32_t ranks[pieces]            0 merges first; equal scores have equal ranks
//     uint32_t slots[slots]             hash table of the pieces that merging can make, by their text
//     uint32_t byte_ids[256]            the byte pieces, where the vocabulary has them all
//     uint32_t special_first[257]       for each first byte: where in special_ids those that begin with it start
//     uint32_t special_ids[specials]    added, control and unknown pieces; for each first byte the longest first
//     uint32_t user_first[257]          the same for pieces that are always matched whole
//     uint32_t user_ids[users]
//     char text[text_bytes]             the pieces' texts, one after another
//
// About 600 KB for 32,000 pieces, all of it read in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/bytes.h"

namespace linnet {

inline constexpr uint32_t tokenizer_magic = 0x4b4f544c;  // "LTOK"
inline constexpr uint32_t tokenizer_version = 1;

inline constexpr uint32_t max_pieces = (1u << 20) - 1;
inline constexpr uint32_t max_piece_text = (1u << 26) - 1;
inline constexpr uint32_t max_piece_bytes =
    480;                                    // one piece's text always fits in the 512 bytes that linnet_detokenize asks for
inline constexpr uint32_t max_probes = 64;  // of one look-up

enum TokenizerFlags : uint32_t {
    text_has_prefix = 1u << 0,         // a text begins with a space of its own
    only_first_prefix = 1u << 1,       // ... but what follows a special token does not
    has_byte_pieces = 1u << 2,         // what no piece covers becomes bytes; else the unknown piece
    cuts_before_space_flag = 1u << 3,  // no piece has U+2581 after anything else: each word merges alone
    tokenizer_flags_known = 15,
};

struct TokenizerHeader {
    uint32_t magic;
    uint32_t version;
    uint32_t block_bytes;  // all of it
    uint32_t flags;        // TokenizerFlags
    uint32_t pieces;
    uint32_t slots;
    uint32_t probes;  // no piece stands further than this from where its hash points
    uint32_t specials;
    uint32_t users;
    uint32_t text_bytes;
    int32_t bos;      // -1: none
    int32_t unknown;  // -1: none
};
static_assert(sizeof(TokenizerHeader) == 48);

// An entry: bits 0..25 offset in the text, 26..28 Tokenizer::Kind, then three flags.
inline constexpr uint32_t entry_offset = (1u << 26) - 1;
inline constexpr uint32_t entry_kind_shift = 26;
inline constexpr uint32_t entry_added = 1u << 29;
inline constexpr uint32_t entry_rstrip = 1u << 30;
inline constexpr uint32_t entry_lstrip = 1u << 31;

// A slot: bits 0..19 the id, 20..31 bits of the hash, so that most other pieces are told apart without their text.
inline constexpr uint32_t empty_slot = 0xffffffff;
inline constexpr uint32_t slot_id = (1u << 20) - 1;

// Places of the parts from the counts, in bytes from the block's beginning.
struct TokenizerPlaces {
    uint64_t entries, ranks, slots, byte_ids, special_first, special_ids, user_first, user_ids, text, end;

    explicit TokenizerPlaces(const TokenizerHeader& header) {
        uint64_t at = sizeof(TokenizerHeader);
        const auto take = [&at](uint64_t count) {
            const uint64_t place = at;
            at += count * 4;
            return place;
        };
        entries = take(uint64_t{header.pieces} + 1);
        ranks = take(header.pieces);
        slots = take(header.slots);
        byte_ids = take(256);
        special_first = take(257);
        special_ids = take(header.specials);
        user_first = take(257);
        user_ids = take(header.users);
        text = at;
        end = align_up(text + header.text_bytes, 8);
    }
};

// Not cryptographic: a look-up is bounded by max_probes whatever the text.
inline uint64_t piece_hash(const char* text, size_t bytes) {
    constexpr uint64_t factor = 0x9e3779b97f4a7c15;
    uint64_t hash = bytes * factor;
    while (bytes >= 8) {
        hash = (hash ^ load<uint64_t>(text)) * factor;
        hash ^= hash >> 32;
        text += 8;
        bytes -= 8;
    }
    uint64_t tail = 0;
    if (bytes >= 4) {
        tail = uint64_t{load<uint32_t>(text)} << 32 | load<uint32_t>(text + bytes - 4);
    } else if (bytes > 0) {
        const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(text[i])); };
        tail = byte(0) << 16 | byte(bytes / 2) << 8 | byte(bytes - 1);
    }
    hash = (hash ^ tail) * factor;
    hash ^= hash >> 29;
    return hash * factor;
}

inline uint32_t first_slot(uint64_t hash, uint32_t slots) { return static_cast<uint32_t>(((hash >> 32) * slots) >> 32); }
inline uint32_t slot_mark(uint64_t hash) { return static_cast<uint32_t>(hash) & ~slot_id; }

}  // namespace linnet
