// The kernels of the int4 KV cache: every table against the scalar one (==, raw bits), and the scalar one against what it is
// said to be, in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/kernels/lanes.h"
#include "tests/unit/kernels_reference.h"

using namespace linnet;
using namespace kernel_tests;

namespace {

// The level of dimension d and its scale, read as kernels.h describes the bytes.
double level_at(const uint8_t* values, uint32_t dim, uint32_t d) {
    return kv_levels[d < dim / 2 ? values[d] % 16 : values[d - dim / 2] / 16];
}

double scale_at(uint32_t scales, uint32_t dim, uint32_t d) {
    return static_cast<double>(std::bit_cast<float>(d < dim / 2 ? scales << 16 : scales & 0xffff0000u));
}

// One head's query and a cache of `count` positions: random indices, or all of them an extreme one.
struct Head {
    uint32_t dim, count;
    size_t stride, scale_stride;
    Buffer<float> q, probabilities, start;
    Buffer<uint32_t> scales;
    Buffer<uint8_t> cached;
    Buffer<int16_t> query;
    float query_scale = 0;

    Head(Numbers& numbers, uint32_t head_dim, uint32_t positions, Spread spread)
        : dim(head_dim),
          count(positions),
          stride(head_dim / 2 + (numbers.below(2) == 0 ? 0 : numbers.below(40))),
          scale_stride(1 + numbers.below(3)),
          q(random_floats(numbers, dim, spread)),
          probabilities(random_floats(numbers, count, Spread::usual)),
          start(random_floats(numbers, dim, Spread::usual)),
          scales((count - 1) * scale_stride + 1),
          cached((count - 1) * stride + dim / 2),
          query(dim) {
        const uint32_t kind = numbers.below(6);
        for (size_t i = 0; i < cached.size(); ++i) {
            cached[i] = static_cast<uint8_t>(kind == 0 ? 0xff : kind == 1 ? 0 : numbers.below(256));
        }
        for (size_t i = 0; i < scales.size(); ++i)
            scales[i] = std::bit_cast<uint32_t>(numbers.unit()) >> 16 | (std::bit_cast<uint32_t>(numbers.unit()) & 0xffff0000u);
        select_kernels("scalar")->quantize_query(q.data(), dim, query.data(), &query_scale);
        if (kind < 2) {
            for (size_t i = 0; i < query.size(); ++i) query[i] = 32767;
        }
    }
    AttentionQuery ask(float scale, float* to, float* out) const { return {q.data(), query.data(), scale, to, out}; }
    Buffer<float> scores(const KernelTable& table) const {
        Buffer<float> result(count);
        const AttentionQuery one = ask(query_scale, result.data(), nullptr);
        table.attention_scores_int4(&one, 1, cached.data(), stride, scales.data(), scale_stride, dim, count);
        return result;
    }
    Buffer<float> output(const KernelTable& table) const {
        Buffer<float> result = start;
        Buffer<float> weights = probabilities;
        const AttentionQuery one = ask(0, weights.data(), result.data());
        table.attention_output_int4(&one, 1, cached.data(), stride, scales.data(), scale_stride, dim, count);
        return result;
    }
};

struct Quantised {
    Buffer<uint8_t> values;
    uint32_t scales = 0;
};

Quantised quantise(const KernelTable& table, const Buffer<float>& x) {
    Quantised result{Buffer<uint8_t>(x.size() / 2)};
    table.quantize_head_int4(x.data(), static_cast<uint32_t>(x.size()), result.values.data(), &result.scales);
    return result;
}

Buffer<float> rotated(const KernelTable& table, Buffer<float> x) {
    table.rotate(x.data(), static_cast<uint32_t>(x.size()));
    return x;
}

}  // namespace

TEST_CASE("int4 cache kernels: every table gives the scalar one's bits") {
    Numbers numbers(20);
    const auto tables = runnable_tables();
    Hash hash;
    for (uint32_t dim = 2; dim <= 512; dim += dim < 140 ? 2 : 2 + 2 * numbers.below(7)) {
        const uint32_t count = 1 + numbers.below(numbers.below(2) == 0 ? 4 : 60);
        const Spread spread = spreads[numbers.below(7)];
        const Head head(numbers, dim, count, spread == Spread::huge ? Spread::usual : spread);  // products would overflow
        const Buffer<float> x = random_floats(numbers, dim, spread);
        CAPTURE(dim);
        CAPTURE(count);
        const Buffer<float> scores = head.scores(*tables[0]);
        const Buffer<float> output = head.output(*tables[0]);
        const Buffer<float> turned = rotated(*tables[0], x);
        const Quantised values = quantise(*tables[0], turned);
        hash.add(scores);
        hash.add(output);
        hash.add(turned);
        hash.add(values.values);
        hash.add(&values.scales, sizeof values.scales);
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            const Buffer<float> other_scores = head.scores(*table);
            REQUIRE(other_scores == scores);
            REQUIRE(other_scores.intact());
            const Buffer<float> other_output = head.output(*table);
            REQUIRE(other_output == output);
            REQUIRE(other_output.intact());
            const Buffer<float> other_turned = rotated(*table, x);
            REQUIRE(other_turned == turned);
            REQUIRE(other_turned.intact());
            const Quantised other_values = quantise(*table, turned);
            REQUIRE(other_values.values == values.values);
            REQUIRE(other_values.values.intact());
            REQUIRE(other_values.scales == values.scales);
        }
    }
    std::printf("int4 cache: hash of all results %016llx\n", static_cast<unsigned long long>(hash.value()));
    // The same on every machine and with every compiler; another value is another specification.
    CHECK(hash.value() == 0x84a22dadac8af3cbull);
}

TEST_CASE("int4 cache kernels: positions in two calls give the same as in one") {
    Numbers numbers(21);
    const Head head(numbers, 96, 40, Spread::usual);
    for (const KernelTable* table : runnable_tables()) {
        for (uint32_t split : {1u, 7u, 8u, 33u}) {
            Buffer<float> out = head.start;
            Buffer<float> weights = head.probabilities;
            Buffer<float> scores(40);
            for (const auto& [from, count] : {std::pair{0u, split}, std::pair{split, 40 - split}}) {
                const uint8_t* rows = head.cached.data() + from * head.stride;
                const uint32_t* scales = head.scales.data() + from * head.scale_stride;
                const AttentionQuery sum = head.ask(0, weights.data() + from, out.data());
                table->attention_output_int4(&sum, 1, rows, head.stride, scales, head.scale_stride, 96, count);
                const AttentionQuery dot = head.ask(head.query_scale, scores.data() + from, nullptr);
                table->attention_scores_int4(&dot, 1, rows, head.stride, scales, head.scale_stride, 96, count);
            }
            CHECK(out == head.output(*table));
            CHECK(scores == head.scores(*table));
        }
    }
}

TEST_CASE("int4 cache kernels: each of several queries gets what the scalar kernels give it alone") {
    Numbers numbers(25);
    const auto tables = runnable_tables();
    for (int round = 0; round < 120; ++round) {
        const uint32_t dim = round % 3 == 0 ? 32 * (1 + numbers.below(8)) : 2 + 2 * numbers.below(100);
        const uint32_t positions = 1 + numbers.below(round % 2 == 0 ? 20 : 200);
        const uint32_t count = 1 + numbers.below(most_attention_queries);
        CAPTURE(dim);
        CAPTURE(positions);
        CAPTURE(count);
        const Head cache(numbers, dim, positions, Spread::usual);
        std::vector<Head> heads;  // of each, what is a query's: the keys are the cache's
        for (uint32_t n = 0; n < count; ++n) heads.emplace_back(numbers, dim, positions, spreads[2 + numbers.below(5)]);
        const auto run = [&](const KernelTable& table, uint32_t at_once) {
            std::vector<Buffer<float>> results;
            std::vector<AttentionQuery> dots, sums;
            for (const Head& head : heads) {
                results.emplace_back(positions);
                results.push_back(head.start);
                results.push_back(head.probabilities);
            }
            for (uint32_t n = 0; n < count; ++n) {
                Buffer<float>* const of = results.data() + size_t{n} * 3;
                dots.push_back(heads[n].ask(heads[n].query_scale, of[0].data(), nullptr));
                sums.push_back(heads[n].ask(0, of[2].data(), of[1].data()));
            }
            for (uint32_t n = 0; n < count; n += at_once) {
                const uint32_t some = at_once < count - n ? at_once : count - n;
                const uint32_t* scales = cache.scales.data();
                table.attention_scores_int4(&dots[n], some, cache.cached.data(), cache.stride, scales, cache.scale_stride, dim,
                                            positions);
                table.attention_output_int4(&sums[n], some, cache.cached.data(), cache.stride, scales, cache.scale_stride, dim,
                                            positions);
            }
            return results;
        };
        const auto expected = run(*tables[0], 1);
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            const auto results = run(*table, std::min(count, table->attention_queries));
            for (size_t i = 0; i < results.size(); ++i) {
                CAPTURE(i);
                REQUIRE(results[i] == expected[i]);
                REQUIRE(results[i].intact());
            }
        }
    }
}

TEST_CASE("the rotation is the Hadamard transform of each block, its own inverse, and keeps dot products") {
    Numbers numbers(22);
    const KernelTable& scalar = *select_kernels("scalar");
    const auto blocks_of = [](uint32_t dim) {
        std::vector<uint32_t> blocks;
        for (uint32_t left = dim; left != 0; left -= blocks.back()) blocks.push_back(std::bit_floor(left));
        return blocks;
    };
    CHECK(blocks_of(96) == std::vector<uint32_t>{64, 32});
    for (uint32_t dim : {2u, 10u, 16u, 48u, 64u, 80u, 96u, 128u, 200u, 256u, 510u, 512u}) {
        CAPTURE(dim);
        const Buffer<float> x = random_floats(numbers, dim, Spread::usual);
        const Buffer<float> y = random_floats(numbers, dim, Spread::outlier);
        const Buffer<float> turned_x = rotated(scalar, x);
        const Buffer<float> turned_y = rotated(scalar, y);
        uint32_t first = 0;
        for (uint32_t block : blocks_of(dim)) {
            for (uint32_t i = 0; i < block; ++i) {
                double sum = 0, size = 0;
                for (uint32_t k = 0; k < block; ++k) {
                    const double term = static_cast<double>(x[first + k]) / std::sqrt(static_cast<double>(block));
                    sum += std::popcount(i & k) % 2 == 0 ? term : -term;
                    size += std::fabs(term);
                }
                // At most nine additions one after the other, the constant and the product: eleven roundings.
                REQUIRE(std::fabs(static_cast<double>(turned_x[first + i]) - sum) <= 11 * 0x1p-24 * size);
            }
            first += block;
        }
        const Buffer<float> back = rotated(scalar, turned_y);
        double dot = 0, turned_dot = 0, largest = 0, size_x = 0, size_y = 0;
        for (uint32_t i = 0; i < dim; ++i) {
            dot += static_cast<double>(x[i]) * static_cast<double>(y[i]);
            turned_dot += static_cast<double>(turned_x[i]) * static_cast<double>(turned_y[i]);
            size_x += static_cast<double>(x[i]) * static_cast<double>(x[i]);
            size_y += static_cast<double>(y[i]) * static_cast<double>(y[i]);
            largest = std::fmax(largest, std::fabs(static_cast<double>(y[i]) - static_cast<double>(back[i])));
        }
        // Each of the two transforms is off by at most eleven roundings of what a lane sums up, which is no more than
        // sqrt(block) times the length of the vector.
        const double roundings = 22 * 0x1p-24 * std::sqrt(static_cast<double>(dim));
        CHECK(largest <= roundings * std::sqrt(size_y));
        CHECK(std::fabs(dot - turned_dot) <= roundings * std::sqrt(size_x * size_y));
    }
}

TEST_CASE("the int4 quantiser takes the nearest level, and packs as the contract says") {
    Numbers numbers(23);
    const KernelTable& scalar = *select_kernels("scalar");
    for (uint32_t i = 0; i < 16; ++i) {
        CHECK(kv_levels[i] == -kv_levels[15 - i]);
        if (i != 0) CHECK(2.0f * kv_limits[i - 1] == static_cast<float>(kv_levels[i - 1] + kv_levels[i]));
    }
    for (uint32_t dim : {2u, 16u, 30u, 32u, 34u, 48u, 64u, 80u, 96u, 128u, 512u}) {
        CAPTURE(dim);
        const Buffer<float> x = random_floats(numbers, dim, Spread::usual);
        const Quantised q = quantise(scalar, x);
        for (uint32_t half : {0u, dim / 2}) {
            double largest = 0;
            for (uint32_t d = half; d < half + dim / 2; ++d) largest = std::fmax(largest, std::fabs(static_cast<double>(x[d])));
            const double scale = scale_at(q.scales, dim, half);
            CHECK(std::fabs(scale * 127 - largest) <= 0x1.01p-8 * largest);  // 7 bits of mantissa, and a rounding before
            for (uint32_t d = half; d < half + dim / 2; ++d) {
                const double value = static_cast<double>(x[d]) / scale;
                double nearest = 1000;
                for (int8_t level : kv_levels) nearest = std::fmin(nearest, std::fabs(value - level));
                // The float quotient is off by two roundings of at most 128.
                REQUIRE(std::fabs(value - level_at(q.values.data(), dim, d)) <= nearest + 128 * 0x1p-22);
            }
        }
    }
    // What cannot be quantised: index 8 throughout that half, and the scale says it.
    for (float odd : {0.0f, 1e-35f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        Buffer<float> x(80);
        x[17] = odd;
        x[40] = 1.0f;
        for (const KernelTable* table : runnable_tables()) {
            const Quantised q = quantise(*table, x);
            for (uint32_t i = 0; i < 40; ++i) CHECK(q.values[i] == (i == 0 ? 0xf8 : 0x88));
            const double scale = scale_at(q.scales, 80, 0);
            if (std::fabs(odd) < 1) CHECK(scale == 0.0);
            if (!(std::fabs(odd) < 1)) CHECK(!std::isfinite(scale));
        }
    }
}

TEST_CASE("int4 cache kernels: the scalar ones are dot products and weighted sums of levels") {
    Numbers numbers(24);
    const KernelTable& scalar = *select_kernels("scalar");
    for (int round = 0; round < 40; ++round) {
        const uint32_t dim = 2 + 2 * numbers.below(100);
        const Head head(numbers, dim, 1 + numbers.below(30), Spread::usual);
        const Buffer<float> scores = head.scores(scalar);
        const Buffer<float> output = head.output(scalar);
        for (uint32_t i = 0; i < head.count; ++i) {
            double part[2] = {};
            for (uint32_t d = 0; d < dim; ++d) {
                part[d < dim / 2 ? 0 : 1] += head.query[d] * level_at(head.cached.data() + i * head.stride, dim, d);
            }
            const uint32_t scales = head.scales[i * head.scale_stride];
            for (uint32_t half : {0u, 1u})
                part[half] *= scale_at(scales, dim, half * dim / 2) * static_cast<double>(head.query_scale);
            // Of each part: its conversion and product; then the sum and the query's scale.
            const double limit = 5 * 0x1p-24 * (std::fabs(part[0]) + std::fabs(part[1]));
            REQUIRE(std::fabs(static_cast<double>(scores[i]) - part[0] - part[1]) <= limit);
        }
        for (uint32_t d = 0; d < dim; ++d) {
            double sum = static_cast<double>(head.start[d]);
            double size = std::fabs(sum);
            for (uint32_t i = 0; i < head.count; ++i) {
                const double term = static_cast<double>(head.probabilities[i]) *
                                    scale_at(head.scales[i * head.scale_stride], dim, d) *
                                    level_at(head.cached.data() + i * head.stride, dim, d);
                sum += term;
                size += std::fabs(term);
            }
            REQUIRE(std::fabs(static_cast<double>(output[d]) - sum) <= (head.count + 3) * 0x1p-24 * size);
        }
    }
}
