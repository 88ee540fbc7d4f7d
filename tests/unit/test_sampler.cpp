#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "core/session/sampler.h"

using namespace linnet;

namespace {

struct Fixture {
    std::vector<unsigned char> memory = std::vector<unsigned char>(1 << 20);
    Sampler sampler;
    linnet_sampling sampling = linnet_default_sampling();
    Error error;
    explicit Fixture(uint32_t vocabulary) {
        auto* base = memory.data();
        base += (64 - reinterpret_cast<uintptr_t>(base) % 64) % 64;
        Arena arena(base, memory.size() - 64);
        sampler.create(vocabulary, arena);
        REQUIRE(!arena.overflowed());
        sampling.top_k = 0;
        sampling.top_p = 1;
        sampling.min_p = 0;
        sampling.temperature = 1;
    }
    int32_t draw(const std::vector<float>& logits, const std::vector<int32_t>& recent = {}) {
        int32_t token = -1;
        REQUIRE(sampler.choose(logits.data(), static_cast<uint32_t>(logits.size()), sampling, recent.data(), recent.size(),
                               token, error) == Status::ok);
        return token;
    }
    std::map<int32_t, double> frequencies(const std::vector<float>& logits, int draws) {
        std::map<int32_t, double> result;
        for (int i = 0; i < draws; ++i) result[draw(logits)] += 1.0 / draws;
        return result;
    }
};

const std::vector<float> logits = {std::log(0.4f), std::log(0.3f), std::log(0.2f), std::log(0.1f)};

}  // namespace

TEST_CASE("temperature 0 takes the most likely token, the lowest id among equals") {
    Fixture f(4);
    f.sampling.temperature = 0;
    CHECK(f.draw({1, 3, 3, 2}) == 1);
    CHECK(f.draw({NAN, 3, NAN, 4}) == 3);
}

TEST_CASE("temperature 0 is the same over vocabularies of every size: NaN, infinities, equals and both zeros among them") {
    const float values[] = {NAN, -INFINITY, -2.0f, -0.0f, 0.0f, 1.0f, INFINITY, -NAN};
    uint32_t state = 7;
    for (uint32_t size = 1; size <= 70; ++size) {
        Fixture f(size);
        f.sampling.temperature = 0;
        for (int round = 0; round < 40; ++round) {
            // In some rounds only the lower values, so that those win too.
            const uint32_t kinds = 1 + static_cast<uint32_t>(round) % 8;
            std::vector<float> some(size);
            size_t best = size;
            for (size_t i = 0; i < size; ++i) {
                state = state * 1664525u + 1013904223u;
                some[i] = values[(state >> 16) % kinds];
                if (std::isnan(some[i])) continue;
                if (best == size || some[i] > some[best]) best = i;
            }
            int32_t token = -1;
            const Status status = f.sampler.choose(some.data(), size, f.sampling, nullptr, 0, token, f.error);
            CHECK(status == (best == size ? Status::bad_file : Status::ok));
            if (status == Status::ok) CHECK(token == static_cast<int32_t>(best));
        }
    }
}

TEST_CASE("the draw follows the softmax") {
    Fixture f(4);
    // 20000 draws: three standard deviations of a share of 0.4 are 0.0104.
    auto shares = f.frequencies(logits, 20000);
    CHECK(std::fabs(shares[0] - 0.4) < 0.012);
    CHECK(std::fabs(shares[1] - 0.3) < 0.012);
    CHECK(std::fabs(shares[3] - 0.1) < 0.012);
    f.sampling.temperature = 0.5f;  // squares the shares: 16 9 4 1 of 30
    shares = f.frequencies(logits, 20000);
    CHECK(std::fabs(shares[0] - 16.0 / 30) < 0.012);
}

TEST_CASE("top-k, top-p and min-p keep what they say") {
    Fixture f(4);
    f.sampling.top_k = 2;
    auto shares = f.frequencies(logits, 20000);
    CHECK(shares.size() == 2);
    CHECK(std::fabs(shares[0] - 4.0 / 7) < 0.012);
    f.sampling.top_k = 0;
    f.sampling.top_p = 0.65f;  // 0.4 + 0.3 reach it
    shares = f.frequencies(logits, 20000);
    CHECK(shares.size() == 2);
    CHECK(std::fabs(shares[1] - 3.0 / 7) < 0.012);
    f.sampling.top_p = 1;
    f.sampling.min_p = 0.45f;  // 0.45 * 0.4 = 0.18
    shares = f.frequencies(logits, 20000);
    CHECK(shares.size() == 3);
    f.sampling.top_k = 3;
    f.sampling.min_p = 0.7f;  // 0.28
    CHECK(f.frequencies(logits, 2000).size() == 2);
}

TEST_CASE("ordered and unordered candidates give the same distribution over a large vocabulary") {
    Fixture f(5000);
    std::vector<float> many(5000);
    for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>((i * 7919) % 5000) / 500.0f;
    f.sampling.top_k = 5000;  // as many as there are: no filter
    const int32_t a = f.draw(many);
    CHECK(a >= 0);
    f.sampling.top_k = 1;
    size_t best = 0;
    for (size_t i = 0; i < many.size(); ++i) best = many[i] > many[best] ? i : best;
    for (int i = 0; i < 10; ++i) CHECK(f.draw(many) == static_cast<int32_t>(best));
    f.sampling.top_k = 0;
    f.sampling.top_p = 1e-6f;  // always at least one
    CHECK(f.draw(many) == static_cast<int32_t>(best));
}

TEST_CASE("the repetition penalty divides positive and multiplies negative logits") {
    Fixture f(3);
    f.sampling.temperature = 0;
    f.sampling.repetition_penalty = 2;
    CHECK(f.draw({3.0f, 2.0f, 1.0f}, {0}) == 1);
    CHECK(f.draw({-1.0f, -1.5f, -9.0f}, {0}) == 1);
    CHECK(f.draw({3.0f, 2.0f, 1.0f}, {-7, 99999}) == 0);  // ids outside are nobody's
}

TEST_CASE("a seed gives the same tokens, another seed others") {
    Fixture a(4), b(4);
    a.sampling.seed = b.sampling.seed = 42;
    std::vector<int32_t> first, second;
    for (int i = 0; i < 64; ++i) {
        first.push_back(a.draw(logits));
        second.push_back(b.draw(logits));
    }
    CHECK(first == second);
    b.sampling.seed = 43;
    second.clear();
    for (int i = 0; i < 64; ++i) second.push_back(b.draw(logits));
    CHECK(first != second);
}

TEST_CASE("what is out of range is refused with the field's name") {
    Fixture f(4);
    int32_t token = 0;
    f.sampling.top_p = 0;
    CHECK(f.sampler.choose(logits.data(), 4, f.sampling, nullptr, 0, token, f.error) == Status::bad_argument);
    CHECK(std::string(f.error.text()).find("top_p") != std::string::npos);
    f.sampling.top_p = 1;
    f.sampling.temperature = NAN;
    CHECK(f.sampler.choose(logits.data(), 4, f.sampling, nullptr, 0, token, f.error) == Status::bad_argument);
    f.sampling.temperature = 1;
    const std::vector<float> none(4, NAN);
    CHECK(f.sampler.choose(none.data(), 4, f.sampling, nullptr, 0, token, f.error) == Status::bad_file);
}

TEST_CASE("the random numbers are xoshiro256++ seeded by SplitMix64") {
    Random random;
    random.seed(0);
    // SplitMix64(0) begins e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f, f88bb8a8724c81ec (Vigna's test values);
    // xoshiro256++ then gives rotl(s0 + s3, 23) + s0.
    const uint64_t s0 = 0xe220a8397b1dcdafull, s3 = 0xf88bb8a8724c81ecull;
    const uint64_t sum = s0 + s3;
    const uint64_t expected = ((sum << 23) | (sum >> 41)) + s0;
    CHECK(random.uniform() == static_cast<double>(expected >> 11) * 0x1p-53);
}
