// Whatever way leads to a token, its logits are the same bits.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/kernels/kernels.h"
#include "core/linnet.h"
#include "tests/unit/kernels_reference.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

using Rows = std::vector<std::vector<float>>;

// All rows of logits, the tokens evaluated in pieces of these sizes (the last size repeats).
Rows evaluate(linnet_session* session, uint32_t vocabulary, const std::vector<int32_t>& tokens,
              const std::vector<size_t>& pieces) {
    Rows rows;
    struct Context {
        Rows* rows;
        uint32_t vocabulary;
    } context{&rows, vocabulary};
    linnet_error error;
    size_t piece = 0;
    for (size_t at = 0; at < tokens.size();) {
        const size_t count = std::min(pieces[std::min(piece, pieces.size() - 1)], tokens.size() - at);
        const linnet_status status = linnet_evaluate_all(
            session, tokens.data() + at, count,
            [](void* to, uint32_t, const float* logits) {
                Context& into = *static_cast<Context*>(to);
                into.rows->emplace_back(logits, logits + into.vocabulary);
            },
            &context, &error);
        INFO(error.text);
        REQUIRE(status == LINNET_OK);
        at += count;
        ++piece;
    }
    return rows;
}

bool same_bits(const Rows& a, const Rows& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (a[i].size() != b[i].size() || memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
    }
    return true;
}

bool same_bits(const float* a, const std::vector<float>& b) { return memcmp(a, b.data(), b.size() * sizeof(float)) == 0; }

// Every task on a thread of its own, the last one first.
void run_backwards(void*, linnet_task task, void* task_context, uint32_t count) {
    std::vector<std::thread> threads;
    for (uint32_t i = count; i-- > 0;) threads.emplace_back([=] { task(task_context, i); });
    for (std::thread& thread : threads) thread.join();
}

// The last task first, each from its beginning to its end: what one writes is there when another reads, if they share it.
void one_by_one(void*, linnet_task task, void* task_context, uint32_t count) {
    while (count-- > 0) task(task_context, count);
}

const char* const shapes[] = {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"};

}  // namespace

TEST_CASE("logits do not depend on how a prompt is cut, on threads, kernels, batch or residency") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        TestModel plain(shape);
        const uint32_t vocabulary = vocabulary_of(plain);
        const std::vector<int32_t> tokens = some_tokens(48, vocabulary);
        const Rows expected = evaluate(plain.session(), vocabulary, tokens, {48});
        REQUIRE(expected.size() == 48);

        TestModel pieces(shape, [](linnet_options& options) { options.sessions = 3; });
        CHECK(same_bits(expected, evaluate(pieces.session(), vocabulary, tokens, {1})));
        CHECK(same_bits(expected, evaluate(pieces.session(), vocabulary, tokens, {7, 1, 2, 5, 30})));
        CHECK(same_bits(expected, evaluate(pieces.session(), vocabulary, tokens, {3})));

        for (uint32_t batch : {1u, 5u, 16u}) {
            TestModel small(shape, [=](linnet_options& options) { options.batch = batch; });
            CHECK(same_bits(expected, evaluate(small.session(), vocabulary, tokens, {48})));
        }
        for (const auto parallel : {run_backwards, one_by_one}) {
            TestModel threaded(shape, {}, [=](linnet_platform& platform) {
                platform.parallel = parallel;
                platform.threads = 3;
            });
            CHECK(same_bits(expected, evaluate(threaded.session(), vocabulary, tokens, {20, 1})));
        }
        // The other threads have no processors for a while.
        TestModel alone(shape, {}, [](linnet_platform& platform) {
            static uint32_t asked;
            asked = 0;
            platform.parallel = [](void*, linnet_task task, void* context, uint32_t count) {
                CHECK(asked / 8 % 2 != 0);
                one_by_one(nullptr, task, context, count);
            };
            platform.threads = 3;
            platform.alone = [](void*) { return ++asked / 8 % 2 == 0 ? 1 : 0; };
        });
        CHECK(same_bits(expected, evaluate(alone.session(), vocabulary, tokens, {20, 1})));

        for (const KernelTable* table : kernel_tests::runnable_tables()) {
            const char* name = table->name;
            CAPTURE(name);
            TestModel other(shape, [=](linnet_options& options) { options.kernels = name; });
            CHECK(same_bits(expected, evaluate(other.session(), vocabulary, tokens, {9})));
        }

        // Weights in place, at an address that fits.
        static std::vector<uint8_t> copy;
        static const uint8_t* base;
        const std::vector<uint8_t>& bytes = synth_bytes(shape);
        copy.assign(bytes.size() + 4096, 0);
        base = copy.data() + (4096 - reinterpret_cast<uintptr_t>(copy.data()) % 4096);
        memcpy(const_cast<uint8_t*>(base), bytes.data(), bytes.size());
        TestModel mapped(shape, {}, [](linnet_platform& platform) {
            platform.map = [](void*, uint64_t offset, size_t) -> const void* { return base + offset; };
        });
        CHECK(mapped.plan().weights_bytes == 0);
        CHECK(mapped.plan().mapped_bytes != 0);
        CHECK(same_bits(expected, evaluate(mapped.session(), vocabulary, tokens, {48})));
    }
}

TEST_CASE("logits do not depend on which heads and tokens read keys and values together") {
    for (const char* shape : {"tiny-shared", "tiny-narrow", "tiny-window"}) {
        CAPTURE(shape);
        for (const uint32_t kv : {LINNET_KV_INT8, LINNET_KV_INT4, LINNET_KV_F16, LINNET_KV_F32}) {
            CAPTURE(kv);
            const auto with = [=](const char* kernels) {
                return [=](linnet_options& options) {
                    options.kv_format = kv;
                    options.kernels = kernels;
                };
            };
            TestModel plain(shape, with("scalar"));  // whose queries go one by one
            const uint32_t vocabulary = vocabulary_of(plain);
            const std::vector<int32_t> tokens = some_tokens(90, vocabulary);
            const Rows expected = evaluate(plain.session(), vocabulary, tokens, {1});
            for (const KernelTable* table : kernel_tests::runnable_tables()) {
                const char* name = table->name;
                CAPTURE(name);
                for (const uint32_t threads : {1u, 2u, 6u}) {  // with more of them, fewer queries go together
                    CAPTURE(threads);
                    TestModel model(shape, with(name), [=](linnet_platform& platform) {
                        platform.parallel = run_backwards;
                        platform.threads = threads;
                    });
                    CHECK(same_bits(expected, evaluate(model.session(), vocabulary, tokens, {13, 1, 2, 3, 4, 50, 17})));
                }
            }
        }
    }
}

TEST_CASE("a ceiling makes the batch smaller and changes no bit; one too small names what would do") {
    TestModel plain("tiny");
    const uint32_t vocabulary = vocabulary_of(plain);
    const std::vector<int32_t> tokens = some_tokens(40, vocabulary);
    const Rows expected = evaluate(plain.session(), vocabulary, tokens, {40});
    const uint64_t ceiling = plain.plan().total_bytes - plain.plan().activation_bytes / 2;
    TestModel tight("tiny", [=](linnet_options& options) { options.memory = ceiling; });
    CHECK(tight.plan().total_bytes <= ceiling);
    CHECK(tight.plan().batch < plain.plan().batch);
    CHECK(same_bits(expected, evaluate(tight.session(), vocabulary, tokens, {40})));
}

TEST_CASE("rewinding and going on another way gives what a fresh session gives") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        TestModel model(shape, [](linnet_options& options) {
            options.sessions = 2;
            options.batch = 8;
        });
        const uint32_t vocabulary = vocabulary_of(model);
        linnet_session* session = model.session();
        linnet_session* fresh = model.session();
        linnet_error error;
        std::vector<int32_t> tokens = some_tokens(90, vocabulary);
        REQUIRE(linnet_evaluate(session, tokens.data(), tokens.size(), &error) == LINNET_OK);
        for (uint32_t length : {80u, 75u, 40u, 12u, 0u}) {
            CAPTURE(length);
            tokens.resize(length);
            for (int32_t token : some_tokens(17, vocabulary)) tokens.push_back(token);
            REQUIRE(linnet_rewind(session, length, &error) == LINNET_OK);
            CHECK(linnet_logits(session) == nullptr);
            REQUIRE(linnet_evaluate(session, tokens.data() + length, 17, &error) == LINNET_OK);
            REQUIRE(linnet_rewind(fresh, 0, &error) == LINNET_OK);
            REQUIRE(linnet_evaluate(fresh, tokens.data(), tokens.size(), &error) == LINNET_OK);
            CHECK(memcmp(linnet_logits(session), linnet_logits(fresh), vocabulary * sizeof(float)) == 0);
        }
    }
}

TEST_CASE("set_tokens computes only what is new") {
    TestModel model("tiny", [](linnet_options& options) { options.sessions = 2; });
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_session* session = model.session();
    linnet_error error;
    std::vector<int32_t> tokens = some_tokens(30, vocabulary);
    size_t evaluated = 0;
    REQUIRE(linnet_set_tokens(session, tokens.data(), 20, &evaluated, &error) == LINNET_OK);
    CHECK(evaluated == 20);
    REQUIRE(linnet_set_tokens(session, tokens.data(), 30, &evaluated, &error) == LINNET_OK);
    CHECK(evaluated == 10);
    tokens[25] = (tokens[25] + 1) % static_cast<int32_t>(vocabulary);
    REQUIRE(linnet_set_tokens(session, tokens.data(), 30, &evaluated, &error) == LINNET_OK);
    CHECK(evaluated == 5);
    const Rows expected = evaluate(model.session(), vocabulary, tokens, {30});
    CHECK(same_bits(linnet_logits(session), expected.back()));
    REQUIRE(linnet_set_tokens(session, tokens.data(), 30, &evaluated, &error) == LINNET_OK);
    CHECK(evaluated == 1);  // the logits of the last one are wanted
    CHECK(same_bits(linnet_logits(session), expected.back()));
}

TEST_CASE("crossing a LongRoPE model's original context gives what a fresh session of that length gives, both ways") {
    TestModel model("tiny-longrope", [](linnet_options& options) { options.sessions = 2; });
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_session* session = model.session();
    linnet_session* fresh = model.session();
    linnet_error error;
    linnet_stats stats;
    FileHeader header;
    memcpy(&header, synth_bytes("tiny-longrope").data(), sizeof header);
    const uint32_t original = header.config.original_context;
    const std::vector<int32_t> tokens = some_tokens(original + 2, vocabulary);
    REQUIRE(linnet_evaluate(session, tokens.data(), original - 1, &error) == LINNET_OK);
    for (uint32_t length = original; length <= original + 2; ++length) {
        CAPTURE(length);
        REQUIRE(linnet_evaluate(session, tokens.data() + length - 1, 1, &error) == LINNET_OK);
        REQUIRE(linnet_rewind(fresh, 0, &error) == LINNET_OK);
        REQUIRE(linnet_evaluate(fresh, tokens.data(), length, &error) == LINNET_OK);
        CHECK(memcmp(linnet_logits(session), linnet_logits(fresh), vocabulary * sizeof(float)) == 0);
        linnet_get_stats(session, &stats);
        CHECK(stats.rebuilds == (length > original ? 1 : 0));
    }
    REQUIRE(linnet_rewind(session, original - 2, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(session, tokens.data() + original - 2, 1, &error) == LINNET_OK);
    REQUIRE(linnet_rewind(fresh, 0, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(fresh, tokens.data(), original - 1, &error) == LINNET_OK);
    CHECK(memcmp(linnet_logits(session), linnet_logits(fresh), vocabulary * sizeof(float)) == 0);
}

TEST_CASE("sessions do not disturb each other, and their number is kept") {
    TestModel model("tiny", [](linnet_options& options) { options.sessions = 2; });
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_session* a = model.session();
    linnet_session* b = model.session();
    linnet_session* c = nullptr;
    linnet_error error;
    CHECK(linnet_session_open(model.model(), &c, &error) == LINNET_DOES_NOT_FIT);
    const std::vector<int32_t> tokens = some_tokens(24, vocabulary);
    const Rows expected = evaluate(a, vocabulary, tokens, {24});
    REQUIRE(linnet_rewind(a, 0, &error) == LINNET_OK);
    for (size_t i = 0; i < 24; ++i) {
        REQUIRE(linnet_evaluate(a, &tokens[i], 1, &error) == LINNET_OK);
        REQUIRE(linnet_evaluate(b, &tokens[23 - i], 1, &error) == LINNET_OK);
        CHECK(same_bits(linnet_logits(a), expected[i]));
    }
    linnet_session_close(b);
    REQUIRE(linnet_session_open(model.model(), &c, &error) == LINNET_OK);
    CHECK(linnet_length(c) == 0);
    CHECK(linnet_logits(c) == nullptr);
}

TEST_CASE("tokens outside the vocabulary and too many of them are refused, and nothing changes") {
    TestModel model("tiny", [](linnet_options& options) { options.context = 32; });
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_session* session = model.session();
    linnet_error error;
    const std::vector<int32_t> tokens = some_tokens(33, vocabulary);
    CHECK(linnet_evaluate(session, tokens.data(), 33, &error) == LINNET_DOES_NOT_FIT);
    CHECK(linnet_length(session) == 0);
    const int32_t outside[] = {1, static_cast<int32_t>(vocabulary), -1};
    CHECK(linnet_evaluate(session, outside, 3, &error) == LINNET_BAD_ARGUMENT);
    CHECK(linnet_evaluate(session, outside + 2, 1, &error) == LINNET_BAD_ARGUMENT);
    CHECK(linnet_evaluate(session, tokens.data(), 0, &error) == LINNET_BAD_ARGUMENT);
    CHECK(linnet_evaluate(session, tokens.data(), 32, &error) == LINNET_OK);
    CHECK(linnet_rewind(session, 33, &error) == LINNET_BAD_ARGUMENT);
}
