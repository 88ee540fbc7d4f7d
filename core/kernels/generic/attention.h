// Attention over the KV cache, written once over "16 lanes" (see generic/elementwise.h); the bits are those of
// core/kernels/scalar/attention.cpp. Scores: lanes are dimensions and each key has its own sum. Output: lanes are dimensions
// and positions come one after the other.
//
// Widening a row to what is multiplied costs about as much as multiplying it, so queries go in tiles, as many as a family's
// registers have sums for: every row of keys and values is widened once for a tile. Positions go in blocks: what is the same
// for all dimensions of a position, the weight of its values and the scales of its keys, is worked out for a block at a time,
// 16 positions in the lanes, and a block's rows stay in the nearest cache while tile after tile reads them.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/lanes.h"

namespace linnet::generic {

constexpr uint32_t block_positions = 64;

// work.operator()<n>(first query) over all queries, n at a time: V::queries, then half as many where fewer are left, and so on.
template <typename V, uint32_t most, typename Work>
__attribute__((always_inline)) inline void in_tiles(const AttentionQuery* queries, uint32_t count, const Work& work) {
    for (; count >= most; count -= most, queries += most) work.template operator()<most>(queries);
    if constexpr (most > 1) in_tiles<V, most / 2>(queries, count, work);
}

// The dimensions beyond the last whole sixteen: the rows' are zero there, so that it does not matter what the queries' are.
// (Not plain loops: g++ 12 miscompiles those with VNNI.)
template <typename T>
struct Rest {
    T at[16] = {};
    __attribute__((always_inline)) Rest(const T* from, uint32_t count) { memcpy(at, from, count * sizeof(T)); }
};

// Integer dot products of Q queries with K keys: dots[query][key], a row of block_positions for each query.
template <typename V, uint32_t Q, uint32_t K>
__attribute__((always_inline)) inline void dots_tile(const AttentionQuery* queries, const int8_t* keys, size_t key_stride,
                                                     uint32_t head_dim, int32_t* dots) {
    static_assert(Q * K % 8 == 0 || Q * K == 1);
    const uint32_t whole = head_dim / 16 * 16;
    typename V::Dot sums[Q * K];
    for (uint32_t n = 0; n < Q * K; ++n) sums[n] = V::no_dot();
    for (uint32_t d = 0; d < whole; d += 16) {
        typename V::Words key[K];
        for (uint32_t k = 0; k < K; ++k) key[k] = V::widen_words(keys + k * key_stride + d);
        for (uint32_t q = 0; q < Q; ++q) {
            const auto query = V::load_words(queries[q].int16 + d);
            for (uint32_t k = 0; k < K; ++k) sums[q * K + k] = V::dot(sums[q * K + k], query, key[k]);
        }
    }
    if (whole != head_dim) {
        const uint32_t left = head_dim - whole;
        for (uint32_t k = 0; k < K; ++k) {
            const auto key = V::widen_words(Rest<int8_t>(keys + k * key_stride + whole, left).at);
            for (uint32_t q = 0; q < Q; ++q) {
                const auto query = V::load_words(Rest<int16_t>(queries[q].int16 + whole, left).at);
                sums[q * K + k] = V::dot(sums[q * K + k], query, key);
            }
        }
    }
    if constexpr (Q * K == 1) {
        *dots = V::sum_dot(sums[0]);
    } else {
        int32_t all[Q * K];
        for (uint32_t n = 0; n < Q * K; n += 8) V::sum_dots(sums + n, all + n);
        for (uint32_t q = 0; q < Q; ++q) memcpy(dots + q * block_positions, all + q * K, K * sizeof(int32_t));
    }
}

// Of Q queries with the keys of a block.
template <typename V, uint32_t Q>
__attribute__((noinline)) void dots_block(const AttentionQuery* queries, const int8_t* keys, size_t key_stride,
                                          uint32_t head_dim, uint32_t count, int32_t* dots) {
    constexpr uint32_t K = Q == 1 ? 8 : V::dot_sums / Q;
    uint32_t i = 0;
    for (; i + K <= count; i += K) dots_tile<V, Q, K>(queries, keys + i * key_stride, key_stride, head_dim, dots + i);
    for (; i < count; ++i) {
        for (uint32_t q = 0; q < Q; ++q) {
            dots_tile<V, 1, 1>(queries + q, keys + i * key_stride, key_stride, head_dim, dots + q * block_positions + i);
        }
    }
}

// Scales of the positions of a block, one after the other.
__attribute__((always_inline)) static inline const float* neighbours(const float* scales, size_t scale_stride, uint32_t count,
                                                                     float* room) {
    if (scale_stride == 1) return scales;
    for (uint32_t i = 0; i < count; ++i) room[i] = scales[i * scale_stride];
    return room;
}

template <typename V>
void attention_scores_int8(const AttentionQuery* queries, uint32_t query_count, const int8_t* keys, size_t key_stride,
                           const float* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    int32_t dots[V::queries * block_positions];
    float room[block_positions];
    for (uint32_t first = 0; first < count; first += block_positions) {
        const uint32_t some = count - first < block_positions ? count - first : block_positions;
        const int8_t* rows = keys + first * key_stride;
        const float* scales = neighbours(key_scales + first * scale_stride, scale_stride, some, room);
        in_tiles<V, V::queries>(
            queries, query_count, [&]<uint32_t Q>(const AttentionQuery* tile) __attribute__((always_inline)) {
                dots_block<V, Q>(tile, rows, key_stride, head_dim, some, dots);
                for (uint32_t q = 0; q < Q; ++q) {
                    const float q_scale = tile[q].scale;
                    const int32_t* from = dots + q * block_positions;
                    float* scores = tile[q].scores + first;
                    uint32_t i = 0;
                    for (; i + 16 <= some; i += 16) {
                        V::store(scores + i, V::mul(V::load(from + i), V::mul(V::splat(q_scale), V::load(scales + i))));
                    }
                    for (; i < some; ++i) scores[i] = static_cast<float>(from[i]) * (q_scale * scales[i]);
                }
            });
    }
}

// Q queries, keys one after the other, as 16 partial sums each.
template <typename V, uint32_t Q, typename Key>
__attribute__((noinline)) void scores_of_floats(const AttentionQuery* queries, const Key* keys, size_t key_stride,
                                                uint32_t head_dim, uint32_t count) {
    const uint32_t whole = head_dim / 16 * 16;
    for (uint32_t i = 0; i < count; ++i, keys += key_stride) {
        typename V::Float partial[Q];
        for (uint32_t q = 0; q < Q; ++q) partial[q] = V::splat(0.0f);
        for (uint32_t d = 0; d < whole; d += 16) {
            const auto key = V::load(keys + d);
            for (uint32_t q = 0; q < Q; ++q) partial[q] = V::add(partial[q], V::mul(V::load(queries[q].f32 + d), key));
        }
        if (whole != head_dim) {
            const uint32_t left = head_dim - whole;
            const auto key = V::load_some(keys + whole, left);
            for (uint32_t q = 0; q < Q; ++q) {
                partial[q] = V::add(partial[q], V::mul(V::load_some(queries[q].f32 + whole, left), key));
            }
        }
        for (uint32_t q = 0; q < Q; ++q) queries[q].scores[i] = V::sum(partial[q]) * queries[q].scale;
    }
}

// In tiles of at most `most` queries: one where the format is a reference rather than quick, so that the code stays small.
template <typename V, typename Key, uint32_t most>
void attention_scores_float(const AttentionQuery* queries, uint32_t query_count, const Key* keys, size_t key_stride,
                            uint32_t head_dim, uint32_t count) {
    in_tiles<V, most>(queries, query_count, [&]<uint32_t Q>(const AttentionQuery* tile) __attribute__((always_inline)) {
        scores_of_floats<V, Q>(tile, keys, key_stride, head_dim, count);
    });
}

// 16 * N dimensions of Q queries from d on, over the positions of a block: their sums stay in registers. weights[query] are
// those of the block.
template <typename V, uint32_t Q, uint32_t N, typename Value>
__attribute__((always_inline)) inline void output_tile(const AttentionQuery* queries, const float* const* weights,
                                                       const Value* values, size_t value_stride, uint32_t d, uint32_t count) {
    typename V::Float sum[Q][N];
    const float* weight[Q];
    for (uint32_t q = 0; q < Q; ++q) {
        weight[q] = weights[q];
        for (uint32_t n = 0; n < N; ++n) sum[q][n] = V::load(queries[q].out + d + n * 16);
    }
    values += d;
    for (uint32_t i = 0; i < count; ++i, values += value_stride) {
        typename V::Float value[N];
        for (uint32_t n = 0; n < N; ++n) value[n] = V::load(values + n * 16);
        for (uint32_t q = 0; q < Q; ++q) {
            const auto factor = V::splat(weight[q][i]);
            for (uint32_t n = 0; n < N; ++n) sum[q][n] = V::add(sum[q][n], V::mul(factor, value[n]));
        }
    }
    for (uint32_t q = 0; q < Q; ++q) {
        for (uint32_t n = 0; n < N; ++n) V::store(queries[q].out + d + n * 16, sum[q][n]);
    }
}

// All dimensions from d on that are whole tiles of N times 16, and then those of smaller ones.
template <typename V, uint32_t Q, uint32_t N, typename Value>
__attribute__((always_inline)) inline void output_tiles(const AttentionQuery* queries, const float* const* weights,
                                                        const Value* values, size_t value_stride, uint32_t head_dim,
                                                        uint32_t count, uint32_t& d) {
    for (; d + 16 * N <= head_dim; d += 16 * N) output_tile<V, Q, N>(queries, weights, values, value_stride, d, count);
    if constexpr (N > 1) output_tiles<V, Q, N / 2>(queries, weights, values, value_stride, head_dim, count, d);
}

template <typename V, uint32_t Q, typename Value>
__attribute__((noinline)) void output_block(const AttentionQuery* queries, const float* const* weights, const Value* values,
                                            size_t value_stride, uint32_t head_dim, uint32_t count) {
    uint32_t d = 0;
    output_tiles<V, Q, V::output_sums / Q>(queries, weights, values, value_stride, head_dim, count, d);
    if (d == head_dim) return;
    const uint32_t left = head_dim - d;
    for (uint32_t q = 0; q < Q; ++q) {
        auto sum = V::load_some(queries[q].out + d, left);
        for (uint32_t i = 0; i < count; ++i) {
            sum = V::add(sum, V::mul(V::splat(weights[q][i]), V::load_some(values + i * value_stride + d, left)));
        }
        V::store_some(queries[q].out + d, sum, left);
    }
}

// to[i] = a[i] * b[i]
template <typename V>
__attribute__((always_inline)) inline void multiply(const float* a, const float* b, uint32_t count, float* to) {
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) V::store(to + i, V::mul(V::load(a + i), V::load(b + i)));
    for (; i < count; ++i) to[i] = a[i] * b[i];
}

// A tile of output has no more queries than sums.
template <typename V>
constexpr uint32_t output_queries() {
    return V::queries < V::output_sums ? V::queries : V::output_sums;
}

template <typename V>
void attention_output_int8(const AttentionQuery* queries, uint32_t query_count, const int8_t* values, size_t value_stride,
                           const float* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    float weights[output_queries<V>()][block_positions];
    float room[block_positions];
    for (uint32_t first = 0; first < count; first += block_positions) {
        const uint32_t some = count - first < block_positions ? count - first : block_positions;
        const int8_t* rows = values + first * value_stride;
        const float* scales = neighbours(value_scales + first * scale_stride, scale_stride, some, room);
        in_tiles<V, output_queries<V>()>(queries, query_count,
                                         [&]<uint32_t Q>(const AttentionQuery* tile) __attribute__((always_inline)) {
                                             const float* of[Q];
                                             for (uint32_t q = 0; q < Q; ++q) {
                                                 multiply<V>(tile[q].scores + first, scales, some, weights[q]);
                                                 of[q] = weights[q];
                                             }
                                             output_block<V, Q>(tile, of, rows, value_stride, head_dim, some);
                                         });
    }
}

template <typename V, typename Value, uint32_t most>
void attention_output_float(const AttentionQuery* queries, uint32_t query_count, const Value* values, size_t value_stride,
                            uint32_t head_dim, uint32_t count) {
    for (uint32_t first = 0; first < count; first += block_positions) {
        const uint32_t some = count - first < block_positions ? count - first : block_positions;
        in_tiles<V, most>(queries, query_count, [&]<uint32_t Q>(const AttentionQuery* tile) __attribute__((always_inline)) {
            const float* of[Q];
            for (uint32_t q = 0; q < Q; ++q) of[q] = tile[q].scores + first;
            output_block<V, Q>(tile, of, values + first * value_stride, value_stride, head_dim, some);
        });
    }
}

}  // namespace linnet::generic
