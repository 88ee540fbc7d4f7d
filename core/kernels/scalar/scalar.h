// The scalar kernels, which are the specification: what KernelTable's comments say, in the plainest C++.
#pragma once

#include "core/kernels/kernels.h"

namespace linnet::scalar {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block);

void quantize(const float* x, uint32_t count, int8_t* values, float* scales, int32_t* sums);
void rms_norm(const float* x, const float* weight, float epsilon, uint32_t count, float* out);
void add(float* x, const float* y, uint32_t count);
void swiglu(const float* gate, const float* up, uint32_t count, float* out);
void rope(float* head, const float* cosine, const float* sine, uint32_t rotary);
void softmax(float* scores, uint32_t first_lane, uint32_t count);

void quantize_query(const float* x, uint32_t count, int16_t* values, float* scale);
void quantize_head(const float* x, uint32_t count, int8_t* values, float* scale);
// One query at a time.
void attention_scores_int8(const AttentionQuery* query, uint32_t, const int8_t* keys, size_t key_stride,
                           const float* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
void attention_output_int8(const AttentionQuery* query, uint32_t, const int8_t* values, size_t value_stride,
                           const float* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
void rotate(float* head, uint32_t count);
void quantize_head_int4(const float* x, uint32_t count, uint8_t* values, uint32_t* scales);
void attention_scores_int4(const AttentionQuery* query, uint32_t, const uint8_t* keys, size_t key_stride,
                           const uint32_t* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
void attention_output_int4(const AttentionQuery* query, uint32_t, const uint8_t* values, size_t value_stride,
                           const uint32_t* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
void attention_scores_f32(const AttentionQuery* query, uint32_t, const float* keys, size_t key_stride, uint32_t head_dim,
                          uint32_t count);
void attention_output_f32(const AttentionQuery* query, uint32_t, const float* values, size_t value_stride, uint32_t head_dim,
                          uint32_t count);
void attention_scores_f16(const AttentionQuery* query, uint32_t, const uint16_t* keys, size_t key_stride, uint32_t head_dim,
                          uint32_t count);
void attention_output_f16(const AttentionQuery* query, uint32_t, const uint16_t* values, size_t value_stride, uint32_t head_dim,
                          uint32_t count);

// exp as lanes.h defines it.
float exp_float(float x);
// The 16 partial sums to one.
float tree_sum(const float* partial);
// The bits of the largest |x|: as integers they are in the order of the magnitudes, NaN above all.
uint32_t largest_magnitude(const float* x, uint32_t count);

}  // namespace linnet::scalar
