// The kernels over one vector, of every table, against the scalar ones: ==, raw bits; and the scalar ones against double
// precision, with the error that float arithmetic explains.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "core/kernels/scalar/scalar.h"
#include "tests/unit/kernels_reference.h"

using namespace linnet;
using namespace kernel_tests;

namespace {

// A length with odd tails, sometimes none.
uint32_t random_count(Numbers& numbers) {
    switch (numbers.below(4)) {
        case 0: return 1 + numbers.below(40);
        case 1: return 32 * (1 + numbers.below(20));
        case 2: return 1 + numbers.below(600);
        default: return 2048;
    }
}

struct Quantised {
    Buffer<int8_t> values;
    Buffer<float> scales;
    Buffer<int32_t> sums;
    explicit Quantised(uint32_t count)
        : values(padded_columns(count)), scales(padded_columns(count) / 32), sums(padded_columns(count) / 32) {}
    bool operator==(const Quantised& other) const {
        return values == other.values && scales == other.scales && sums == other.sums;
    }
};

Quantised quantised(const KernelTable& table, const Buffer<float>& x) {
    const uint32_t count = static_cast<uint32_t>(x.size());
    Quantised result(count);
    table.quantize(x.data(), count, result.values.data(), result.scales.data(), result.sums.data());
    REQUIRE(result.values.intact());
    REQUIRE(result.scales.intact());
    REQUIRE(result.sums.intact());
    return result;
}

double ulp_of(double value) {
    const float rounded = static_cast<float>(std::fabs(value));
    return static_cast<double>(std::nextafter(rounded, std::numeric_limits<float>::infinity())) - static_cast<double>(rounded);
}

// Equal bits, or both NaN: the payload of a NaN is the compiler's choice.
bool same_or_nan(const Buffer<float>& a, const Buffer<float>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
        if (std::isnan(a[i]) && std::isnan(b[i])) continue;
        if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("elementwise kernels: every table gives the scalar one's bits") {
    Numbers numbers(3);
    const auto tables = runnable_tables();
    const KernelTable& scalar = *tables[0];
    Hash hash;
    for (int round = 0; round < 2000; ++round) {
        const uint32_t count = random_count(numbers);
        const Spread spread = spreads[numbers.below(7)];
        const Buffer<float> x = random_floats(numbers, count, spread);
        const Buffer<float> y = random_floats(numbers, count, spreads[numbers.below(7)]);
        const uint32_t rotary = 2 * (1 + numbers.below(count < 512 ? (count + 1) / 2 : 256));
        const Buffer<float> head = random_floats(numbers, rotary, spread);
        const Buffer<float> cosine = random_floats(numbers, rotary / 2, Spread::usual);
        const Buffer<float> sine = random_floats(numbers, rotary / 2, Spread::usual);
        const uint32_t lane = numbers.below(32);
        CAPTURE(round);
        CAPTURE(count);
        CAPTURE(rotary);
        CAPTURE(lane);
        std::vector<Buffer<float>> expected;
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            std::vector<Buffer<float>> results;
            Buffer<float> normed(count);
            table->rms_norm(x.data(), y.data(), 1e-5f, count, normed.data());
            results.push_back(normed);
            Buffer<float> sum = x;
            table->add(sum.data(), y.data(), count);
            results.push_back(sum);
            Buffer<float> gated(count);
            table->swiglu(x.data(), y.data(), count, gated.data());
            results.push_back(gated);
            Buffer<float> turned = head;
            table->rope(turned.data(), cosine.data(), sine.data(), rotary);
            results.push_back(turned);
            Buffer<float> probabilities = x;
            table->softmax(probabilities.data(), lane, count);
            results.push_back(probabilities);
            const Quantised q = quantised(*table, x);
            const bool first = table == &scalar;
            if (first) {
                for (const Buffer<float>& result : results) hash.add(result);
                hash.add(q.values);
                hash.add(q.scales);
                hash.add(q.sums);
                expected = results;
            }
            for (size_t i = 0; i < results.size(); ++i) {
                CAPTURE(i);
                REQUIRE(results[i].intact());
                REQUIRE(same_or_nan(results[i], expected[i]));
                // A product of two huge numbers may overflow; nothing else here makes a NaN.
                if (spread != Spread::huge && i != 1 && i != 2) REQUIRE(results[i] == expected[i]);
            }
            REQUIRE(q == quantised(scalar, x));
        }
    }
    std::printf("elementwise: hash of all results %016llx\n", static_cast<unsigned long long>(hash.value()));
    // The same on every machine and with every compiler; another value is another specification.
    CHECK(hash.value() == 0x5d9a8cc01d934e3aull);
}

TEST_CASE("quantisers: within half a step, sums right, and the odd inputs as lanes.h says") {
    Numbers numbers(4);
    for (const KernelTable* table : runnable_tables()) {
        CAPTURE(table->name);
        for (int round = 0; round < 300; ++round) {
            const Buffer<float> x = random_floats(numbers, random_count(numbers), spreads[numbers.below(7)]);
            const Quantised q = quantised(*table, x);
            for (size_t block = 0; block < q.scales.size(); ++block) {
                int32_t sum = 0;
                for (size_t i = block * 32; i < block * 32 + 32; ++i) {
                    sum += q.values[i];
                    REQUIRE(q.values[i] != -128);
                    if (i >= x.size()) {
                        REQUIRE(q.values[i] == 0);
                        continue;
                    }
                    const double scale = static_cast<double>(q.scales[block]);
                    const double error = std::fabs(static_cast<double>(x[i]) - scale * q.values[i]);
                    // Half a step, and the rounding of scale and product; below 2^-100 everything is zero.
                    REQUIRE(error <= scale * 0.50002 + 0x1p-100);
                }
                REQUIRE(q.sums[block] == sum);
            }
        }
        const float inf = std::numeric_limits<float>::infinity();
        const float nan = std::numeric_limits<float>::quiet_NaN();
        for (const float odd : {inf, -inf, nan}) {
            Buffer<float> x(40);
            for (size_t i = 0; i < 40; ++i) x[i] = 1.0f;
            x[35] = odd;
            const Quantised q = quantised(*table, x);
            CHECK(q.values[0] == 127);
            CHECK(q.sums[0] == 127 * 32);
            CHECK_FALSE(std::isfinite(q.scales[1]));
            CHECK(q.sums[1] == 0);
            int16_t wide[40];
            int8_t narrow[40];
            float wide_scale = 0, narrow_scale = 0;
            table->quantize_query(x.data(), 40, wide, &wide_scale);
            table->quantize_head(x.data(), 40, narrow, &narrow_scale);
            CHECK(wide[0] == 0);
            CHECK(narrow[39] == 0);
            CHECK_FALSE(std::isfinite(wide_scale));
            CHECK_FALSE(std::isfinite(narrow_scale));
        }
        // Ties go to even: the scale is exactly 1.
        Buffer<float> x(32);
        x[0] = 127.0f;
        x[1] = 0.5f;
        x[2] = 1.5f;
        x[3] = -2.5f;
        const Quantised q = quantised(*table, x);
        CHECK(q.values[0] == 127);
        CHECK(q.values[1] == 0);
        CHECK(q.values[2] == 2);
        CHECK(q.values[3] == -2);
    }
}

TEST_CASE("NaN and infinity come out the same from every table") {
    Numbers numbers(5);
    const auto tables = runnable_tables();
    const float inf = std::numeric_limits<float>::infinity();
    const float odd[] = {inf, -inf, std::numeric_limits<float>::quiet_NaN(), 3.4e38f, -3.4e38f, 1e-45f};
    for (int round = 0; round < 300; ++round) {
        const uint32_t count = random_count(numbers);
        Buffer<float> x = random_floats(numbers, count, Spread::usual);
        for (int i = 0; i < 3; ++i) x[numbers.below(count)] = odd[numbers.below(6)];
        Buffer<float> expected[3] = {Buffer<float>(count), Buffer<float>(count), x};
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            Buffer<float> results[3] = {Buffer<float>(count), Buffer<float>(count), x};
            table->rms_norm(x.data(), x.data(), 1e-5f, count, results[0].data());
            table->swiglu(x.data(), x.data(), count, results[1].data());
            table->softmax(results[2].data(), 3, count);
            for (int i = 0; i < 3; ++i) {
                if (table == tables[0]) expected[i] = results[i];
                REQUIRE(same_or_nan(results[i], expected[i]));
            }
        }
    }
}

TEST_CASE("exp: at most one unit in the last place off, everywhere") {
    double worst = 0;
    Numbers numbers(6);
    for (int i = 0; i < 2000000; ++i) {
        // Over the whole range, and once more near zero.
        const float x = i % 2 == 0 ? -87.33f + 175.7f * (numbers.unit() * 0.5f + 0.5f) : numbers.unit();
        const double right = std::exp(static_cast<double>(x));
        worst = std::fmax(worst, std::fabs(static_cast<double>(scalar::exp_float(x)) - right) / ulp_of(right));
    }
    std::printf("exp: at most %.3f ulp off\n", worst);
    CHECK(worst <= 1.0);
    CHECK(scalar::exp_float(0.0f) == 1.0f);
    CHECK(scalar::exp_float(-0.0f) == 1.0f);
    CHECK(scalar::exp_float(-87.4f) == 0.0f);
    CHECK(scalar::exp_float(-std::numeric_limits<float>::infinity()) == 0.0f);
    CHECK(scalar::exp_float(-3e38f) == 0.0f);
    CHECK(scalar::exp_float(1000.0f) == scalar::exp_float(88.3762589f));
    CHECK(std::isfinite(scalar::exp_float(3e38f)));
    CHECK(std::isnan(scalar::exp_float(std::numeric_limits<float>::quiet_NaN())));
    for (float x = -87.0f; x < 88.0f; x += 0.001f) REQUIRE(scalar::exp_float(x) <= scalar::exp_float(x + 0.001f));
}

TEST_CASE("the scalar elementwise kernels are what their comments say") {
    Numbers numbers(7);
    for (int round = 0; round < 200; ++round) {
        const uint32_t count = random_count(numbers);
        const Buffer<float> x = random_floats(numbers, count, Spread::usual);
        const Buffer<float> weight = random_floats(numbers, count, Spread::usual);
        double squares = 0;
        for (uint32_t i = 0; i < count; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        const double factor = 1.0 / std::sqrt(squares / count + static_cast<double>(1e-5f));
        Buffer<float> out(count);
        scalar::rms_norm(x.data(), weight.data(), 1e-5f, count, out.data());
        for (uint32_t i = 0; i < count; ++i) {
            const double right = static_cast<double>(x[i]) * factor * static_cast<double>(weight[i]);
            // A sum of 128 squares a lane, then some ten roundings.
            REQUIRE(std::fabs(static_cast<double>(out[i]) - right) <= 150 * 0x1p-24 * std::fabs(right));
        }

        scalar::swiglu(x.data(), weight.data(), count, out.data());
        for (uint32_t i = 0; i < count; ++i) {
            const double gate = static_cast<double>(x[i]);
            const double right = gate / (1.0 + std::exp(-gate)) * static_cast<double>(weight[i]);
            REQUIRE(std::fabs(static_cast<double>(out[i]) - right) <= 6 * 0x1p-24 * std::fabs(right));
        }

        Buffer<float> p(count);
        double total = 0, sum = 0, most = -1e30;
        for (uint32_t i = 0; i < count; ++i) {
            p[i] = x[i] * 5.0f;
            most = std::fmax(most, static_cast<double>(p[i]));
        }
        std::vector<double> right(count);
        for (uint32_t i = 0; i < count; ++i) total += right[i] = std::exp(static_cast<double>(p[i]) - most);
        scalar::softmax(p.data(), round % 16, count);
        for (uint32_t i = 0; i < count; ++i) {
            // The difference to the largest is rounded: 40 * 2^-24 at most, then exp, sum and division.
            REQUIRE(std::fabs(static_cast<double>(p[i]) - right[i] / total) <= 250 * 0x1p-24 * right[i] / total);
            sum += static_cast<double>(p[i]);
        }
        REQUIRE(std::fabs(sum - 1.0) <= 1e-5);
    }
    float head[6] = {1, 2, 3, 4, 5, 6};  // two dims beyond the rotary ones stay
    const float cosine[2] = {0.6f, 1.0f};
    const float sine[2] = {0.8f, 0.0f};
    scalar::rope(head, cosine, sine, 4);
    CHECK(head[0] == doctest::Approx(1 * 0.6 - 3 * 0.8));
    CHECK(head[1] == 2.0f);
    CHECK(head[2] == doctest::Approx(3 * 0.6 + 1 * 0.8));
    CHECK(head[3] == 4.0f);
    CHECK(head[4] == 5.0f);
}

TEST_CASE("softmax does not depend on where a ring of positions begins, but for the lanes") {
    // The same entries with the same lanes, once whole and once after a rotation by a multiple of 16: the same sum.
    Numbers numbers(8);
    const Buffer<float> x = random_floats(numbers, 64, Spread::usual);
    for (const KernelTable* table : runnable_tables()) {
        Buffer<float> a = x;
        Buffer<float> b = x;
        table->softmax(a.data(), 5, 64);
        table->softmax(b.data(), 5 + 16, 64);
        CHECK(a == b);
        float none = 1.0f;
        table->softmax(&none, 0, 0);
        CHECK(none == 1.0f);
        table->softmax(&none, 15, 1);
        CHECK(none == 1.0f);
    }
}
