#include "tools/converter/quantize.h"

#include <initializer_list>

namespace linnet {

namespace {

// Four rows in one vector, two of those at a time: what SSE2, NEON and WASM SIMD128 hold, with room for the sums.
using Float4 = float __attribute__((vector_size(16)));
constexpr uint32_t vectors = 2;
constexpr uint32_t lanes = 4 * vectors;
static_assert(rows_in_block % lanes == 0);

Float4 splat(float value) { return Float4{value, value, value, value}; }
Float4 lesser(Float4 a, Float4 b) { return a < b ? a : b; }
Float4 greater(Float4 a, Float4 b) { return a > b ? a : b; }

// Adding and taking away 1.5 * 2^23 rounds to an integer, ties to even: the same instruction everywhere.
constexpr float rounding_constant = 12582912.0f;
Float4 levels_near(Float4 weight, Float4 inverse, Levels levels) {
    const Float4 clamped = greater(lesser(weight * inverse, splat(levels.highest)), splat(levels.lowest));
    return (clamped + splat(rounding_constant)) - splat(rounding_constant);
}

struct Lanes {
    Float4 v[vectors];
    float& operator[](uint32_t lane) { return reinterpret_cast<float*>(v)[lane]; }
    float operator[](uint32_t lane) const { return reinterpret_cast<const float*>(v)[lane]; }
};

struct Sums {
    Lanes weight_level{};  // sum of weight * level
    Lanes level_level{};   // sum of level^2
    Lanes error{};         // sum of (weight - scale * level)^2
};

// The lanes [first_lane, first_lane + lanes) of a group.
template <bool weighted>
class Search {
public:
    Search(const GroupWeights& group, uint32_t first_lane, Levels levels)
        : group_(group), first_lane_(first_lane), levels_(levels) {}

    void run(bool search, QuantizedGroup& out) {
        measure(out);
        Sums sums;
        // Plain rounding.
        for (uint32_t i = 0; i < lanes; ++i) {
            const float scale = largest_[i] / levels_.highest;
            halves_[i] = best_[i] = float_to_half(scale > largest_half ? largest_half : scale);
        }
        evaluate(sums);
        best_error_ = sums.error;
        for (uint32_t i = 0; i < lanes; ++i) out.rounding_error[first_lane_ + i] = sums.error[i];
        if (search) improve();
        halves_to_scales(best_);
        for (uint32_t column = 0; column < group_.count; ++column) {
            for (uint32_t v = 0; v < vectors; ++v) {
                const Float4 level = levels_near(weight(column, v), inverse_.v[v], levels_);
                for (uint32_t i = 0; i < 4; ++i) {
                    out.values[column][first_lane_ + 4 * v + i] = static_cast<int8_t>(static_cast<int32_t>(level[i]));
                }
            }
        }
        for (uint32_t i = 0; i < lanes; ++i) {
            out.scales[first_lane_ + i] = best_[i];
            out.error[first_lane_ + i] = best_error_[i];
        }
    }

private:
    const GroupWeights& group_;
    const uint32_t first_lane_;
    const Levels levels_;
    Lanes largest_{};             // max |weight|
    Lanes extreme_{};             // the weight that it belongs to, with its sign
    Lanes scales_{}, inverse_{};  // of the scales under trial
    uint16_t halves_[lanes]{};
    uint16_t best_[lanes]{};
    Lanes best_error_{};

    Float4 weight(uint32_t column, uint32_t v) const { return load<Float4>(group_.weights[column] + first_lane_ + 4 * v); }

    void measure(QuantizedGroup& out) {
        Lanes squares{};
        for (uint32_t column = 0; column < group_.count; ++column) {
            for (uint32_t i = 0; i < lanes; ++i) {
                const float value = group_.weights[column][first_lane_ + i];
                const float magnitude = value < 0 ? -value : value;
                squares[i] += weighted ? value * value * group_.importance[column] : value * value;
                if (magnitude > largest_[i]) {
                    largest_[i] = magnitude;
                    extreme_[i] = value;
                }
            }
        }
        for (uint32_t i = 0; i < lanes; ++i) out.squares[first_lane_ + i] = squares[i];
    }

    void halves_to_scales(const uint16_t* halves) {
        for (uint32_t i = 0; i < lanes; ++i) {
            const float scale = half_to_float(halves[i]);
            scales_[i] = scale;
            inverse_[i] = scale == 0 ? 0 : 1 / scale;
        }
    }

    // The squared error with the scales in halves_, and the sums that give the best scale for the same levels.
    void evaluate(Sums& sums) {
        halves_to_scales(halves_);
        sums = {};
        for (uint32_t column = 0; column < group_.count; ++column) {
            for (uint32_t v = 0; v < vectors; ++v) {
                const Float4 w = weight(column, v);
                const Float4 level = levels_near(w, inverse_.v[v], levels_);
                const Float4 off = w - scales_.v[v] * level;
                if constexpr (weighted) {
                    const Float4 importance = splat(group_.importance[column]);
                    sums.error.v[v] += off * off * importance;
                    sums.weight_level.v[v] += w * level * importance;
                    sums.level_level.v[v] += level * level * importance;
                } else {
                    sums.error.v[v] += off * off;
                    sums.weight_level.v[v] += w * level;
                    sums.level_level.v[v] += level * level;
                }
            }
        }
    }

    // The same sums for the levels that inverse_ gives, without an error: what is left of it after the best scale for these
    // levels is sum(w^2) - sum(w q)^2 / sum(q^2).
    void correlate(Sums& sums) const {
        Float4 weight_level[vectors] = {}, level_level[vectors] = {};
        for (uint32_t column = 0; column < group_.count; ++column) {
            for (uint32_t v = 0; v < vectors; ++v) {
                const Float4 w = weight(column, v);
                const Float4 level = levels_near(w, inverse_.v[v], levels_);
                if constexpr (weighted) {
                    const Float4 importance = splat(group_.importance[column]);
                    weight_level[v] += w * level * importance;
                    level_level[v] += level * level * importance;
                } else {
                    weight_level[v] += w * level;
                    level_level[v] += level * level;
                }
            }
        }
        for (uint32_t v = 0; v < vectors; ++v) {
            sums.weight_level.v[v] = weight_level[v];
            sums.level_level.v[v] = level_level[v];
        }
    }

    // Tries the scales in halves_ and keeps those that are better.
    void attempt(Sums& sums) {
        evaluate(sums);
        for (uint32_t i = 0; i < lanes; ++i) {
            if ((halves_[i] & 0x7fffu) < 0x7c00u && sums.error[i] < best_error_[i]) {
                best_error_[i] = sums.error[i];
                best_[i] = halves_[i];
            }
        }
    }

    void improve() {
        Lanes best_score{}, best_scale{};
        Sums sums;
        const auto candidate = [&](float level_of_extreme) {
            for (uint32_t i = 0; i < lanes; ++i) inverse_[i] = extreme_[i] == 0 ? 0 : level_of_extreme / extreme_[i];
            correlate(sums);
            for (uint32_t i = 0; i < lanes; ++i) {
                if (!(sums.level_level[i] > 0)) continue;
                const float scale = sums.weight_level[i] / sums.level_level[i];
                const float score = sums.weight_level[i] * scale;
                if (score > best_score[i]) {
                    best_score[i] = score;
                    best_scale[i] = scale;
                }
            }
        };
        // Where the weight furthest from zero shall fall, in levels: at the end of them, some way inside, or clipped. With int4 the
        // scale has either sign. (Against a hundred times as many candidates this loses less than 0.1 % of the error.)
        if (levels_.highest == int4_levels.highest) {
            // Weights that were at 2 or 3 bits before are few values a group: a scale that hits those leaves levels unused.
            for (int step = 0; step < 7; ++step) candidate(3.0f + 0.5f * static_cast<float>(step));
            for (int step = -3; step <= 7; ++step) {
                const float beyond = 0.25f * static_cast<float>(step);
                candidate(levels_.lowest - beyond);
                candidate(levels_.highest + beyond);
            }
        } else {
            for (int step = 0; step < 12; ++step) candidate(levels_.highest - 0.75f * static_cast<float>(step));
        }
        // Least squares and rounding in turn, with the scale as it will be stored.
        for (int step = 0; step < 2; ++step) {
            for (uint32_t i = 0; i < lanes; ++i) halves_[i] = float_to_half(best_scale[i]);
            attempt(sums);
            for (uint32_t i = 0; i < lanes; ++i) {
                if (sums.level_level[i] > 0) best_scale[i] = sums.weight_level[i] / sums.level_level[i];
            }
        }
        // The neighbours in f16: they matter where the scale is subnormal and its steps are coarse.
        uint16_t centre[lanes];
        memcpy(centre, best_, sizeof centre);
        for (int step : {1, -1}) {
            for (uint32_t i = 0; i < lanes; ++i) {
                halves_[i] = (centre[i] & 0x7fffu) == 0 && step < 0 ? centre[i] : static_cast<uint16_t>(centre[i] + step);
            }
            attempt(sums);
        }
    }
};

template <bool weighted>
void quantize(const GroupWeights& group, Levels levels, bool search, QuantizedGroup& out) {
    for (uint32_t lane = 0; lane < rows_in_block; lane += lanes) Search<weighted>(group, lane, levels).run(search, out);
}

}  // namespace

void quantize_group(const GroupWeights& group, Levels levels, bool search, QuantizedGroup& out) {
    if (group.importance != nullptr) {
        quantize<true>(group, levels, search, out);
    } else {
        quantize<false>(group, levels, search, out);
    }
}

}  // namespace linnet
