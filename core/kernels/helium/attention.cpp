#include "core/kernels/helium/helium.h"
#include "core/kernels/helium/vector.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::helium {

namespace {

// Dot products of the query with K keys one after the other: eight products in an instruction, into a 32-bit sum.
template <uint32_t K>
LINNET_INLINE void dots(const int16_t* q, const int8_t* keys, size_t key_stride, uint32_t head_dim, int32_t (&sum)[K]) {
#pragma GCC unroll 4
    for (uint32_t k = 0; k < K; ++k) sum[k] = 0;
    for (uint32_t d = 0; d < head_dim; d += 8) {
        const int16x8_t query = vldrhq_s16(q + d);
#pragma GCC unroll 4
        for (uint32_t k = 0; k < K; ++k) sum[k] = vmladavaq_s16(sum[k], query, vldrbq_s16(keys + k * key_stride + d));
    }
}

template <uint32_t K>
LINNET_INLINE void scores_of(const int16_t* q, float q_scale, const int8_t* keys, size_t key_stride, const float* key_scales,
                             size_t scale_stride, uint32_t head_dim, float* scores) {
    int32_t sum[K];
    dots<K>(q, keys, key_stride, head_dim, sum);
#pragma GCC unroll 4
    for (uint32_t k = 0; k < K; ++k) scores[k] = static_cast<float>(sum[k]) * (q_scale * key_scales[k * scale_stride]);
}

}  // namespace

void attention_scores_int8(const AttentionQuery* query, uint32_t, const int8_t* keys, size_t key_stride,
                           const float* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    if (head_dim % 8 != 0) {
        return scalar::attention_scores_int8(query, 1, keys, key_stride, key_scales, scale_stride, head_dim, count);
    }
    const AttentionQuery q = *query;
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        scores_of<4>(q.int16, q.scale, keys + i * key_stride, key_stride, key_scales + i * scale_stride, scale_stride, head_dim,
                     q.scores + i);
    }
    for (; i < count; ++i) {
        scores_of<1>(q.int16, q.scale, keys + i * key_stride, key_stride, key_scales + i * scale_stride, scale_stride, head_dim,
                     q.scores + i);
    }
}

// While every weight, and every number in `out` at the start, is zero or at least 2^-103, all of these sums are multiples of
// 2^-126, so that none is subnormal. From the first smaller weight on, plain code goes on.
void attention_output_int8(const AttentionQuery* query, uint32_t, const int8_t* values, size_t value_stride,
                           const float* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    AttentionQuery rest = *query;
    float* out = query->out;
    bool usual = head_dim % 4 == 0 && all_from(out, head_dim, -103);
    for (; count != 0; --count, ++rest.scores, value_scales += scale_stride, values += value_stride) {
        const float weight = *rest.scores * *value_scales;
        usual = usual && (weight == 0.0f || __builtin_fabsf(weight) >= 0x1p-103f);
        if (!usual) break;
        for (uint32_t d = 0; d < head_dim; d += 4) {
            const float32x4_t four = vcvtq_f32_s32(vldrbq_s32(values + d));
            vstrwq_f32(out + d, vaddq_f32(vldrwq_f32(out + d), vmulq_n_f32(four, weight)));
        }
    }
    scalar::attention_output_int8(&rest, 1, values, value_stride, value_scales, scale_stride, head_dim, count);
}

}  // namespace linnet::helium
