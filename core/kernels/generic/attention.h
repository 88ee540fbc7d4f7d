// Attention over the KV cache, written once over "16 lanes" (see generic/elementwise.h); the bits are those of
// core/kernels/scalar/attention.cpp. Scores: lanes are dimensions and each key has its own sum. Output: lanes are dimensions
// and positions come one after the other.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/lanes.h"

namespace linnet::generic {

// The dimensions beyond the last whole sixteen. (Not a plain loop: g++ 12 miscompiles those with VNNI.)
template <typename V>
__attribute__((always_inline)) inline typename V::Dot dot_rest(typename V::Dot sum, const int16_t* q, const int8_t* key,
                                                               uint32_t count) {
    int16_t some_q[16] = {};
    int8_t some_key[16] = {};
    memcpy(some_q, q, count * sizeof(int16_t));
    memcpy(some_key, key, count);
    return V::dot16(sum, some_q, some_key);
}

template <typename V>
void attention_scores_int8(const int16_t* q, float q_scale, const int8_t* keys, size_t key_stride, const float* key_scales,
                           size_t scale_stride, uint32_t head_dim, uint32_t count, float* scores) {
    const uint32_t whole = head_dim / 16 * 16;
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8, keys += 8 * key_stride) {
        typename V::Dot sums[8];
        for (uint32_t k = 0; k < 8; ++k) sums[k] = V::no_dot();
        for (uint32_t d = 0; d < whole; d += 16) {
            for (uint32_t k = 0; k < 8; ++k) sums[k] = V::dot16(sums[k], q + d, keys + k * key_stride + d);
        }
        if (whole != head_dim) {
            for (uint32_t k = 0; k < 8; ++k) {
                sums[k] = dot_rest<V>(sums[k], q + whole, keys + k * key_stride + whole, head_dim - whole);
            }
        }
        int32_t dots[8];
        V::sum_dots(sums, dots);
        for (uint32_t k = 0; k < 8; ++k) {
            scores[i + k] = static_cast<float>(dots[k]) * (q_scale * key_scales[(i + k) * scale_stride]);
        }
    }
    for (; i < count; ++i, keys += key_stride) {
        typename V::Dot sum = V::no_dot();
        for (uint32_t d = 0; d < whole; d += 16) sum = V::dot16(sum, q + d, keys + d);
        if (whole != head_dim) sum = dot_rest<V>(sum, q + whole, keys + whole, head_dim - whole);
        scores[i] = static_cast<float>(V::sum_dot(sum)) * (q_scale * key_scales[i * scale_stride]);
    }
}

template <typename V, typename Key>
void attention_scores_float(const float* q, float scale, const Key* keys, size_t key_stride, uint32_t head_dim, uint32_t count,
                            float* scores) {
    const uint32_t whole = head_dim / 16 * 16;
    for (uint32_t i = 0; i < count; ++i, keys += key_stride) {
        auto partial = V::splat(0.0f);
        for (uint32_t d = 0; d < whole; d += 16) partial = V::add(partial, V::mul(V::load(q + d), V::load(keys + d)));
        if (whole != head_dim) {
            const uint32_t left = head_dim - whole;
            partial = V::add(partial, V::mul(V::load_some(q + whole, left), V::load_some(keys + whole, left)));
        }
        scores[i] = V::sum(partial) * scale;
    }
}

// Weight of position i: its probability, times its scale where there is one.
template <typename V, bool scaled>
__attribute__((always_inline)) inline float weight_of(const float* probabilities, const float* scales, size_t scale_stride,
                                                      uint32_t i) {
    return scaled ? probabilities[i] * scales[i * scale_stride] : probabilities[i];
}

// 16 * N dimensions from `out` on, over all positions: their sums stay in registers.
template <typename V, uint32_t N, bool scaled, typename Value>
__attribute__((always_inline)) inline void output_lanes(const float* probabilities, const Value* values, size_t value_stride,
                                                        const float* scales, size_t scale_stride, uint32_t count, float* out) {
    typename V::Float sum[N];
    for (uint32_t n = 0; n < N; ++n) sum[n] = V::load(out + n * 16);
    for (uint32_t i = 0; i < count; ++i, values += value_stride) {
        const auto weight = V::splat(weight_of<V, scaled>(probabilities, scales, scale_stride, i));
        for (uint32_t n = 0; n < N; ++n) sum[n] = V::add(sum[n], V::mul(weight, V::load(values + n * 16)));
    }
    for (uint32_t n = 0; n < N; ++n) V::store(out + n * 16, sum[n]);
}

template <typename V, bool scaled, typename Value>
void attention_output(const float* probabilities, const Value* values, size_t value_stride, const float* scales,
                      size_t scale_stride, uint32_t head_dim, uint32_t count, float* out) {
    uint32_t d = 0;
    for (; d + 64 <= head_dim; d += 64) {
        output_lanes<V, 4, scaled>(probabilities, values + d, value_stride, scales, scale_stride, count, out + d);
    }
    if (d + 32 <= head_dim) {
        output_lanes<V, 2, scaled>(probabilities, values + d, value_stride, scales, scale_stride, count, out + d);
        d += 32;
    }
    if (d + 16 <= head_dim) {
        output_lanes<V, 1, scaled>(probabilities, values + d, value_stride, scales, scale_stride, count, out + d);
        d += 16;
    }
    if (d < head_dim) {
        const uint32_t left = head_dim - d;
        auto sum = V::load_some(out + d, left);
        for (uint32_t i = 0; i < count; ++i) {
            const auto weight = V::splat(weight_of<V, scaled>(probabilities, scales, scale_stride, i));
            sum = V::add(sum, V::mul(weight, V::load_some(values + i * value_stride + d, left)));
        }
        V::store_some(out + d, sum, left);
    }
}

template <typename V>
void attention_output_int8(const float* probabilities, const int8_t* values, size_t value_stride, const float* value_scales,
                           size_t scale_stride, uint32_t head_dim, uint32_t count, float* out) {
    attention_output<V, true>(probabilities, values, value_stride, value_scales, scale_stride, head_dim, count, out);
}

template <typename V, typename Value>
void attention_output_float(const float* probabilities, const Value* values, size_t value_stride, uint32_t head_dim,
                            uint32_t count, float* out) {
    attention_output<V, false>(probabilities, values, value_stride, nullptr, 0, head_dim, count, out);
}

}  // namespace linnet::generic
