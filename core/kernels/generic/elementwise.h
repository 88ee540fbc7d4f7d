// The kernels that go over one vector, written once over "16 lanes" and compiled in each family's own folder with that
// family's Vector (core/kernels/avx2/vector.h and its like say what one offers). They do operation for operation what
// core/kernels/scalar/elementwise.cpp does.
//
// Everything here is a template over Vector, which lives in the family's namespace: each family gets functions of its
// own, and the linker never takes one that was compiled for a better processor.
#pragma once

#include "core/kernels/kernels.h"
#include "core/kernels/lanes.h"

namespace linnet::generic {

template <typename V>
__attribute__((always_inline)) inline typename V::Float exp_lanes(typename V::Float x) {
    x = V::lesser(V::splat(exp_highest), x);
    const auto shifted = V::add(V::mul(x, V::splat(exp_log2e)), V::splat(round_magic));
    const auto whole = V::sub(shifted, V::splat(round_magic));
    const auto r = V::sub(V::sub(x, V::mul(whole, V::splat(exp_ln2_high))), V::mul(whole, V::splat(exp_ln2_low)));
    auto q = V::add(V::mul(V::splat(exp_q4), r), V::splat(exp_q3));
    q = V::add(V::mul(q, r), V::splat(exp_q2));
    q = V::add(V::mul(q, r), V::splat(exp_q1));
    q = V::add(V::mul(q, r), V::splat(exp_q0));
    const auto mantissa = V::add(V::splat(1.0f), V::add(r, V::mul(V::mul(r, r), q)));
    const auto exponent = V::add_int(V::bits(shifted), V::splat_int(127u - round_magic_bits));
    const auto power = V::from_bits(V::shift_to_exponent(exponent));
    return V::zero_where_less(V::mul(mantissa, power), x, V::splat(exp_lowest));
}

// The bits of the largest |x| among `count`.
template <typename V>
__attribute__((always_inline)) inline uint32_t largest_magnitude(const float* x, uint32_t count) {
    const auto magnitude = V::splat_int(0x7fffffffu);
    auto largest = V::zero();
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) largest = V::max_int(largest, V::and_int(V::bits(V::load(x + i)), magnitude));
    if (i < count) largest = V::max_int(largest, V::and_int(V::bits(V::load_some(x + i, count - i)), magnitude));
    return static_cast<uint32_t>(V::largest_int(largest));
}

template <typename V>
__attribute__((always_inline)) inline typename V::Int quantise_lanes(typename V::Float x, float inverse) {
    const auto shifted = V::add(V::mul(x, V::splat(inverse)), V::splat(round_magic));
    return V::add_int(V::bits(shifted), V::splat_int(0u - round_magic_bits));
}

// The scale for a largest magnitude; `inverse` comes out 0 where all values are to be zero. The rule: lanes.h.
template <typename V>
__attribute__((always_inline)) inline float scale_for(uint32_t largest_bits, float limit, float& inverse) {
    float largest;
    memcpy(&largest, &largest_bits, sizeof largest);
    inverse = 0.0f;
    if (largest < quantize_smallest) return 0.0f;
    if (largest_bits < infinity_bits) inverse = limit / largest;
    return largest / limit;
}

template <typename V>
void quantize(const float* x, uint32_t count, int8_t* values, float* scales, int32_t* sums) {
    for (uint32_t first = 0; first < count; first += block_columns) {
        const uint32_t here = count - first < block_columns ? count - first : block_columns;
        float inverse;
        scales[first / block_columns] = scale_for<V>(largest_magnitude<V>(x + first, here), 127.0f, inverse);
        auto low = V::zero();
        auto high = V::zero();
        if (inverse != 0.0f) {
            if (here == block_columns) {
                low = quantise_lanes<V>(V::load(x + first), inverse);
                high = quantise_lanes<V>(V::load(x + first + 16), inverse);
            } else {
                low = quantise_lanes<V>(V::load_some(x + first, here < 16 ? here : 16), inverse);
                if (here > 16) high = quantise_lanes<V>(V::load_some(x + first + 16, here - 16), inverse);
            }
        }
        V::store_narrow(values + first, low);
        V::store_narrow(values + first + 16, high);
        sums[first / block_columns] = V::sum_int(V::add_int(low, high));
    }
}

// A head of any length to int8 or int16 with one scale.
template <typename V, typename Value>
void quantize_whole(const float* x, uint32_t count, Value* values, float* scale) {
    float inverse;
    *scale = scale_for<V>(largest_magnitude<V>(x, count), sizeof(Value) == 1 ? 127.0f : 32767.0f, inverse);
    if (inverse == 0.0f) {
        memset(values, 0, count * sizeof(Value));
        return;
    }
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) V::store_narrow(values + i, quantise_lanes<V>(V::load(x + i), inverse));
    if (i < count) {
        Value last[16];
        V::store_narrow(last, quantise_lanes<V>(V::load_some(x + i, count - i), inverse));
        memcpy(values + i, last, (count - i) * sizeof(Value));
    }
}

template <typename V>
void rms_norm(const float* x, const float* weight, float epsilon, uint32_t count, float* out) {
    auto partial = V::splat(0.0f);
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const auto v = V::load(x + i);
        partial = V::add(partial, V::mul(v, v));
    }
    if (i < count) {
        const auto v = V::load_some(x + i, count - i);
        partial = V::add(partial, V::mul(v, v));
    }
    const float mean = V::sum(partial) / static_cast<float>(count);
    const auto factor = V::splat(1.0f / __builtin_sqrtf(mean + epsilon));
    for (i = 0; i + 16 <= count; i += 16) V::store(out + i, V::mul(V::mul(V::load(x + i), factor), V::load(weight + i)));
    if (i < count) {
        const uint32_t left = count - i;
        V::store_some(out + i, V::mul(V::mul(V::load_some(x + i, left), factor), V::load_some(weight + i, left)), left);
    }
}

template <typename V>
void add(float* x, const float* y, uint32_t count) {
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) V::store(x + i, V::add(V::load(x + i), V::load(y + i)));
    if (i < count) {
        const uint32_t left = count - i;
        V::store_some(x + i, V::add(V::load_some(x + i, left), V::load_some(y + i, left)), left);
    }
}

template <typename V>
__attribute__((always_inline)) inline typename V::Float swiglu_lanes(typename V::Float gate, typename V::Float up) {
    const auto negative = V::from_bits(V::add_int(V::bits(gate), V::splat_int(0x80000000u)));
    return V::mul(V::div(gate, V::add(V::splat(1.0f), exp_lanes<V>(negative))), up);
}

template <typename V>
void swiglu(const float* gate, const float* up, uint32_t count, float* out) {
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) V::store(out + i, swiglu_lanes<V>(V::load(gate + i), V::load(up + i)));
    if (i < count) {
        const uint32_t left = count - i;
        V::store_some(out + i, swiglu_lanes<V>(V::load_some(gate + i, left), V::load_some(up + i, left)), left);
    }
}

template <typename V>
void rope(float* head, const float* cosine, const float* sine, uint32_t rotary) {
    const uint32_t half = rotary / 2;
    uint32_t i = 0;
    for (; i + 16 <= half; i += 16) {
        const auto a = V::load(head + i);
        const auto b = V::load(head + half + i);
        const auto c = V::load(cosine + i);
        const auto s = V::load(sine + i);
        V::store(head + i, V::sub(V::mul(a, c), V::mul(b, s)));
        V::store(head + half + i, V::add(V::mul(b, c), V::mul(a, s)));
    }
    if (i < half) {
        const uint32_t left = half - i;
        const auto a = V::load_some(head + i, left);
        const auto b = V::load_some(head + half + i, left);
        const auto c = V::load_some(cosine + i, left);
        const auto s = V::load_some(sine + i, left);
        V::store_some(head + i, V::sub(V::mul(a, c), V::mul(b, s)), left);
        V::store_some(head + half + i, V::add(V::mul(b, c), V::mul(a, s)), left);
    }
}

// e = exp(score - largest) for up to 16 entries, which are put back and returned in the lanes from `lane` on.
template <typename V>
__attribute__((always_inline)) inline typename V::Float softmax_some(float* scores, typename V::Float largest, uint32_t lane,
                                                                     uint32_t count) {
    V::store_some(scores, exp_lanes<V>(V::sub(V::load_some(scores, count), largest)), count);
    if (lane == 0) return V::load_some(scores, count);
    float lanes[16] = {};
    memcpy(lanes + lane, scores, count * sizeof(float));
    return V::load(lanes);
}

template <typename V>
void softmax(float* scores, uint32_t first_lane, uint32_t count) {
    // The largest: in any order, since a NaN never wins and the two zeros give the same differences' exponentials.
    float most = minus_infinity;
    uint32_t i = 0;
    if (count >= 16) {
        auto lanes = V::splat(minus_infinity);
        for (; i + 16 <= count; i += 16) lanes = V::greater(V::load(scores + i), lanes);
        float each[16];
        V::store(each, lanes);
        for (uint32_t lane = 0; lane < 16; ++lane) most = each[lane] > most ? each[lane] : most;
    }
    for (; i < count; ++i) most = scores[i] > most ? scores[i] : most;
    const auto largest = V::splat(most);

    // Up to the first entry of lane 0; from there sixteen at a time.
    first_lane %= 16;
    auto partial = V::splat(0.0f);
    i = 0;
    if (first_lane != 0) {
        i = count < 16 - first_lane ? count : 16 - first_lane;
        partial = softmax_some<V>(scores, largest, first_lane, i);
    }
    for (; i + 16 <= count; i += 16) {
        const auto e = exp_lanes<V>(V::sub(V::load(scores + i), largest));
        V::store(scores + i, e);
        partial = V::add(partial, e);
    }
    if (i < count) partial = V::add(partial, softmax_some<V>(scores + i, largest, 0, count - i));

    const auto sum = V::splat(V::sum(partial));
    for (i = 0; i + 16 <= count; i += 16) V::store(scores + i, V::div(V::load(scores + i), sum));
    if (i < count) V::store_some(scores + i, V::div(V::load_some(scores + i, count - i), sum), count - i);
}

}  // namespace linnet::generic
