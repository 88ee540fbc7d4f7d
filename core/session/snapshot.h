// Sessions copied to another one of the same model, and kept outside of memory: tokens, keys and values, logits, random numbers.
//
// A snapshot, little-endian:
//     SnapshotHeader
//     i32 tokens[length]
//     f32 logits[vocabulary], where has_logits
//     for each layer, for keys and then for values, of positions [first, cached), 16 at a time (from one multiple of 16 to the
//         next): for each key/value head: rows; then, where the format has them, their scales (f32)
//     u32 CRC-32C of everything before it
// It is written and read front to back in pieces of some bytes to some 100 kB, straight from and to their places.
#pragma once

#include "core/session/model.h"

namespace linnet {

inline constexpr char snapshot_magic[8] = {'\x89', 'L', 'I', 'N', 'S', 'E', 'S', '\n'};
inline constexpr uint32_t snapshot_version = 2;  // 1 had a head's positions together

struct SnapshotHeader {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;  // 112
    uint64_t bytes;         // of the whole snapshot
    uint64_t model_bytes;   // the model file's, its header's checksum, and the checksum of its weights' checksums
    uint32_t model_header_crc;
    uint32_t model_weights_crc;
    uint32_t kv_format;
    uint32_t length;      // tokens
    uint32_t cached;      // of these, tokens that are computed
    uint32_t first;       // the oldest position that is kept: above 0 only with a sliding window
    uint32_t has_logits;  // 0 or 1
    uint32_t cached_long;
    uint64_t random[4];  // the sampler's
    uint64_t seed;
    uint32_t seeded;
    uint32_t header_crc;  // CRC-32C of the bytes before it
};
static_assert(sizeof(SnapshotHeader) == 112);

// A failure, where keys and values are in storage that fails, leaves `to` empty.
Status copy(linnet_session& to, const linnet_session& from, Error& error);

uint64_t snapshot_bytes(const linnet_session& session);
Status save(const linnet_session& session, linnet_snapshot_write write, void* context, Error& error);
// What cannot be used leaves the session empty.
Status restore(linnet_session& session, uint64_t bytes, linnet_snapshot_read read, void* context, Error& error);

}  // namespace linnet
