#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/base/crc32c.h"
#include "tools/converter/quantize.h"

using namespace linnet;

namespace {

struct Random {
    uint64_t state;
    uint64_t next() {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    // Sum of twelve uniforms: close to a normal distribution, and the same on every machine.
    double normal() {
        double sum = -6;
        for (int i = 0; i < 12; ++i) sum += uniform();
        return sum;
    }
};

GroupWeights normal_group(uint32_t count, double spread, Random& random) {
    GroupWeights group;
    group.count = count;
    for (uint32_t i = 0; i < count; ++i) {
        for (float& weight : group.weights[i]) weight = static_cast<float>(random.normal() * spread);
    }
    return group;
}

// What is stored, compared with the weights, in double.
double stored_error(const GroupWeights& group, const QuantizedGroup& quantized, uint32_t lane) {
    double error = 0;
    for (uint32_t i = 0; i < group.count; ++i) {
        const double off = static_cast<double>(group.weights[i][lane]) -
                           static_cast<double>(half_to_float(quantized.scales[lane])) * quantized.values[i][lane];
        error += off * off * (group.importance != nullptr ? static_cast<double>(group.importance[i]) : 1.0);
    }
    return error;
}

// The best that any f16 scale gives, by trying all of a wide range.
double least_error(const GroupWeights& group, Levels levels, uint32_t lane) {
    double largest = 0, best = 0;
    for (uint32_t i = 0; i < group.count; ++i) {
        const double weight = static_cast<double>(group.weights[i][lane]);
        largest = std::fmax(largest, std::fabs(weight));
        best += weight * weight;
    }
    const uint16_t first = float_to_half(static_cast<float>(largest / 2 / static_cast<double>(levels.highest)));
    const uint16_t last = float_to_half(static_cast<float>(largest * 1.5 / static_cast<double>(levels.highest)));
    for (uint32_t half = first; half <= last; ++half) {
        for (double sign : {1.0, -1.0}) {
            const double scale = sign * static_cast<double>(half_to_float(static_cast<uint16_t>(half)));
            double error = 0;
            for (uint32_t i = 0; i < group.count; ++i) {
                const double weight = static_cast<double>(group.weights[i][lane]);
                const double level = std::fmax(static_cast<double>(levels.lowest),
                                               std::fmin(static_cast<double>(levels.highest), std::nearbyint(weight / scale)));
                error += (weight - scale * level) * (weight - scale * level);
            }
            best = std::fmin(best, error);
        }
    }
    return best;
}

void check_group(const GroupWeights& group, Levels levels) {
    QuantizedGroup searched, plain;
    quantize_group(group, levels, true, searched);
    quantize_group(group, levels, false, plain);
    for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
        CHECK(searched.error[lane] <= searched.rounding_error[lane]);
        CHECK(searched.rounding_error[lane] == plain.rounding_error[lane]);
        CHECK(plain.error[lane] == plain.rounding_error[lane]);
        CHECK((searched.scales[lane] & 0x7c00u) != 0x7c00u);
        CHECK((plain.scales[lane] & 0x7c00u) != 0x7c00u);
        for (const QuantizedGroup* quantized : {&searched, &plain}) {
            // At most 128 float additions of numbers of one sign, each term rounded three times: within 2e-5 of the sum. (The
            // differences that are squared lose at most what the sum of the squares times 2^-48 covers.)
            CHECK(std::fabs(stored_error(group, *quantized, lane) - static_cast<double>(quantized->error[lane])) <=
                  2e-5 * static_cast<double>(quantized->error[lane]) + 1e-13 * static_cast<double>(quantized->squares[lane]));
            for (uint32_t i = 0; i < group.count; ++i) {
                CHECK(static_cast<float>(quantized->values[i][lane]) >= levels.lowest);
                CHECK(static_cast<float>(quantized->values[i][lane]) <= levels.highest);
            }
        }
    }
}

}  // namespace

TEST_CASE("the search is never worse than plain rounding, and the error that it tells is that of what it stores") {
    Random random{1};
    for (Levels levels : {int4_levels, int8_levels}) {
        for (uint32_t count : {1u, 7u, 32u, 64u, 96u, 128u}) {
            // From subnormal scales up to the largest weights there are.
            for (double spread : {1e-9, 3e-7, 2e-5, 1e-3, 0.02, 1.0, 300.0, 30000.0}) {
                check_group(normal_group(count, spread, random), levels);
            }
        }
    }
}

TEST_CASE("groups with outliers, of one sign, constant, and with zeros") {
    Random random{2};
    for (Levels levels : {int4_levels, int8_levels}) {
        GroupWeights group = normal_group(64, 0.02, random);
        for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
            group.weights[random.next() % 64][lane] *= 50;  // an outlier
            for (uint32_t i = 0; i < 64; ++i) {
                float& weight = group.weights[i][lane];
                if (lane % 4 == 1) weight = std::fabs(weight);
                if (lane % 4 == 2) weight = -0.25f;
                if (lane % 4 == 3 && i % 3 != 0) weight = 0;
            }
        }
        check_group(group, levels);
        QuantizedGroup out;
        quantize_group(group, levels, true, out);
        // A constant needs one level: what is left is the rounding of its scale to f16, at most 2^-11 of it.
        CHECK(out.error[2] <= out.squares[2] * 0x1p-22f);
    }
}

TEST_CASE("the search saves a quarter of the squared error of int4 and comes close to the best possible") {
    Random random{3};
    double error = 0, rounding = 0, least = 0;
    for (int round = 0; round < 16; ++round) {
        const GroupWeights group = normal_group(32, 0.02, random);
        QuantizedGroup out;
        quantize_group(group, int4_levels, true, out);
        for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
            error += static_cast<double>(out.error[lane]);
            rounding += static_cast<double>(out.rounding_error[lane]);
            least += least_error(group, int4_levels, lane);
        }
    }
    // Measured: 0.70 of plain rounding's, 1.001 of the least.
    CHECK(error < 0.75 * rounding);
    CHECK(error < 1.01 * least);
    CHECK(error > 0.9999 * least);
}

TEST_CASE("int8: some of the squared error is saved") {
    Random random{4};
    double error = 0, rounding = 0;
    for (int round = 0; round < 16; ++round) {
        QuantizedGroup out;
        quantize_group(normal_group(32, 0.02, random), int8_levels, true, out);
        for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
            error += static_cast<double>(out.error[lane]);
            rounding += static_cast<double>(out.rounding_error[lane]);
        }
    }
    CHECK(error < 0.88 * rounding);  // measured: 0.80
}

TEST_CASE("weights that int4 holds exactly come out exactly, with a scale of either sign") {
    Random random{5};
    for (float sign : {1.0f, -1.0f}) {
        GroupWeights group;
        group.count = 32;
        float scales[rows_in_block];
        for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
            scales[lane] = sign * half_to_float(float_to_half(static_cast<float>(0.001 + random.uniform())));
            for (uint32_t i = 0; i < 32; ++i) {
                const int32_t level = i == lane ? -8 : static_cast<int32_t>(random.next() % 16) - 8;
                group.weights[i][lane] = scales[lane] * static_cast<float>(level);
            }
        }
        QuantizedGroup out;
        quantize_group(group, int4_levels, true, out);
        for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
            CHECK(out.error[lane] == 0.0f);
            CHECK(half_to_float(out.scales[lane]) == scales[lane]);
        }
    }
}

TEST_CASE("weights that had 2 bits before, three magnitudes a group, find the scale that hits those") {
    Random random{9};
    GroupWeights group;
    group.count = 32;
    for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
        const float scale = static_cast<float>(0.001 + random.uniform());
        for (uint32_t i = 0; i < 32; ++i) {
            // IQ2_XXS's, which are close to 1, 3 and 5.
            constexpr float magnitudes[] = {43, 25, 8, 8, 8, 8, 8, 25};
            const float magnitude = magnitudes[i < 3 ? i : random.next() % 8];
            group.weights[i][lane] = scale * (random.next() % 2 == 0 ? magnitude : -magnitude);
        }
    }
    QuantizedGroup out;
    quantize_group(group, int4_levels, true, out);
    for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
        // Relative to the weights' root mean square.
        CHECK(out.error[lane] < 0.03f * 0.03f * out.squares[lane]);
        CHECK(out.rounding_error[lane] > 0.04f * 0.04f * out.squares[lane]);
    }
}

TEST_CASE("zeros, weights too small for any scale, and the largest there may be") {
    for (Levels levels : {int4_levels, int8_levels}) {
        GroupWeights group{};
        group.count = 32;
        const float limit = largest_weight(levels);
        for (uint32_t i = 0; i < 32; ++i) {
            group.weights[i][1] = 1e-12f;
            group.weights[i][2] = i % 2 == 0 ? limit : -limit;
            group.weights[i][3] = i == 0 ? 0x1p-24f * levels.highest : 0x1p-24f;  // the smallest scale
            group.weights[i][4] = i == 0 ? -limit : 1.0f;
        }
        check_group(group, levels);
        QuantizedGroup out;
        quantize_group(group, levels, true, out);
        for (uint32_t lane : {0u, 1u}) {
            CHECK(out.scales[lane] == 0);
            for (uint32_t i = 0; i < 32; ++i) CHECK(out.values[i][lane] == 0);
        }
        CHECK(out.error[2] == 0.0f);
        CHECK(out.error[3] == 0.0f);
    }
}

TEST_CASE("a column's importance draws the error away from it") {
    Random random{6};
    double plain_cost = 0, weighted_cost = 0;
    for (int round = 0; round < 16; ++round) {
        GroupWeights group = normal_group(64, 0.02, random);
        float importance[64];
        for (uint32_t i = 0; i < 64; ++i) importance[i] = i % 8 == 0 ? 100.0f : 1.0f;
        QuantizedGroup uniform, weighted;
        quantize_group(group, int4_levels, true, uniform);
        group.importance = importance;
        quantize_group(group, int4_levels, true, weighted);
        check_group(group, int4_levels);
        for (uint32_t lane = 0; lane < rows_in_block; ++lane) {
            plain_cost += stored_error(group, uniform, lane);
            weighted_cost += stored_error(group, weighted, lane);
        }
    }
    CHECK(weighted_cost < 0.9 * plain_cost);
    // Columns of no importance at all.
    GroupWeights group = normal_group(32, 1, random);
    const float nothing[32] = {};
    group.importance = nothing;
    check_group(group, int4_levels);
}

TEST_CASE("a row's result does not depend on the lane that it stands in, nor on its neighbours") {
    Random random{7};
    const GroupWeights group = normal_group(64, 0.02, random);
    GroupWeights turned{};
    turned.count = 64;
    for (uint32_t i = 0; i < 64; ++i) {
        for (uint32_t lane = 0; lane < rows_in_block; lane += 3) turned.weights[i][(lane + 5) % 16] = group.weights[i][lane];
    }
    QuantizedGroup a, b;
    quantize_group(group, int4_levels, true, a);
    quantize_group(turned, int4_levels, true, b);
    for (uint32_t lane = 0; lane < rows_in_block; lane += 3) {
        const uint32_t other = (lane + 5) % 16;
        CHECK(a.scales[lane] == b.scales[other]);
        CHECK(a.error[lane] == b.error[other]);
        for (uint32_t i = 0; i < 64; ++i) CHECK(a.values[i][lane] == b.values[i][other]);
    }
}

TEST_CASE("the same bytes from every compiler and machine") {
    Random random{8};
    float importance[largest_group];
    for (uint32_t i = 0; i < largest_group; ++i) importance[i] = 1.0f / static_cast<float>(1 + i * 7 % 128);
    uint32_t crc = 0, weighted_crc = 0;
    const auto sum = [](uint32_t before, const QuantizedGroup& out, uint32_t count) {
        before = crc32c(before, out.values, count * sizeof out.values[0]);
        before = crc32c(before, out.scales, sizeof out.scales);
        return crc32c(before, out.error, sizeof out.error);
    };
    for (Levels levels : {int4_levels, int8_levels}) {
        for (uint32_t count : {32u, 64u, 128u}) {
            for (double spread : {1e-7, 0.02, 5.0}) {
                QuantizedGroup out;
                GroupWeights group = normal_group(count, spread, random);
                quantize_group(group, levels, true, out);
                crc = sum(crc, out, count);
                group.importance = importance;
                quantize_group(group, levels, true, out);
                weighted_crc = sum(weighted_crc, out, count);
            }
        }
    }
    CHECK(crc == 0xce175cfdu);
    CHECK(weighted_crc == 0xf02f25aeu);
}
