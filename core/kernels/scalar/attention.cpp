#include "core/kernels/lanes.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::scalar {

namespace {

float widen(float value) { return value; }
float widen(uint16_t half) { return half_to_float(half); }

template <typename Key>
void scores_float(const float* q, float scale, const Key* keys, size_t key_stride, uint32_t head_dim, uint32_t count,
                  float* scores) {
    for (uint32_t i = 0; i < count; ++i) {
        float partial[lane_count] = {};
        for (uint32_t d = 0; d < head_dim; ++d) {
            partial[d % lane_count] = partial[d % lane_count] + q[d] * widen(keys[i * key_stride + d]);
        }
        scores[i] = tree_sum(partial) * scale;
    }
}

template <typename Value>
void output_float(const float* probabilities, const Value* values, size_t value_stride, uint32_t head_dim, uint32_t count,
                  float* out) {
    for (uint32_t i = 0; i < count; ++i) {
        for (uint32_t d = 0; d < head_dim; ++d) {
            out[d] = out[d] + probabilities[i] * widen(values[i * value_stride + d]);
        }
    }
}

}  // namespace

void attention_scores_int8(const int16_t* q, float q_scale, const int8_t* keys, size_t key_stride, const float* key_scales,
                           size_t scale_stride, uint32_t head_dim, uint32_t count, float* scores) {
    for (uint32_t i = 0; i < count; ++i) {
        int32_t dot = 0;  // at most 512 * 32767 * 127, which is below 2^31
        for (uint32_t d = 0; d < head_dim; ++d) dot += q[d] * keys[i * key_stride + d];
        scores[i] = static_cast<float>(dot) * (q_scale * key_scales[i * scale_stride]);
    }
}

void attention_output_int8(const float* probabilities, const int8_t* values, size_t value_stride, const float* value_scales,
                           size_t scale_stride, uint32_t head_dim, uint32_t count, float* out) {
    for (uint32_t i = 0; i < count; ++i) {
        const float weight = probabilities[i] * value_scales[i * scale_stride];
        for (uint32_t d = 0; d < head_dim; ++d) {
            out[d] = out[d] + weight * static_cast<float>(values[i * value_stride + d]);
        }
    }
}

void attention_scores_f32(const float* q, float scale, const float* keys, size_t key_stride, uint32_t head_dim, uint32_t count,
                          float* scores) {
    scores_float(q, scale, keys, key_stride, head_dim, count, scores);
}

void attention_output_f32(const float* probabilities, const float* values, size_t value_stride, uint32_t head_dim,
                          uint32_t count, float* out) {
    output_float(probabilities, values, value_stride, head_dim, count, out);
}

void attention_scores_f16(const float* q, float scale, const uint16_t* keys, size_t key_stride, uint32_t head_dim,
                          uint32_t count, float* scores) {
    scores_float(q, scale, keys, key_stride, head_dim, count, scores);
}

void attention_output_f16(const float* probabilities, const uint16_t* values, size_t value_stride, uint32_t head_dim,
                          uint32_t count, float* out) {
    output_float(probabilities, values, value_stride, head_dim, count, out);
}

}  // namespace linnet::scalar
