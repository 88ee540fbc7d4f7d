#include "core/kernels/lanes.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::scalar {

float exp_float(float x) {
    if (x > exp_highest) x = exp_highest;
    const float shifted = x * exp_log2e + round_magic;
    const float whole = shifted - round_magic;
    const float r = (x - whole * exp_ln2_high) - whole * exp_ln2_low;
    const float q = (((exp_q4 * r + exp_q3) * r + exp_q2) * r + exp_q1) * r + exp_q0;
    const float mantissa = 1.0f + (r + (r * r) * q);
    const uint32_t n = std::bit_cast<uint32_t>(shifted) - round_magic_bits;
    const float power = std::bit_cast<float>((n + 127u) << 23);
    return x < exp_lowest ? 0.0f : mantissa * power;
}

float tree_sum(const float* partial) {
    float s[lane_count];
    for (uint32_t i = 0; i < lane_count; ++i) s[i] = partial[i];
    for (uint32_t half = lane_count / 2; half >= 1; half /= 2) {
        for (uint32_t i = 0; i < half; ++i) s[i] = s[i] + s[i + half];
    }
    return s[0];
}

uint32_t largest_magnitude(const float* x, uint32_t count) {
    uint32_t largest = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t magnitude = std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

namespace {

// What x is multiplied by, and the scale that goes with it (lanes.h); `inverse` 0 stands for "all values are zero".
struct Quantiser {
    float scale;
    float inverse;
};

Quantiser quantiser(uint32_t largest_bits, float limit) {
    const float largest = std::bit_cast<float>(largest_bits);
    if (largest < quantize_smallest) return {0.0f, 0.0f};
    return {largest / limit, largest_bits < infinity_bits ? limit / largest : 0.0f};
}

int32_t quantise(float x, float inverse) {
    if (inverse == 0.0f) return 0;
    return static_cast<int32_t>(std::bit_cast<uint32_t>(x * inverse + round_magic) - round_magic_bits);
}

}  // namespace

void quantize(const float* x, uint32_t count, int8_t* values, float* scales, int32_t* sums) {
    for (uint32_t first = 0; first < count; first += block_columns) {
        const uint32_t here = count - first < block_columns ? count - first : block_columns;
        const Quantiser q = quantiser(largest_magnitude(x + first, here), 127.0f);
        int32_t sum = 0;
        for (uint32_t i = 0; i < block_columns; ++i) {
            const int32_t value = i < here ? quantise(x[first + i], q.inverse) : 0;
            values[first + i] = static_cast<int8_t>(value);
            sum += value;
        }
        scales[first / block_columns] = q.scale;
        sums[first / block_columns] = sum;
    }
}

void quantize_query(const float* x, uint32_t count, int16_t* values, float* scale) {
    const Quantiser q = quantiser(largest_magnitude(x, count), 32767.0f);
    for (uint32_t i = 0; i < count; ++i) values[i] = static_cast<int16_t>(quantise(x[i], q.inverse));
    *scale = q.scale;
}

void quantize_head(const float* x, uint32_t count, int8_t* values, float* scale) {
    const Quantiser q = quantiser(largest_magnitude(x, count), 127.0f);
    for (uint32_t i = 0; i < count; ++i) values[i] = static_cast<int8_t>(quantise(x[i], q.inverse));
    *scale = q.scale;
}

void rms_norm(const float* x, const float* weight, float epsilon, uint32_t count, float* out) {
    float partial[lane_count] = {};
    for (uint32_t i = 0; i < count; ++i) partial[i % lane_count] = partial[i % lane_count] + x[i] * x[i];
    const float mean = tree_sum(partial) / static_cast<float>(count);
    const float factor = 1.0f / __builtin_sqrtf(mean + epsilon);
    for (uint32_t i = 0; i < count; ++i) out[i] = (x[i] * factor) * weight[i];
}

void add(float* x, const float* y, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) x[i] = x[i] + y[i];
}

void swiglu(const float* gate, const float* up, uint32_t count, float* out) {
    for (uint32_t i = 0; i < count; ++i) out[i] = (gate[i] / (1.0f + exp_float(-gate[i]))) * up[i];
}

void rope(float* head, const float* cosine, const float* sine, uint32_t rotary) {
    const uint32_t half = rotary / 2;
    for (uint32_t i = 0; i < half; ++i) {
        const float a = head[i];
        const float b = head[i + half];
        head[i] = a * cosine[i] - b * sine[i];
        head[i + half] = b * cosine[i] + a * sine[i];
    }
}

void softmax(float* scores, uint32_t first_lane, uint32_t count) {
    float largest = minus_infinity;
    for (uint32_t i = 0; i < count; ++i) largest = scores[i] > largest ? scores[i] : largest;
    float partial[lane_count] = {};
    for (uint32_t i = 0; i < count; ++i) {
        scores[i] = exp_float(scores[i] - largest);
        const uint32_t lane = (first_lane + i) % lane_count;
        partial[lane] = partial[lane] + scores[i];
    }
    const float sum = tree_sum(partial);
    for (uint32_t i = 0; i < count; ++i) scores[i] = scores[i] / sum;
}

}  // namespace linnet::scalar
