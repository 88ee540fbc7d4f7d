// The int4 KV cache, written once over "16 lanes" (see generic/elementwise.h): the rotation, the quantiser, scores and output.
// The bits are those of core/kernels/scalar/attention_int4.cpp. A step is 16 bytes:
// the indices of 16 dimensions of the first half of a head and of 16 of the second.
#pragma once

#include "core/kernels/generic/attention.h"
#include "core/kernels/generic/elementwise.h"

namespace linnet::generic {

// One block of the rotation, of 2^power dimensions.
template <typename V>
__attribute__((always_inline)) inline void rotate_block(float* x, uint32_t power) {
    const uint32_t block = 1u << power;
    const float factor = rotation_factors[power];
    if (block < 16) {
        for (uint32_t h = 1; h < block; h *= 2) {
            for (uint32_t i = 0; i < block; i += 2 * h) {
                for (uint32_t k = i; k < i + h; ++k) {
                    const float a = x[k];
                    const float b = x[k + h];
                    x[k] = a + b;
                    x[k + h] = a - b;
                }
            }
        }
        for (uint32_t i = 0; i < block; ++i) x[i] = x[i] * factor;
        return;
    }
    for (uint32_t i = 0; i < block; i += 16) {
        auto lanes = V::template butterfly<1>(V::load(x + i));
        lanes = V::template butterfly<2>(lanes);
        lanes = V::template butterfly<4>(lanes);
        lanes = V::template butterfly<8>(lanes);
        V::store(x + i, lanes);
    }
    for (uint32_t h = 16; h < block; h *= 2) {
        for (uint32_t i = 0; i < block; i += 2 * h) {
            for (uint32_t k = i; k < i + h; k += 16) {
                const auto a = V::load(x + k);
                const auto b = V::load(x + k + h);
                V::store(x + k, V::add(a, b));
                V::store(x + k + h, V::sub(a, b));
            }
        }
    }
    for (uint32_t i = 0; i < block; i += 16) V::store(x + i, V::mul(V::load(x + i), V::splat(factor)));
}

template <typename V>
void rotate(float* head, uint32_t count) {
    for (uint32_t first = 0; first + 2 <= count;) {
        const uint32_t power = 31 - static_cast<uint32_t>(__builtin_clz(count - first));
        rotate_block<V>(head + first, power);
        first += 1u << power;
    }
}

// The indices as floats.
template <typename V>
__attribute__((always_inline)) inline typename V::Float level_index(typename V::Float x, float inverse) {
    const auto value = V::mul(x, V::splat(inverse));
    const auto one = V::splat(1.0f);
    auto index = V::splat(0.0f);
    for (float limit : kv_limits) index = V::add(index, V::zero_where_less(one, value, V::splat(limit)));
    return index;
}

// Both halves of a byte in each lane, as an int8.
template <typename V>
__attribute__((always_inline)) inline typename V::Int pack_indices(typename V::Float low, typename V::Float high) {
    const auto both = V::add(low, V::mul(high, V::splat(16.0f)));
    const auto narrow = V::sub(both, V::zero_where_less(V::splat(256.0f), both, V::splat(128.0f)));
    return quantise_lanes<V>(narrow, 1.0f);
}

// The bits of the scale of half a head, and what its numbers are multiplied by: 0 where all of them get the index 8.
template <typename V>
__attribute__((always_inline)) inline uint32_t half_scale(const float* x, uint32_t count, float& inverse) {
    const uint32_t largest_bits = largest_magnitude<V>(x, count);
    float largest;
    memcpy(&largest, &largest_bits, sizeof largest);
    inverse = 0.0f;
    if (largest < quantize_smallest) return 0;
    if (largest_bits >= infinity_bits) return (largest_bits == infinity_bits ? infinity_bits : nan_bits) >> 16;
    const float exact = largest / 127.0f;
    uint32_t bits;
    memcpy(&bits, &exact, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    inverse = 1.0f / scale;
    return bits >> 16;
}

template <typename V>
void quantize_head_int4(const float* x, uint32_t count, uint8_t* values, uint32_t* scales) {
    const uint32_t half = count / 2;
    float first, second;
    const uint32_t first_bits = half_scale<V>(x, half, first);
    const uint32_t second_bits = half_scale<V>(x + half, half, second);
    *scales = first_bits | second_bits << 16;
    const auto eight = V::splat(8.0f);
    uint32_t k = 0;
    for (; k + 16 <= half; k += 16) {
        const auto low = first == 0.0f ? eight : level_index<V>(V::load(x + k), first);
        const auto high = second == 0.0f ? eight : level_index<V>(V::load(x + half + k), second);
        V::store_narrow(reinterpret_cast<int8_t*>(values + k), pack_indices<V>(low, high));
    }
    if (k < half) {
        const auto low = first == 0.0f ? eight : level_index<V>(V::load_some(x + k, half - k), first);
        const auto high = second == 0.0f ? eight : level_index<V>(V::load_some(x + half + k, half - k), second);
        int8_t last[16];
        V::store_narrow(last, pack_indices<V>(low, high));
        memcpy(values + k, last, half - k);
    }
}

// The scales of the two halves of a head.
struct HalfScales {
    float first, second;
};

template <typename V>
__attribute__((always_inline)) inline HalfScales half_scales(uint32_t scales) {
    const uint32_t bits[2] = {scales << 16, scales & 0xffff0000u};
    HalfScales both;
    memcpy(&both, bits, sizeof both);
    return both;
}

// The bytes beyond the last whole step.
template <typename V>
__attribute__((always_inline)) inline void dots_rest(typename V::Dot& low, typename V::Dot& high, const int16_t* q_low,
                                                     const int16_t* q_high, const uint8_t* key, uint32_t count) {
    int16_t some_low[16] = {};
    int16_t some_high[16] = {};
    uint8_t some_key[16] = {};
    memcpy(some_low, q_low, count * sizeof(int16_t));
    memcpy(some_high, q_high, count * sizeof(int16_t));
    memcpy(some_key, key, count);
    V::dots16(low, high, some_low, some_high, some_key);
}

template <typename V>
void attention_scores_int4(const int16_t* q, float q_scale, const uint8_t* keys, size_t key_stride, const uint32_t* key_scales,
                           size_t scale_stride, uint32_t head_dim, uint32_t count, float* scores) {
    const uint32_t half = head_dim / 2;
    const uint32_t whole = half / 16 * 16;
    const uint32_t rest = half - whole;
    const auto score = [&](uint32_t i, int32_t low, int32_t high) __attribute__((always_inline)) {
        const HalfScales scales = half_scales<V>(key_scales[i * scale_stride]);
        scores[i] = (static_cast<float>(low) * scales.first + static_cast<float>(high) * scales.second) * q_scale;
    };
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4, keys += 4 * key_stride) {
        typename V::Dot sums[8];  // of four keys' first halves, and of their second ones
        for (uint32_t k = 0; k < 8; ++k) sums[k] = V::no_dot();
        for (uint32_t d = 0; d < whole; d += 16) {
            for (uint32_t k = 0; k < 4; ++k) V::dots16(sums[k], sums[k + 4], q + d, q + half + d, keys + k * key_stride + d);
        }
        if (rest != 0) {
            for (uint32_t k = 0; k < 4; ++k) {
                dots_rest<V>(sums[k], sums[k + 4], q + whole, q + half + whole, keys + k * key_stride + whole, rest);
            }
        }
        int32_t dots[8];
        V::sum_dots(sums, dots);
        for (uint32_t k = 0; k < 4; ++k) score(i + k, dots[k], dots[k + 4]);
    }
    for (; i < count; ++i, keys += key_stride) {
        typename V::Dot low = V::no_dot();
        typename V::Dot high = V::no_dot();
        for (uint32_t d = 0; d < whole; d += 16) V::dots16(low, high, q + d, q + half + d, keys + d);
        if (rest != 0) dots_rest<V>(low, high, q + whole, q + half + whole, keys + whole, rest);
        score(i, V::sum_dot(low), V::sum_dot(high));
    }
}

// 16 * N dimensions of each half from `out` on, over all positions: their sums stay in registers.
template <typename V, uint32_t N>
__attribute__((always_inline)) inline void output_steps(const float* probabilities, const uint8_t* values, size_t value_stride,
                                                        const uint32_t* value_scales, size_t scale_stride, uint32_t half,
                                                        uint32_t count, float* out) {
    typename V::Float low[N], high[N];
    for (uint32_t n = 0; n < N; ++n) {
        low[n] = V::load(out + n * 16);
        high[n] = V::load(out + half + n * 16);
    }
    for (uint32_t i = 0; i < count; ++i, values += value_stride) {
        const HalfScales scales = half_scales<V>(value_scales[i * scale_stride]);
        const auto first = V::splat(probabilities[i] * scales.first);
        const auto second = V::splat(probabilities[i] * scales.second);
        for (uint32_t n = 0; n < N; ++n) {
            typename V::Float low_levels, high_levels;
            V::load_levels(values + n * 16, low_levels, high_levels);
            low[n] = V::add(low[n], V::mul(first, low_levels));
            high[n] = V::add(high[n], V::mul(second, high_levels));
        }
    }
    for (uint32_t n = 0; n < N; ++n) {
        V::store(out + n * 16, low[n]);
        V::store(out + half + n * 16, high[n]);
    }
}

template <typename V>
void attention_output_int4(const float* probabilities, const uint8_t* values, size_t value_stride, const uint32_t* value_scales,
                           size_t scale_stride, uint32_t head_dim, uint32_t count, float* out) {
    const uint32_t half = head_dim / 2;
    uint32_t d = 0;
    for (; d + 32 <= half; d += 32) {
        output_steps<V, 2>(probabilities, values + d, value_stride, value_scales, scale_stride, half, count, out + d);
    }
    if (d + 16 <= half) {
        output_steps<V, 1>(probabilities, values + d, value_stride, value_scales, scale_stride, half, count, out + d);
        d += 16;
    }
    if (d < half) {
        const uint32_t left = half - d;
        auto low = V::load_some(out + d, left);
        auto high = V::load_some(out + half + d, left);
        for (uint32_t i = 0; i < count; ++i) {
            uint8_t some[16] = {};
            memcpy(some, values + i * value_stride + d, left);
            typename V::Float low_levels, high_levels;
            V::load_levels(some, low_levels, high_levels);
            const HalfScales scales = half_scales<V>(value_scales[i * scale_stride]);
            low = V::add(low, V::mul(V::splat(probabilities[i] * scales.first), low_levels));
            high = V::add(high, V::mul(V::splat(probabilities[i] * scales.second), high_levels));
        }
        V::store_some(out + d, low, left);
        V::store_some(out + half + d, high, left);
    }
}

}  // namespace linnet::generic
