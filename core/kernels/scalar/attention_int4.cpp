#include "core/kernels/lanes.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::scalar {

namespace {

float upper_half(uint32_t bits) { return std::bit_cast<float>(bits & 0xffff0000u); }
// The scales of the two halves of a head.
float first_scale(uint32_t scales) { return upper_half(scales << 16); }
float second_scale(uint32_t scales) { return upper_half(scales); }

int32_t low_level(uint8_t byte) { return kv_levels[byte & 15]; }
int32_t high_level(uint8_t byte) { return kv_levels[byte >> 4]; }

// The indices of half a head, one a number; returns the bits of their scale.
uint32_t quantise_half(const float* x, uint32_t count, uint8_t* indices) {
    const uint32_t largest = largest_magnitude(x, count);
    const uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(largest) / 127.0f);
    uint32_t scale = bits + 0x7fffu + (bits >> 16 & 1u);
    if (std::bit_cast<float>(largest) < quantize_smallest) scale = 0;
    if (largest >= infinity_bits) scale = largest == infinity_bits ? infinity_bits : nan_bits;
    scale >>= 16;
    const float inverse = scale == 0 ? 0.0f : 1.0f / first_scale(scale);
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t index = 0;
        for (float limit : kv_limits) index += x[i] * inverse < limit ? 0 : 1;
        indices[i] = static_cast<uint8_t>(scale == 0 || largest >= infinity_bits ? 8 : index);
    }
    return scale;
}

}  // namespace

void rotate(float* head, uint32_t count) {
    for (uint32_t first = 0; first + 2 <= count;) {
        const uint32_t power = 31 - static_cast<uint32_t>(std::countl_zero(count - first));
        const uint32_t block = 1u << power;
        float* x = head + first;
        for (uint32_t h = 1; h < block; h *= 2) {
            for (uint32_t i = 0; i < block; ++i) {
                if ((i & h) != 0) continue;
                const float a = x[i];
                const float b = x[i + h];
                x[i] = a + b;
                x[i + h] = a - b;
            }
        }
        for (uint32_t i = 0; i < block; ++i) x[i] = x[i] * rotation_factors[power];
        first += block;
    }
}

void quantize_head_int4(const float* x, uint32_t count, uint8_t* values, uint32_t* scales) {
    uint8_t indices[512];
    const uint32_t half = count / 2;
    const uint32_t first = quantise_half(x, half, indices);
    const uint32_t second = quantise_half(x + half, half, indices + half);
    for (uint32_t k = 0; k < half; ++k) values[k] = static_cast<uint8_t>(indices[k] | indices[half + k] << 4);
    *scales = first | second << 16;
}

void attention_scores_int4(const AttentionQuery* query, uint32_t, const uint8_t* keys, size_t key_stride,
                           const uint32_t* key_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    const uint32_t half = head_dim / 2;
    const int16_t* q = query->int16;
    for (uint32_t i = 0; i < count; ++i) {
        int32_t first = 0;  // at most 256 * 32767 * 122, which is below 2^31
        int32_t second = 0;
        for (uint32_t k = 0; k < half; ++k) {
            first += q[k] * low_level(keys[i * key_stride + k]);
            second += q[half + k] * high_level(keys[i * key_stride + k]);
        }
        const uint32_t scales = key_scales[i * scale_stride];
        query->scores[i] =
            (static_cast<float>(first) * first_scale(scales) + static_cast<float>(second) * second_scale(scales)) *
            query->scale;
    }
}

void attention_output_int4(const AttentionQuery* query, uint32_t, const uint8_t* values, size_t value_stride,
                           const uint32_t* value_scales, size_t scale_stride, uint32_t head_dim, uint32_t count) {
    const uint32_t half = head_dim / 2;
    float* out = query->out;
    for (uint32_t i = 0; i < count; ++i) {
        const float first = query->scores[i] * first_scale(value_scales[i * scale_stride]);
        const float second = query->scores[i] * second_scale(value_scales[i * scale_stride]);
        for (uint32_t k = 0; k < half; ++k) {
            const uint8_t byte = values[i * value_stride + k];
            out[k] = out[k] + first * static_cast<float>(low_level(byte));
            out[half + k] = out[half + k] + second * static_cast<float>(high_level(byte));
        }
    }
}

}  // namespace linnet::scalar
