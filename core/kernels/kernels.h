// The compute kernels: one table of functions a family of instructions, all of them with the same results to the bit.
//
// How the bits stay the same on every machine:
//  * int4 and int8 dot products over 32 columns are integers: exact in any order.
//  * Every float sum has one order, written below. Rows (matmul), positions (attention scores) or dimensions (attention
//    output, elementwise work) are the vector lanes, so that a sum runs along time and not across lanes. Where a sum must
//    run across (RMSNorm, softmax), it has 16 partial sums and one fixed tree: see lanes.h.
//  * No multiply and add is ever contracted (-ffp-contract=off); exp is our own; division and square root are IEEE's.
//
// core/kernels/scalar is the specification. core/kernels/select.cpp is the one place where a table is chosen.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/model/format.h"

namespace linnet {

// A packed matrix in memory (TensorFormat::f32_packed, int8_packed, int4_packed; see format.h).
struct PackedMatrix {
    const uint8_t* data;  // 64-aligned
    TensorFormat format;
    uint32_t rows;
    uint32_t columns;
    uint32_t group;   // 32, 64, 128; 0 for f32
    uint64_t stride;  // bytes from one block of 16 rows to the next: block_stride(format, columns, group)
};

// Activations of `tokens` tokens, as a matmul reads them: f32 for f32 matrices, and quantised for int8 and int4.
// Each 32 columns have one scale: scale = max|x| / 127, value = round to nearest even of x * (127 / max|x|).
// Columns beyond the real ones, up to padded_columns(columns), are zero.
struct Activations {
    const float* f32;      // [tokens][f32_stride]
    const int8_t* values;  // [tokens][padded]           -127..127, 64-aligned
    const float* scales;   // [tokens][padded / 32]
    const int32_t* sums;   // [tokens][padded / 32]      sum of the 32 values
    size_t f32_stride;     // floats
    uint32_t padded;       // padded_columns(columns)
};

constexpr uint32_t most_attention_queries = 4;

// One head of one token, and what attention makes of it.
struct AttentionQuery {
    const float* f32;      // [head_dim], for f32 and f16 keys
    const int16_t* int16;  // [head_dim], for int8 and int4 keys
    float scale;           // of the scores
    float* scores;         // [positions]
    float* out;            // [head_dim]
};

struct KernelTable {
    const char* name;  // "scalar", "avx2", "avx512", ...

    // y[token * y_stride + row] = sum over columns of weight[row][column] * x[token][column], for the rows of the blocks
    // [first_block, last_block), all `tokens` tokens. Only rows < matrix.rows are written.
    // Order, int4/int8, for each row: total = 0; for each group: part = 0; for each 32 columns of the group:
    //   part = part + float(integer dot) * activation scale; then total = total + part * weight scale.
    // Order, f32: total = 0; for each column in turn: total = total + weight * x.
    void (*matmul)(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride,
                   uint32_t first_block, uint32_t last_block);

    // Fills values[padded], scales[padded/32], sums[padded/32] for one token of `count` columns.
    void (*quantize)(const float* x, uint32_t count, int8_t* values, float* scales, int32_t* sums);

    // out[i] = x[i] * (1 / sqrt(mean(x^2) + epsilon)) * weight[i]          (phi-3: rms_norm_eps; Llama: the same)
    void (*rms_norm)(const float* x, const float* weight, float epsilon, uint32_t count, float* out);

    // x[i] = x[i] + y[i]
    void (*add)(float* x, const float* y, uint32_t count);

    // out[i] = silu(gate[i]) * up[i],  silu(v) = v / (1 + exp(-v))
    void (*swiglu)(const float* gate, const float* up, uint32_t count, float* out);

    // Turns the first `rotary` dims of one head by the half-split rule: with h = rotary/2, for i < h,
    //   (x[i], x[i+h]) <- (x[i] c[i] - x[i+h] s[i],  x[i+h] c[i] + x[i] s[i]).
    void (*rope)(float* head, const float* cosine, const float* sine, uint32_t rotary);

    // scores[] -> probabilities, in place, over `count` entries; lane of entry i is (first_lane + i) mod 16.
    // max; then e[i] = exp(score[i] - max); then divided by the sum of e (16 partial sums, fixed tree).
    void (*softmax)(float* scores, uint32_t first_lane, uint32_t count);

    // The query of one head to 16 bits with one scale: scale = max|x| / 32767; q = round to nearest even of
    // x * (32767 / max|x|); all zero when max|x| is zero. (16 bits, so that only the keys carry quantisation noise.)
    void (*quantize_query)(const float* x, uint32_t count, int16_t* values, float* scale);
    // One head of a key or value for the int8 KV cache, the same way with 127.
    void (*quantize_head)(const float* x, uint32_t count, int8_t* values, float* scale);

    // Attention over neighbouring positions of the KV cache, in four formats. Each kernel takes `query_count` queries, 1 to
    // attention_queries, that read the same keys or values: a row is read and widened once for all of them, and each gets what
    // it gets alone. `scores` writes a query's scores[i] for the positions i < count; `output` reads there what softmax has made
    // of them, and adds to the query's out.
    uint32_t attention_queries;  // 1 to most_attention_queries

    // KV cache, int8: one head of one position is `head_dim` values (<= 512) and one f32 scale.
    // scores[i] = float(dot(q, key i)) * (scale * key_scales[i * scale_stride]); the dot is an exact integer.
    // Strides count elements.
    void (*attention_scores_int8)(const AttentionQuery* queries, uint32_t query_count, const int8_t* keys, size_t key_stride,
                                  const float* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
    // out[d] = out[d] + (probability[i] * value_scales[i * scale_stride]) * float(value[i][d]), for i in turn.
    void (*attention_output_int8)(const AttentionQuery* queries, uint32_t query_count, const int8_t* values,
                                  size_t value_stride, const float* value_scales, size_t scale_stride, uint32_t head_dim,
                                  uint32_t count);

    // The rotation of the int4 KV cache: a head, which has an even number of dimensions (<= 512), is cut from its start into
    // blocks of the largest power of two that is still left (96: 64, 32), and each block of b gets the Hadamard transform:
    // for h = 1, 2, 4 .. b/2, for every i without the bit h: (x[i], x[i+h]) <- (x[i] + x[i+h], x[i] - x[i+h]); then each is
    // multiplied by 1 / sqrt(b), a constant. It keeps dot products (query and key are both turned), spreads what sticks out
    // over the block, and is its own inverse (the attention's output is turned back).
    void (*rotate)(float* head, uint32_t count);
    // A rotated head to 4 bits, each half of it with a scale of 16 bits (the upper ones of an f32: bf16), both in *scales, the
    // first half's in the lower bits. scale = max|x| / 127, rounded to nearest even; the index of x is the number of kv_limits
    // (lanes.h) that are not above x * (1 / scale). A half whose scale is 0, infinite or NaN gets the index 8 throughout.
    // `count` is even; byte k of count/2 holds the index of x[k] in its low half and that of x[count/2 + k] in its high half.
    void (*quantize_head_int4)(const float* x, uint32_t count, uint8_t* values, uint32_t* scales);
    // KV cache, int4: one head of one position is head_dim/2 bytes and two scales in a word. With the level of an index
    // (lanes.h) as the integer, which makes each half's dot product exact:
    // scores[i] = (float(dot of the first halves) * first scale + float(dot of the second halves) * second scale) * scale.
    // Strides count bytes for keys and values, and words for scales.
    void (*attention_scores_int4)(const AttentionQuery* queries, uint32_t query_count, const uint8_t* keys, size_t key_stride,
                                  const uint32_t* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
    // out[d] = out[d] + (probability[i] * scale of d's half) * float(level of value[i][d]), for i in turn.
    void (*attention_output_int4)(const AttentionQuery* queries, uint32_t query_count, const uint8_t* values,
                                  size_t value_stride, const uint32_t* value_scales, size_t scale_stride, uint32_t head_dim,
                                  uint32_t count);

    // KV cache, f32 (the reference): scores[i] = dot(q, k_i) * scale, 16 partial sums by dim mod 16, fixed tree;
    // out[d] = out[d] + probability[i] * value[i][d].
    void (*attention_scores_f32)(const AttentionQuery* queries, uint32_t query_count, const float* keys, size_t key_stride,
                                 uint32_t head_dim, uint32_t count);
    void (*attention_output_f32)(const AttentionQuery* queries, uint32_t query_count, const float* values, size_t value_stride,
                                 uint32_t head_dim, uint32_t count);

    // The same over f16 (IEEE binary16) keys and values, each widened exactly.
    void (*attention_scores_f16)(const AttentionQuery* queries, uint32_t query_count, const uint16_t* keys, size_t key_stride,
                                 uint32_t head_dim, uint32_t count);
    void (*attention_output_f16)(const AttentionQuery* queries, uint32_t query_count, const uint16_t* values,
                                 size_t value_stride, uint32_t head_dim, uint32_t count);
};

// The tables that this build holds, best first; the scalar one is always the last.
// `supported` in the second form: those that this processor can run.
size_t kernel_tables(const KernelTable* const** tables);
// The best table that this processor runs, or the one with this name; null when there is no such table here.
const KernelTable* select_kernels(const char* name);

}  // namespace linnet
