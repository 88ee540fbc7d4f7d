// Keys and values of one session, for every layer: head-major, one contiguous run of positions a head.
//
// A slot holds one position. With a sliding window the slots are a ring (slot = position mod slots) that is long enough for the
// window of the first token of a batch beside the last one; without one there is a slot for each position of the context.
#pragma once

#include "core/base/arena.h"
#include "core/model/format.h"

namespace linnet {

// The values are those of LINNET_KV_* in linnet.h.
enum class KvFormat : uint32_t { int8 = 1, f16 = 2, f32 = 3 };

constexpr uint32_t kv_element_bytes(KvFormat format) { return format == KvFormat::int8 ? 1 : format == KvFormat::f16 ? 2 : 4; }

struct KvCache {
    KvFormat format = KvFormat::int8;
    uint32_t slots = 0;
    uint32_t kv_heads = 0;
    uint32_t head_dim = 0;
    uint8_t* keys = nullptr;        // [layers][kv_heads][slots][head_dim]
    uint8_t* values = nullptr;      // the same
    float* key_scales = nullptr;    // int8: [layers][kv_heads][slots]
    float* value_scales = nullptr;  // int8: the same

    static uint32_t slots_for(const ModelConfig& config, uint32_t context, uint32_t batch) {
        const uint64_t ring = align_up(uint64_t{config.window_keys} + batch, 16);
        const uint64_t all = align_up(context, 16);
        return static_cast<uint32_t>(config.window_keys != 0 && ring < all ? ring : all);
    }

    void create(const ModelConfig& config, KvFormat kv_format, uint32_t context, uint32_t batch, Arena& arena) {
        format = kv_format;
        slots = slots_for(config, context, batch);
        kv_heads = config.kv_heads;
        head_dim = config.head_dim;
        const uint64_t rows = uint64_t{config.layers} * kv_heads * slots;
        keys = arena.take<uint8_t>(rows * head_dim * kv_element_bytes(format));
        values = arena.take<uint8_t>(rows * head_dim * kv_element_bytes(format));
        if (format == KvFormat::int8) {
            key_scales = arena.take<float>(rows);
            value_scales = arena.take<float>(rows);
        }
    }

    // Index of a row (one head of one position): times head_dim for values, as it is for scales.
    uint64_t row(uint32_t layer, uint32_t kv_head, uint32_t slot) const {
        return (uint64_t{layer} * kv_heads + kv_head) * slots + slot;
    }
    uint8_t* key(uint64_t row_index) const { return keys + row_index * head_dim * kv_element_bytes(format); }
    uint8_t* value(uint64_t row_index) const { return values + row_index * head_dim * kv_element_bytes(format); }
};

}  // namespace linnet
