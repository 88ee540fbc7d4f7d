// The attention kernels of every table against the scalar ones: ==, raw bits, for every head_dim up to 512; and the scalar
// ones against double precision.
#include <doctest/doctest.h>

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
        table.attention_scores_int8(query.data(), query_scale, int8.data(), stride, scales.data(), scale_stride, dim, count,
                                    results[0].data());
        table.attention_scores_f16(q.data(), 0.125f, f16.data(), stride, dim, count, results[1].data());
        table.attention_scores_f32(q.data(), 0.125f, f32.data(), stride, dim, count, results[2].data());
        table.attention_output_int8(probabilities.data(), int8.data(), stride, scales.data(), scale_stride, dim, count,
                                    results[3].data());
        table.attention_output_f16(probabilities.data(), f16.data(), stride, dim, count, results[4].data());
        table.attention_output_f32(probabilities.data(), f32.data(), stride, dim, count, results[5].data());
        return results;
    }
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
            table->attention_output_int8(head.probabilities.data(), head.int8.data(), head.stride, head.scales.data(),
                                         head.scale_stride, 96, split, out.data());
            table->attention_output_int8(head.probabilities.data() + split, head.int8.data() + split * head.stride, head.stride,
                                         head.scales.data() + split * head.scale_stride, head.scale_stride, 96, 40 - split,
                                         out.data());
            CHECK(out == whole[3]);
            Buffer<float> scores(40);
            table->attention_scores_f16(head.q.data(), 0.125f, head.f16.data(), head.stride, 96, split, scores.data());
            table->attention_scores_f16(head.q.data(), 0.125f, head.f16.data() + split * head.stride, head.stride, 96,
                                        40 - split, scores.data() + split);
            CHECK(scores == whole[1]);
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
