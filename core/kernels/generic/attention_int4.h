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

// The scales of the positions of a block: of the first halves of their heads, and of the second ones.
template <typename V>
__attribute__((always_inline)) inline void half_scales(const uint32_t* scales, size_t scale_stride, uint32_t count,
                                                       float* first, float* second) {
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t both = scales[i * scale_stride];
        const uint32_t low = both << 16;
        const uint32_t high = both & 0xffff0000u;
        memcpy(first + i, &low, sizeof low);
        memcpy(second + i, &high, sizeof high);
    }
}

// Dot products of the two halves of Q queries with those of K keys: low[query][key] and high[query][key], rows of a block.
template <typename V, uint32_t Q, uint32_t K>
__attribute__((always_inline)) inline void level_dots_tile(const AttentionQuery* queries, const uint8_t* keys,
                                                           size_t key_stride, uint32_t half, int32_t* low, int32_t* high) {
    static_assert(2 * Q * K % 8 == 0 || Q * K == 1);
    const uint32_t whole = half / 16 * 16;
    typename V::Dot sums[2 * Q * K];  // of the first halves, then of the second ones
    for (uint32_t n = 0; n < 2 * Q * K; ++n) sums[n] = V::no_dot();
    const auto add = [&](uint32_t k, uint32_t q, typename V::Words key_low, typename V::Words key_high, const int16_t* q_low,
                         const int16_t* q_high) __attribute__((always_inline)) {
        typename V::Dot& sum_low = sums[q * K + k];
        typename V::Dot& sum_high = sums[(Q + q) * K + k];
        sum_low = V::dot(sum_low, V::load_words(q_low), key_low);
        sum_high = V::dot(sum_high, V::load_words(q_high), key_high);
    };
    for (uint32_t d = 0; d < whole; d += 16) {
        for (uint32_t k = 0; k < K; ++k) {
            typename V::Words key_low, key_high;
            V::level_words(keys + k * key_stride + d, key_low, key_high);
            for (uint32_t q = 0; q < Q; ++q) {
                add(k, q, key_low, key_high, queries[q].int16 + d, queries[q].int16 + half + d);
            }
        }
    }
    if (whole != half) {
        // No level is zero: here it is the queries that end in zeros.
        const uint32_t left = half - whole;
        for (uint32_t k = 0; k < K; ++k) {
            typename V::Words key_low, key_high;
            V::level_words(Rest<uint8_t>(keys + k * key_stride + whole, left).at, key_low, key_high);
            for (uint32_t q = 0; q < Q; ++q) {
                add(k, q, key_low, key_high, Rest<int16_t>(queries[q].int16 + whole, left).at,
                    Rest<int16_t>(queries[q].int16 + half + whole, left).at);
            }
        }
    }
    if constexpr (Q * K == 1) {
        *low = V::sum_dot(sums[0]);
        *high = V::sum_dot(sums[1]);
    } else {
        int32_t all[2 * Q * K];
        for (uint32_t n = 0; n < 2 * Q * K; n += 8) V::sum_dots(sums + n, all + n);
        for (uint32_t q = 0; q < Q; ++q) {
            memcpy(low + q * block_positions, all + q * K, K * sizeof(int32_t));
            memcpy(high + q * block_positions, all + (Q + q) * K, K * sizeof(int32_t));
        }
    }
}

template <typename V, uint32_t Q>
__attribute__((noinline)) void level_dots_block(const AttentionQuery* queries, const uint8_t* keys, size_t key_stride,
                                                uint32_t half, uint32_t count, int32_t* low, int32_t* high) {
    constexpr uint32_t K = Q == 1 ? 4 : V::dot_sums / 2 / Q;
    uint32_t i = 0;
    for (; i + K <= count; i += K) {
        level_dots_tile<V, Q, K>(queries, keys + i * key_stride, key_stride, half, low + i, high + i);
    }
    for (; i < count; ++i) {
        for (uint32_t q = 0; q < Q; ++q) {
            const uint32_t at = q * block_positions + i;
            level_dots_tile<V, 1, 1>(queries + q, keys + i * key_stride, key_stride, half, low + at, high + at);
        }
    }
}

template <typename V>
void attention_scores_int4(const AttentionQuery* queries, uint32_t query_count, const uint8_t* keys, size_t key_stride,
                           const uint32_t* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    int32_t low[V::queries * block_positions], high[V::queries * block_positions];
    float first_scales[block_positions], second_scales[block_positions];
    for (uint32_t first = 0; first < count; first += block_positions) {
        const uint32_t some = count - first < block_positions ? count - first : block_positions;
        const uint8_t* rows = keys + first * key_stride;
        half_scales<V>(key_scales + first * scale_stride, scale_stride, some, first_scales, second_scales);
        in_tiles<V, V::queries>(
            queries, query_count, [&]<uint32_t Q>(const AttentionQuery* tile) __attribute__((always_inline)) {
                level_dots_block<V, Q>(tile, rows, key_stride, head_dim / 2, some, low, high);
                for (uint32_t q = 0; q < Q; ++q) {
                    const float q_scale = tile[q].scale;
                    const int32_t* a = low + q * block_positions;
                    const int32_t* b = high + q * block_positions;
                    float* scores = tile[q].scores + first;
                    uint32_t i = 0;
                    for (; i + 16 <= some; i += 16) {
                        const auto sum = V::add(V::mul(V::load(a + i), V::load(first_scales + i)),
                                                V::mul(V::load(b + i), V::load(second_scales + i)));
                        V::store(scores + i, V::mul(sum, V::splat(q_scale)));
                    }
                    for (; i < some; ++i) {
                        scores[i] = (static_cast<float>(a[i]) * first_scales[i] + static_cast<float>(b[i]) * second_scales[i]) *
                                    q_scale;
                    }
                }
            });
    }
}

// 16 * N dimensions of each half of Q queries from d on, over the positions of a block: their sums stay in registers.
template <typename V, uint32_t Q, uint32_t N>
__attribute__((always_inline)) inline void level_output_tile(const AttentionQuery* queries,
                                                             const float (*first)[block_positions],
                                                             const float (*second)[block_positions], const uint8_t* values,
                                                             size_t value_stride, uint32_t half, uint32_t d, uint32_t count) {
    typename V::Float low[Q][N], high[Q][N];
    for (uint32_t q = 0; q < Q; ++q) {
        for (uint32_t n = 0; n < N; ++n) {
            low[q][n] = V::load(queries[q].out + d + n * 16);
            high[q][n] = V::load(queries[q].out + half + d + n * 16);
        }
    }
    values += d;
    for (uint32_t i = 0; i < count; ++i, values += value_stride) {
        for (uint32_t n = 0; n < N; ++n) {
            typename V::Float low_levels, high_levels;
            V::load_levels(values + n * 16, low_levels, high_levels);
            for (uint32_t q = 0; q < Q; ++q) {
                low[q][n] = V::add(low[q][n], V::mul(V::splat(first[q][i]), low_levels));
                high[q][n] = V::add(high[q][n], V::mul(V::splat(second[q][i]), high_levels));
            }
        }
    }
    for (uint32_t q = 0; q < Q; ++q) {
        for (uint32_t n = 0; n < N; ++n) {
            V::store(queries[q].out + d + n * 16, low[q][n]);
            V::store(queries[q].out + half + d + n * 16, high[q][n]);
        }
    }
}

// As output_tiles.
template <typename V, uint32_t Q, uint32_t N>
__attribute__((always_inline)) inline void level_output_tiles(const AttentionQuery* queries,
                                                              const float (*first)[block_positions],
                                                              const float (*second)[block_positions], const uint8_t* values,
                                                              size_t value_stride, uint32_t half, uint32_t count, uint32_t& d) {
    for (; d + 16 * N <= half; d += 16 * N) {
        level_output_tile<V, Q, N>(queries, first, second, values, value_stride, half, d, count);
    }
    if constexpr (N > 1) level_output_tiles<V, Q, N / 2>(queries, first, second, values, value_stride, half, count, d);
}

template <typename V, uint32_t Q>
__attribute__((noinline)) void level_output_block(const AttentionQuery* queries, const float (*first)[block_positions],
                                                  const float (*second)[block_positions], const uint8_t* values,
                                                  size_t value_stride, uint32_t half, uint32_t count) {
    uint32_t d = 0;
    level_output_tiles<V, Q, V::output_sums / 2 / Q>(queries, first, second, values, value_stride, half, count, d);
    if (d == half) return;
    const uint32_t left = half - d;
    for (uint32_t q = 0; q < Q; ++q) {
        auto low = V::load_some(queries[q].out + d, left);
        auto high = V::load_some(queries[q].out + half + d, left);
        for (uint32_t i = 0; i < count; ++i) {
            typename V::Float low_levels, high_levels;
            V::load_levels(Rest<uint8_t>(values + i * value_stride + d, left).at, low_levels, high_levels);
            low = V::add(low, V::mul(V::splat(first[q][i]), low_levels));
            high = V::add(high, V::mul(V::splat(second[q][i]), high_levels));
        }
        V::store_some(queries[q].out + d, low, left);
        V::store_some(queries[q].out + half + d, high, left);
    }
}

// Each query has two sums here.
template <typename V>
constexpr uint32_t level_output_queries() {
    return 2 * V::queries < V::output_sums ? V::queries : V::output_sums / 2;
}

template <typename V>
void attention_output_int4(const AttentionQuery* queries, uint32_t query_count, const uint8_t* values, size_t value_stride,
                           const uint32_t* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    float first_weights[level_output_queries<V>()][block_positions], second_weights[level_output_queries<V>()][block_positions];
    float first_scales[block_positions], second_scales[block_positions];
    for (uint32_t first = 0; first < count; first += block_positions) {
        const uint32_t some = count - first < block_positions ? count - first : block_positions;
        const uint8_t* rows = values + first * value_stride;
        half_scales<V>(value_scales + first * scale_stride, scale_stride, some, first_scales, second_scales);
        in_tiles<V, level_output_queries<V>()>(
            queries, query_count, [&]<uint32_t Q>(const AttentionQuery* tile) __attribute__((always_inline)) {
                for (uint32_t q = 0; q < Q; ++q) {
                    multiply<V>(tile[q].scores + first, first_scales, some, first_weights[q]);
                    multiply<V>(tile[q].scores + first, second_scales, some, second_weights[q]);
                }
                level_output_block<V, Q>(tile, first_weights, second_weights, rows, value_stride, head_dim / 2, some);
            });
    }
}

}  // namespace linnet::generic
