// The Helium kernels. Their contract stands in core/kernels/kernels.h.
#pragma once

#include "core/kernels/kernels.h"

namespace linnet::helium {

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block);

void quantize(const float* x, uint32_t count, int8_t* values, float* scales, int32_t* sums);
void rms_norm(const float* x, const float* weight, float epsilon, uint32_t count, float* out);
void swiglu(const float* gate, const float* up, uint32_t count, float* out);
void softmax(float* scores, uint32_t first_lane, uint32_t count);

void quantize_query(const float* x, uint32_t count, int16_t* values, float* scale);
void quantize_head(const float* x, uint32_t count, int8_t* values, float* scale);
void attention_scores_int8(const AttentionQuery* query, uint32_t, const int8_t* keys, size_t key_stride,
                           const float* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);
void attention_output_int8(const AttentionQuery* query, uint32_t, const int8_t* values, size_t value_stride,
                           const float* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count);

}  // namespace linnet::helium
