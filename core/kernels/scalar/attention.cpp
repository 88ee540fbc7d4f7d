#include "core/kernels/lanes.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::scalar {

namespace {

float widen(float value) { return value; }
float widen(uint16_t half) { return half_to_float(half); }

template <typename Key>
void scores_float(const AttentionQuery* query, const Key* keys, size_t key_stride, uint32_t head_dim, uint32_t count) {
    const float* q = query->f32;
    for (uint32_t i = 0; i < count; ++i) {
        float partial[lane_count] = {};
        for (uint32_t d = 0; d < head_dim; ++d) {
            partial[d % lane_count] = partial[d % lane_count] + q[d] * widen(keys[i * key_stride + d]);
        }
        query->scores[i] = tree_sum(partial) * query->scale;
    }
}

template <typename Value>
void output_float(const AttentionQuery* query, const Value* values, size_t value_stride, uint32_t head_dim, uint32_t count) {
    float* out = query->out;
    for (uint32_t i = 0; i < count; ++i) {
        const float probability = query->scores[i];
        for (uint32_t d = 0; d < head_dim; ++d) {
            out[d] = out[d] + probability * widen(values[i * value_stride + d]);
        }
    }
}

}  // namespace

void attention_scores_int8(const AttentionQuery* query, uint32_t, const int8_t* keys, size_t key_stride,
                           const float* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    const int16_t* q = query->int16;
    for (uint32_t i = 0; i < count; ++i) {
        int32_t dot = 0;  // at most 512 * 32767 * 127, which is below 2^31
        for (uint32_t d = 0; d < head_dim; ++d) dot += q[d] * keys[i * key_stride + d];
        query->scores[i] = static_cast<float>(dot) * (query->scale * key_scales[i * scale_stride]);
    }
}

void attention_output_int8(const AttentionQuery* query, uint32_t, const int8_t* values, size_t value_stride,
                           const float* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    float* out = query->out;
    for (uint32_t i = 0; i < count; ++i) {
        const float weight = query->scores[i] * value_scales[i * scale_stride];
        for (uint32_t d = 0; d < head_dim; ++d) {
            out[d] = out[d] + weight * static_cast<float>(values[i * value_stride + d]);
        }
    }
}

void attention_scores_f32(const AttentionQuery* query, uint32_t, const float* keys, size_t key_stride, uint32_t head_dim,
                          uint32_t count) {
    scores_float(query, keys, key_stride, head_dim, count);
}

void attention_output_f32(const AttentionQuery* query, uint32_t, const float* values, size_t value_stride, uint32_t head_dim,
                          uint32_t count) {
    output_float(query, values, value_stride, head_dim, count);
}

void attention_scores_f16(const AttentionQuery* query, uint32_t, const uint16_t* keys, size_t key_stride, uint32_t head_dim,
                          uint32_t count) {
    scores_float(query, keys, key_stride, head_dim, count);
}

void attention_output_f16(const AttentionQuery* query, uint32_t, const uint16_t* values, size_t value_stride, uint32_t head_dim,
                          uint32_t count) {
    output_float(query, values, value_stride, head_dim, count);
}

}  // namespace linnet::scalar
