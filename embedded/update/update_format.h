// What an update is, byte by byte, and what stands in the first blocks of a device with two slots. Little-endian.
//
// An update: UpdateHeader (256 bytes), then records until the new model is complete. Each: UpdateRecord, then for `literal` as many bytes.
// Only the header is signed: it has the SHA-256 of the new model, with which the whole slot is compared before it is used. The CRCs
// of the records find damage on the way, early.
//
// A device: block 0 and 1 the state, 2 and 3 the progress of an update that is under way; from 1 MiB on (or block 4, whichever comes
// later) two slots of equal size, a multiple of update_window. State and progress are each written in turn to one and the other of
// their blocks, with a number that grows: the whole one with the larger number counts. So a write that is cut off loses
// itself and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace linnet {

inline constexpr char update_magic[8] = {'\x89', 'L', 'N', 'U', 'P', 'D', 'T', '\n'};
inline constexpr uint32_t update_version = 1;
// The new model is written window by window; a record never reaches over the end of one.
inline constexpr uint32_t update_window = 32768;

enum class UpdateKind : uint32_t { full = 1, difference = 2 };

struct UpdateHeader {
    char magic[8];
    uint32_t version;
    uint32_t kind;          // UpdateKind
    uint64_t release;       // larger than that of the model before it
    uint64_t new_bytes;     // of the new model
    uint64_t old_bytes;     // of the model that a difference is to; 0 for a full one
    uint64_t total_bytes;   // of the update, this header included
    uint8_t new_hash[32];   // SHA-256 of the new model
    uint8_t old_hash[32];   // of the old one; zero for a full one
    uint8_t reserved[80];   // zero
    uint8_t signature[64];  // Ed25519 over "linnet update 1\n" and the bytes before this
};
static_assert(sizeof(UpdateHeader) == 256);

// What is signed: so that a signature is for this and nothing else, its bytes begin with words.
struct SignedMessage {
    static constexpr char prefix[17] = "linnet update 1\n";
    uint8_t bytes[sizeof prefix - 1 + offsetof(UpdateHeader, signature)];

    explicit SignedMessage(const UpdateHeader& header) {
        memcpy(bytes, prefix, sizeof prefix - 1);
        memcpy(bytes + sizeof prefix - 1, &header, offsetof(UpdateHeader, signature));
    }
};
static_assert(sizeof(SignedMessage) == 208);

enum class UpdateAction : uint32_t { literal = 1, copy = 2 };

struct UpdateRecord {
    uint32_t action;      // UpdateAction
    uint32_t bytes;       // 1..update_window, and no further than the window's end
    uint64_t old_offset;  // copy: where in the old model; literal: 0
    uint32_t crc;         // CRC-32C of the bytes that it stands for
    uint32_t record_crc;  // of the fields above
};
static_assert(sizeof(UpdateRecord) == 24);

inline constexpr uint64_t state_blocks = 2;      // state, and as many again for progress
inline constexpr uint64_t slots_from = 1 << 20;  // bytes

struct SlotRecord {
    uint64_t bytes;  // 0: empty
    uint64_t release;
    uint8_t hash[32];
};

// At the start of block 0 or 1. The rest of the block is zero.
struct StateRecord {
    char magic[8];
    uint32_t version;
    uint32_t active;
    uint64_t number;  // of writes; decides which of the two counts
    uint32_t on_trial;
    uint32_t tries;
    SlotRecord slots[2];
    uint32_t slot_windows;  // a slot's size, in windows: on a device of another size the slots are elsewhere
    uint32_t crc;           // CRC-32C of the bytes before it
};
static_assert(sizeof(StateRecord) == 136);
inline constexpr char state_magic[8] = {'\x89', 'L', 'N', 'S', 'L', 'O', 'T', '\n'};

// At the start of block 2 or 3: an update that has been begun, and how far its bytes are safely in the slot.
struct ProgressRecord {
    char magic[8];
    uint64_t number;
    UpdateHeader header;
    uint64_t update_offset;  // of the next record
    uint64_t new_offset;     // of the new model: all before it is written
    uint32_t reserved;
    uint32_t crc;
};
static_assert(sizeof(ProgressRecord) == 296);
inline constexpr char progress_magic[8] = {'\x89', 'L', 'N', 'P', 'R', 'O', 'G', '\n'};

}  // namespace linnet
