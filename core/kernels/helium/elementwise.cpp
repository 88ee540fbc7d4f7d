// Loops go over whole registers of four; what is left over is plain code's, and so are lengths that no model has.
#include "core/kernels/helium/helium.h"
#include "core/kernels/helium/vector.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::helium {

namespace {

// The bits of the largest |x|; count is a multiple of 4.
LINNET_INLINE uint32_t largest_magnitude(const float* x, uint32_t count) {
    uint32x4_t largest = vdupq_n_u32(0);
    for (uint32_t i = 0; i < count; i += 4) {
        largest = vmaxq_u32(largest, vbicq_n_u32(vreinterpretq_u32_f32(vldrwq_f32(x + i)), 0x80000000));
    }
    return vmaxvq_u32(0, largest);
}

// The scale for a largest magnitude; `inverse` comes out 0 where all values are to be zero. The rule: lanes.h.
float scale_for(uint32_t largest_bits, float limit, float& inverse) {
    const float largest = std::bit_cast<float>(largest_bits);
    inverse = 0.0f;
    if (largest < quantize_smallest) return 0.0f;
    if (largest_bits < infinity_bits) inverse = limit / largest;
    return largest / limit;
}

// x * inverse, to the nearest integer. A product that is subnormal, or whose x is (inverse is at most 2^115), rounds to 0
// anyway. With inverse 0 all are 0, what is not finite too.
LINNET_INLINE int32x4_t quantise_lanes(const float* x, float inverse) {
    if (inverse == 0.0f) return vdupq_n_s32(0);
    const float32x4_t shifted = vaddq_n_f32(vmulq_n_f32(vldrwq_f32(x), inverse), round_magic);
    return vsubq_n_s32(vreinterpretq_s32_f32(shifted), static_cast<int32_t>(round_magic_bits));
}

}  // namespace

void quantize(const float* x, uint32_t count, int8_t* values, float* scales, int32_t* sums) {
    for (; count >= block_columns; count -= block_columns) {
        float inverse;
        *scales++ = scale_for(largest_magnitude(x, block_columns), 127.0f, inverse);
        int32_t sum = 0;
        for (uint32_t i = 0; i < block_columns; i += 4, x += 4, values += 4) {
            const int32x4_t four = quantise_lanes(x, inverse);
            vstrbq_s32(values, four);
            sum = vaddvaq_s32(sum, four);
        }
        *sums++ = sum;
    }
    if (count != 0) scalar::quantize(x, count, values, scales, sums);
}

void quantize_query(const float* x, uint32_t count, int16_t* values, float* scale) {
    if (count % 4 != 0) return scalar::quantize_query(x, count, values, scale);
    float inverse;
    *scale = scale_for(largest_magnitude(x, count), 32767.0f, inverse);
    for (uint32_t i = 0; i < count; i += 4) vstrhq_s32(values + i, quantise_lanes(x + i, inverse));
}

void quantize_head(const float* x, uint32_t count, int8_t* values, float* scale) {
    if (count % 4 != 0) return scalar::quantize_head(x, count, values, scale);
    float inverse;
    *scale = scale_for(largest_magnitude(x, count), 127.0f, inverse);
    for (uint32_t i = 0; i < count; i += 4) vstrbq_s32(values + i, quantise_lanes(x + i, inverse));
}

// Where x and the weights are zero or of usual size, and the factor is, no square and no product is subnormal: they are at
// least 2^-100, and 2^-50 * 2^-40 * 2^-30.
void rms_norm(const float* x, const float* weight, float epsilon, uint32_t count, float* out) {
    if (count % lane_count == 0 && all_from(x, count, -50) && all_from(weight, count, -30)) {
        float32x4_t sums[4];
        for (uint32_t q = 0; q < 4; ++q) sums[q] = vdupq_n_f32(0.0f);
        for (uint32_t i = 0; i < count; i += lane_count) {
            for (uint32_t q = 0; q < 4; ++q) {
                const float32x4_t four = vldrwq_f32(x + i + q * 4);
                sums[q] = vaddq_f32(sums[q], vmulq_f32(four, four));
            }
        }
        float partial[lane_count];
        for (uint32_t q = 0; q < 4; ++q) vstrwq_f32(partial + q * 4, sums[q]);
        const float mean = scalar::tree_sum(partial) / static_cast<float>(count);
        const float factor = 1.0f / __builtin_sqrtf(mean + epsilon);
        if (factor >= 0x1p-40f) {
            for (uint32_t i = 0; i < count; i += 4) {
                vstrwq_f32(out + i, vmulq_f32(vmulq_n_f32(vldrwq_f32(x + i), factor), vldrwq_f32(weight + i)));
            }
            return;
        }
    }
    scalar::rms_norm(x, weight, epsilon, count, out);
}

// exp with vectors; the division and the product, which may be subnormal, without.
void swiglu(const float* gate, const float* up, uint32_t count, float* out) {
    for (; count >= 4; count -= 4) {
        float e[4];
        vstrwq_f32(e, exp_lanes(vnegq_f32(vldrwq_f32(gate))));
        for (uint32_t k = 0; k < 4; ++k) *out++ = (*gate++ / (1.0f + e[k])) * *up++;
    }
    scalar::swiglu(gate, up, count, out);
}

// A largest score that is subnormal may be taken for zero, and so may a difference from it: exp of such a one is 1 either
// way, and others are too large to notice. exp is 0 or at least 2^-126, and so are its sums. Only the quotients may be
// subnormal.
void softmax(float* scores, uint32_t first_lane, uint32_t count) {
    const uint32_t fours = count / 4 * 4;
    float32x4_t most = vdupq_n_f32(minus_infinity);
    // The greater one, and the one that is a number.
    for (uint32_t i = 0; i < fours; i += 4) most = vmaxnmq_f32(most, vldrwq_f32(scores + i));
    float largest = vmaxnmvq_f32(minus_infinity, most);
    for (uint32_t i = fours; i < count; ++i) largest = scores[i] > largest ? scores[i] : largest;

    for (uint32_t i = 0; i < fours; i += 4) {
        vstrwq_f32(scores + i, exp_lanes(vsubq_n_f32(vldrwq_f32(scores + i), largest)));
    }
    for (uint32_t i = fours; i < count; ++i) scores[i] = scalar::exp_float(scores[i] - largest);

    // Up to the first entry of lane 0 one at a time, then sixteen, then what is left.
    float partial[lane_count] = {};
    uint32_t i = 0;
    for (uint32_t lane = first_lane % lane_count; lane % lane_count != 0 && i < count; ++lane, ++i) partial[lane] = scores[i];
    float32x4_t sums[4];
    for (uint32_t q = 0; q < 4; ++q) sums[q] = vldrwq_f32(partial + q * 4);
    for (; i + lane_count <= count; i += lane_count) {
        for (uint32_t q = 0; q < 4; ++q) sums[q] = vaddq_f32(sums[q], vldrwq_f32(scores + i + q * 4));
    }
    for (uint32_t q = 0; q < 4; ++q) vstrwq_f32(partial + q * 4, sums[q]);
    for (uint32_t lane = 0; i < count; ++lane, ++i) partial[lane] = partial[lane] + scores[i];
    const float sum = scalar::tree_sum(partial);
    for (i = 0; i < count; ++i) scores[i] = scores[i] / sum;
}

}  // namespace linnet::helium
