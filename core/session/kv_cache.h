// Keys and values of one session, for every layer, in pages: a page has the keys, or the values, of some positions of one layer.
//
// A slot holds one position. With a sliding window the slots are a ring (slot = position mod slots) that is long enough for the
// window of the first token of a batch beside the last one; without one there is a slot for each position of the context.
// In a page every head has its rows one after the other, and behind all rows the scales that they have:
//     u8 rows[kv_heads][page_slots][row_bytes];  f32 scales[kv_heads][page_slots][row_scales]
// int4: a row is half a byte a dimension, and its two scales of 16 bits are kept in one word (core/kernels/kernels.h).
#pragma once

#include "core/base/arena.h"
#include "core/model/format.h"

namespace linnet {

// The values are those of LINNET_KV_* in linnet.h.
enum class KvFormat : uint32_t { int8 = 1, f16 = 2, f32 = 3, int4 = 4 };

constexpr uint32_t kv_row_bytes(KvFormat format, uint32_t head_dim) {
    if (format == KvFormat::int4) return head_dim / 2;
    return head_dim * (format == KvFormat::int8 ? 1 : format == KvFormat::f16 ? 2 : 4);
}
// Words of scales of one head of one position.
constexpr uint32_t kv_row_scales(KvFormat format) { return format == KvFormat::int8 || format == KvFormat::int4 ? 1 : 0; }

enum KvKind : uint32_t { kv_keys = 0, kv_values = 1 };

struct KvPage {
    uint8_t* at = nullptr;  // null: not in memory
    // Of a page that shares a pool with others (core/stream/residency.h):
    uint32_t crc = 0;     // CRC-32C of what the scratch storage has
    uint8_t ticket = 0;   // of the read that fills it, while `reading`
    bool stored = false;  // the scratch storage has what it holds
    bool kept = false;    // it stays; else it only passes through
    bool busy = false;    // in use: must not be taken away now
    bool reading = false;
};

// Neighbouring slots of one head in a page.
struct KvRows {
    uint8_t* rows;   // [count][row_bytes]
    float* scales;   // [count][row_scales]
    uint32_t count;  // slots from the one that was asked for to the end of the page or of the ring
};

struct KvCache {
    KvFormat format = KvFormat::int8;
    uint32_t layers = 0;
    uint32_t slots = 0;  // a multiple of 16
    uint32_t kv_heads = 0;
    uint32_t row_bytes = 0;
    uint32_t row_scales = 0;
    uint32_t page_slots = 0;    // a multiple of 16
    uint32_t page_count = 0;    // of one kind of one layer
    KvPage* pages = nullptr;    // [layers][2 kinds][page_count]
    uint32_t number = 0;        // of the session: its place in the scratch storage
    mutable bool lost = false;  // the scratch storage failed: what is in the cache is of no use any more

    static uint32_t slots_for(const ModelConfig& config, uint32_t context, uint32_t batch) {
        const uint64_t ring = align_up(uint64_t{config.window_keys} + batch, 16);
        const uint64_t all = align_up(context, 16);
        return static_cast<uint32_t>(config.window_keys != 0 && ring < all ? ring : all);
    }

    // The shape alone; `most_page_bytes` bounds a page as far as 16 slots allow.
    void shape(const ModelConfig& config, KvFormat kv_format, uint32_t context, uint32_t batch, uint64_t most_page_bytes) {
        format = kv_format;
        layers = config.layers;
        slots = slots_for(config, context, batch);
        kv_heads = config.kv_heads;
        row_bytes = kv_row_bytes(format, config.head_dim);
        row_scales = kv_row_scales(format);
        const uint64_t fit = most_page_bytes / slot_bytes() / 16 * 16;
        page_count = ceil_div(slots, static_cast<uint32_t>(fit < 16 ? 16 : fit < slots ? fit : slots));
        page_slots = static_cast<uint32_t>(align_up(ceil_div(slots, page_count), 16));
    }

    uint64_t slot_bytes() const { return uint64_t{kv_heads} * (row_bytes + row_scales * sizeof(float)); }
    uint64_t page_bytes() const { return page_slots * slot_bytes(); }
    uint64_t all_pages() const { return uint64_t{layers} * 2 * page_count; }

    KvPage& page(uint32_t layer, uint32_t kind, uint32_t index) const {
        return pages[(uint64_t{layer} * 2 + kind) * page_count + index];
    }

    // The page must be in memory.
    KvRows rows(uint32_t layer, uint32_t kind, uint32_t kv_head, uint32_t slot) const {
        const uint32_t index = slot / page_slots;
        const uint32_t within = slot % page_slots;
        uint8_t* at = page(layer, kind, index).at;
        const uint64_t row = uint64_t{kv_head} * page_slots + within;
        const uint32_t to_page_end = page_slots - within;
        const uint32_t to_ring_end = slots - slot;
        return {at + row * row_bytes,
                reinterpret_cast<float*>(at + uint64_t{kv_heads} * page_slots * row_bytes) + row * row_scales,
                to_page_end < to_ring_end ? to_page_end : to_ring_end};
    }
};

}  // namespace linnet
