// The attention kernels of every table against the scalar ones: ==, raw bits, for every head_dim up to 512; and the scalar
// ones against double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/unit/kernels_reference.h"

using namespace linnet;
using namespace kernel_tests;

namespace {

// One head's query and a cache of `count` positions in the three formats.
struct Head {
    uint32_t dim, count;
    size_t stride, scale_stride;
    Buffer<float> q, probabilities, start, f32;
    Buffer<uint16_t> f16;
    Buffer<int8_t> int8;
    Buffer<float> scales;
    Buffer<int16_t> query;
    float query_scale = 0;

    Head(Numbers& numbers, uint32_t head_dim, uint32_t positions, Spread spread)
        : dim(head_dim),
          count(positions),
          stride(head_dim + (numbers.below(2) == 0 ? 0 : numbers.below(40))),
          scale_stride(1 + numbers.below(3)),
          q(random_floats(numbers, dim, spread)),
          probabilities(random_floats(numbers, count, Spread::usual)),
          start(random_floats(numbers, dim, Spread::usual)),
          f32(random_floats(numbers, (count - 1) * stride + dim, spread)),
          f16((count - 1) * stride + dim),
          int8((count - 1) * stride + dim),
          scales((count - 1) * scale_stride + 1),
          query(dim) {
        for (size_t i = 0; i < f16.size(); ++i) f16[i] = numbers.half();
        const bool extreme = numbers.below(4) == 0;
        for (size_t i = 0; i < int8.size(); ++i) {
            int8[i] = static_cast<int8_t>(extreme ? 127 : static_cast<int32_t>(numbers.below(255)) - 127);
        }
        for (size_t i = 0; i < scales.size(); ++i) scales[i] = numbers.unit();
        select_kernels("scalar")->quantize_query(q.data(), dim, query.data(), &query_scale);
        if (extreme) {
            for (size_t i = 0; i < query.size(); ++i) query[i] = 32767;
        }
    }

    // Scores and outputs in the three formats, one after the other.
    std::vector<Buffer<float>> run(const KernelTable& table) const {
        std::vector<Buffer<float>> results;
        for (int i = 0; i < 3; ++i) results.emplace_back(count);
        for (int i = 0; i < 3; ++i) results.push_back(start);
        Buffer<float> weights = probabilities;
        const AttentionQuery queries[] = {
            ask(query_scale, results[0].data(), nullptr), ask(0.125f, results[1].data(), nullptr),
            ask(0.125f, results[2].data(), nullptr),      ask(0, weights.data(), results[3].data()),
            ask(0, weights.data(), results[4].data()),    ask(0, weights.data(), results[5].data())};
        table.attention_scores_int8(queries, 1, int8.data(), stride, scales.data(), scale_stride, dim, count);
        table.attention_scores_f16(queries + 1, 1, f16.data(), stride, dim, count);
        table.attention_scores_f32(queries + 2, 1, f32.data(), stride, dim, count);
        table.attention_output_int8(queries + 3, 1, int8.data(), stride, scales.data(), scale_stride, dim, count);
        table.attention_output_f16(queries + 4, 1, f16.data(), stride, dim, count);
        table.attention_output_f32(queries + 5, 1, f32.data(), stride, dim, count);
        return results;
    }
    AttentionQuery ask(float scale, float* scores, float* out) const { return {q.data(), query.data(), scale, scores, out}; }
};

}  // namespace

TEST_CASE("attention kernels: every table gives the scalar one's bits") {
    Numbers numbers(10);
    const auto tables = runnable_tables();
    Hash hash;
    for (uint32_t dim = 2; dim <= 512; dim += dim < 140 ? 1 : 1 + numbers.below(12)) {
        const uint32_t count = 1 + numbers.below(numbers.below(2) == 0 ? 4 : 60);
        const Spread spread = spreads[numbers.below(7)];
        if (spread == Spread::huge) continue;  // products overflow; matmul and the others have those
        const Head head(numbers, dim, count, spread);
        CAPTURE(dim);
        CAPTURE(count);
        const auto expected = head.run(*tables[0]);
        Buffer<int16_t> wide(dim);
        Buffer<int8_t> narrow(dim);
        float wide_scale = 0, narrow_scale = 0;
        tables[0]->quantize_query(head.q.data(), dim, wide.data(), &wide_scale);
        tables[0]->quantize_head(head.q.data(), dim, narrow.data(), &narrow_scale);
        for (const auto& result : expected) hash.add(result);
        hash.add(wide);
        hash.add(narrow);
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            const auto results = head.run(*table);
            for (size_t i = 0; i < results.size(); ++i) {
                CAPTURE(i);
                REQUIRE(results[i] == expected[i]);
                REQUIRE(results[i].intact());
            }
            Buffer<int16_t> other_wide(dim);
            Buffer<int8_t> other_narrow(dim);
            float scale = 0;
            table->quantize_query(head.q.data(), dim, other_wide.data(), &scale);
            REQUIRE(std::bit_cast<uint32_t>(scale) == std::bit_cast<uint32_t>(wide_scale));
            table->quantize_head(head.q.data(), dim, other_narrow.data(), &scale);
            REQUIRE(std::bit_cast<uint32_t>(scale) == std::bit_cast<uint32_t>(narrow_scale));
            REQUIRE(other_wide == wide);
            REQUIRE(other_narrow == narrow);
            REQUIRE(other_wide.intact());
            REQUIRE(other_narrow.intact());
        }
    }
    std::printf("attention: hash of all results %016llx\n", static_cast<unsigned long long>(hash.value()));
    // The same on every machine and with every compiler; another value is another specification.
    CHECK(hash.value() == 0x7030d3421a35f941ull);
}

TEST_CASE("attention: positions in two calls give the same as in one") {
    Numbers numbers(11);
    const Head head(numbers, 96, 40, Spread::usual);
    for (const KernelTable* table : runnable_tables()) {
        const auto whole = head.run(*table);
        for (uint32_t split : {1u, 7u, 8u, 33u}) {
            Buffer<float> out = head.start;
            Buffer<float> weights = head.probabilities;
            Buffer<float> scores(40);
            for (const auto& [from, count] : {std::pair{0u, split}, std::pair{split, 40 - split}}) {
                const AttentionQuery sum = head.ask(0, weights.data() + from, out.data());
                table->attention_output_int8(&sum, 1, head.int8.data() + from * head.stride, head.stride,
                                             head.scales.data() + from * head.scale_stride, head.scale_stride, 96, count);
                const AttentionQuery dot = head.ask(0.125f, scores.data() + from, nullptr);
                table->attention_scores_f16(&dot, 1, head.f16.data() + from * head.stride, head.stride, 96, count);
            }
            CHECK(out == whole[3]);
            CHECK(scores == whole[1]);
        }
    }
}

TEST_CASE("attention: each of several queries gets what the scalar kernels give it alone") {
    Numbers numbers(13);
    const auto tables = runnable_tables();
    for (int round = 0; round < 120; ++round) {
        const uint32_t dim = round % 3 == 0 ? 16 * (1 + numbers.below(16)) : 2 + numbers.below(200);
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
            std::vector<AttentionQuery> queries[6];
            for (const Head& head : heads) {
                for (int i = 0; i < 3; ++i) results.emplace_back(positions);
                for (int i = 0; i < 3; ++i) results.push_back(head.start);
                for (int i = 0; i < 3; ++i) results.push_back(head.probabilities);
            }
            for (uint32_t n = 0; n < count; ++n) {
                Buffer<float>* const of = results.data() + size_t{n} * 9;
                for (uint32_t i = 0; i < 3; ++i) {
                    queries[i].push_back(heads[n].ask(i == 0 ? heads[n].query_scale : 0.125f, of[i].data(), nullptr));
                    queries[3 + i].push_back(heads[n].ask(0, of[6 + i].data(), of[3 + i].data()));
                }
            }
            for (uint32_t n = 0; n < count; n += at_once) {
                const uint32_t some = at_once < count - n ? at_once : count - n;
                const float* scales = cache.scales.data();
                const size_t scale_stride = cache.scale_stride, stride = cache.stride;
                table.attention_scores_int8(&queries[0][n], some, cache.int8.data(), stride, scales, scale_stride, dim,
                                            positions);
                table.attention_scores_f16(&queries[1][n], some, cache.f16.data(), stride, dim, positions);
                table.attention_scores_f32(&queries[2][n], some, cache.f32.data(), stride, dim, positions);
                table.attention_output_int8(&queries[3][n], some, cache.int8.data(), stride, scales, scale_stride, dim,
                                            positions);
                table.attention_output_f16(&queries[4][n], some, cache.f16.data(), stride, dim, positions);
                table.attention_output_f32(&queries[5][n], some, cache.f32.data(), stride, dim, positions);
            }
            return results;
        };
        const auto expected = run(*tables[0], 1);
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            REQUIRE(table->attention_queries >= 1);
            REQUIRE(table->attention_queries <= most_attention_queries);
            const auto results = run(*table, std::min(count, table->attention_queries));
            for (size_t i = 0; i < results.size(); ++i) {
                CAPTURE(i);
                REQUIRE(results[i] == expected[i]);
                REQUIRE(results[i].intact());
            }
        }
    }
}

TEST_CASE("attention: the scalar kernels are dot products and weighted sums") {
    Numbers numbers(12);
    const KernelTable& scalar = *select_kernels("scalar");
    for (int round = 0; round < 40; ++round) {
        const uint32_t dim = 2 + numbers.below(200);
        const Head head(numbers, dim, 1 + numbers.below(30), Spread::usual);
        const auto results = head.run(scalar);
        for (uint32_t i = 0; i < head.count; ++i) {
            double dot[3] = {}, size[3] = {};
            for (uint32_t d = 0; d < dim; ++d) {
                const size_t at = i * head.stride + d;
                const double terms[3] = {static_cast<double>(head.query[d]) * head.int8[at],
                                         static_cast<double>(head.q[d]) * static_cast<double>(half_to_float(head.f16[at])),
                                         static_cast<double>(head.q[d]) * static_cast<double>(head.f32[at])};
                for (int k = 0; k < 3; ++k) {
                    dot[k] += terms[k];
                    size[k] += std::fabs(terms[k]);
                }
            }
            const double factor[3] = {
                static_cast<double>(head.query_scale) * static_cast<double>(head.scales[i * head.scale_stride]), 0.125, 0.125};
            for (int k = 0; k < 3; ++k) {
                // int8: three roundings; the others: one a term of a partial sum, the tree, the scale.
                const double limit =
                    (k == 0 ? 4.0 : static_cast<double>(dim / 16) + 7.0) * 0x1p-24 * size[k] * std::fabs(factor[k]);
                const double error = std::fabs(static_cast<double>(results[static_cast<size_t>(k)][i]) - dot[k] * factor[k]);
                REQUIRE(error <= limit);
            }
        }
        for (uint32_t d = 0; d < dim; ++d) {
            double sum[3], size[3];
            for (int k = 0; k < 3; ++k) size[k] = std::fabs(sum[k] = static_cast<double>(head.start[d]));
            for (uint32_t i = 0; i < head.count; ++i) {
                const size_t at = i * head.stride + d;
                const double p = static_cast<double>(head.probabilities[i]);
                const double terms[3] = {p * static_cast<double>(head.scales[i * head.scale_stride]) * head.int8[at],
                                         p * static_cast<double>(half_to_float(head.f16[at])),
                                         p * static_cast<double>(head.f32[at])};
                for (int k = 0; k < 3; ++k) {
                    sum[k] += terms[k];
                    size[k] += std::fabs(terms[k]);
                }
            }
            for (int k = 0; k < 3; ++k) {
                const double error = std::fabs(static_cast<double>(results[static_cast<size_t>(3 + k)][d]) - sum[k]);
                REQUIRE(error <= (head.count + 3) * 0x1p-24 * size[k]);
            }
        }
    }
}
