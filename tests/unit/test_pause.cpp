// An evaluation that is left in between and gone on with later gives the same bits as one that is not, whatever is done meanwhile.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "core/linnet.h"
#include "core/session/model.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

const char* const shapes[] = {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"};

std::vector<float> logits_of(const linnet_session* session, uint32_t vocabulary) {
    const float* logits = linnet_logits(session);
    REQUIRE(logits != nullptr);
    return {logits, logits + vocabulary};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Goes on for at most `pieces` pieces (the platform of these tests has no clock: each call is one piece), to the end without a
// number. The pieces that were done.
uint32_t go_on(linnet_session* session, uint32_t pieces = UINT32_MAX) {
    linnet_error error;
    linnet_progress progress{};
    uint32_t done = 0;
    while (done < pieces && progress.done == 0) {
        const linnet_status status = linnet_evaluate_continue(session, 0, &progress, &error);
        REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
        ++done;
    }
    return done;
}

void begin(linnet_session* session, const std::vector<int32_t>& tokens, uint32_t from, uint32_t count) {
    linnet_error error;
    REQUIRE(linnet_evaluate_begin(session, tokens.data() + from, count, &error) == LINNET_OK);
}

std::vector<float> all_at_once(linnet_session* session, uint32_t vocabulary, const std::vector<int32_t>& tokens) {
    linnet_error error;
    REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(session, tokens.data(), tokens.size(), &error) == LINNET_OK);
    return logits_of(session, vocabulary);
}

}  // namespace

TEST_CASE("an evaluation paused after every piece gives the same bits, in every KV format") {
    for (const char* shape : shapes) {
        for (const uint32_t format : {LINNET_KV_INT8, LINNET_KV_INT4, LINNET_KV_F16, LINNET_KV_F32}) {
            CAPTURE(shape);
            CAPTURE(format);
            TestModel model(shape, [=](linnet_options& options) {
                options.sessions = 2;
                options.batch = 8;
                options.kv_format = format;
            });
            const uint32_t vocabulary = vocabulary_of(model);
            linnet_session* session = model.session();
            linnet_session* fresh = model.session();
            const std::vector<int32_t> tokens = some_tokens(70, vocabulary);
            const std::vector<float> expected = all_at_once(fresh, vocabulary, tokens);
            begin(session, tokens, 0, 45);
            CHECK(linnet_length(session) == 45);
            CHECK(linnet_logits(session) == nullptr);
            CHECK(go_on(session) > 45 / 8 * 2 * 9);  // at least nine stages of two layers for each batch
            begin(session, tokens, 45, 1);
            go_on(session);
            begin(session, tokens, 46, 24);
            go_on(session);
            CHECK(same_bits(logits_of(session, vocabulary), expected));
        }
    }
}

TEST_CASE("matrices and attention cut as finely as can be give the same bits") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        TestModel model(shape, [](linnet_options& options) { options.sessions = 2; });
        const uint32_t vocabulary = vocabulary_of(model);
        const std::vector<int32_t> tokens = some_tokens(20, vocabulary);
        linnet_session* session = model.session();
        const std::vector<float> expected = all_at_once(model.session(), vocabulary, tokens);
        Decoder& decoder = model.model()->decoder;
        for (const uint64_t most : {uint64_t{1}, uint64_t{3000}, uint64_t{100000}}) {
            CAPTURE(most);
            Pass pass;
            pass.tokens = tokens.data();
            pass.count = 20;
            Error error;
            while (!decoder.finished(pass)) REQUIRE(decoder.advance(pass, session->cache, most, error) == Status::ok);
            std::vector<float> logits(vocabulary);
            uint32_t calls = 0;
            for (bool done = false; !done; ++calls) {
                REQUIRE(decoder.logits(pass, 19, 1, logits.data(), most, done, error) == Status::ok);
            }
            if (most == 1) CHECK(calls == (vocabulary + 15) / 16);
            CHECK(same_bits(logits, expected));
        }
    }
}

TEST_CASE("whatever is done while an evaluation is paused, the bits stay the same") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        TestModel model(shape, [](linnet_options& options) {
            options.sessions = 3;
            options.batch = 8;
        });
        const uint32_t vocabulary = vocabulary_of(model);
        linnet_session* session = model.session();
        linnet_session* other = model.session();
        linnet_error error;
        FileHeader header;
        memcpy(&header, synth_bytes(shape).data(), sizeof header);
        // The LongRoPE model crosses its original context in the evaluation that is paused.
        const bool boundary = (header.config.flags & long_rope) != 0;
        const uint32_t held = boundary ? header.config.original_context - 5 : 40;
        const uint32_t more = 14;
        const std::vector<int32_t> tokens = some_tokens(held + more + 1, vocabulary);
        const std::vector<int32_t> asked(tokens.begin(), tokens.begin() + held + more);
        const std::vector<float> expected = all_at_once(other, vocabulary, asked);
        const std::vector<float> expected_one_more = all_at_once(other, vocabulary, tokens);
        const std::vector<float> expected_held = all_at_once(other, vocabulary, {tokens.begin(), tokens.begin() + held});
        const uint32_t rewound = held + 3;
        std::vector<int32_t> way = {tokens.begin(), tokens.begin() + rewound};
        for (uint32_t i = 0; i < 9; ++i) way.push_back(tokens[i + 7]);
        const std::vector<float> expected_way = all_at_once(other, vocabulary, way);

        // A few pieces in every batch and every stage.
        for (uint32_t pieces = 0; pieces < 80; pieces += boundary ? 7 : 3) {
            CAPTURE(pieces);
            const auto pause = [&] {
                REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
                REQUIRE(linnet_evaluate(session, tokens.data(), held, &error) == LINNET_OK);
                begin(session, tokens, held, more);
                linnet_progress progress{};
                for (uint32_t i = 0; i < pieces && progress.done == 0; ++i) {
                    REQUIRE(linnet_evaluate_continue(session, 0, &progress, &error) == LINNET_OK);
                }
                return progress.done != 0;
            };
            // Another session evaluates and is rewound.
            if (pause()) break;
            REQUIRE(linnet_evaluate(other, tokens.data() + 1, 3, &error) == LINNET_OK);
            REQUIRE(linnet_rewind(other, 1, &error) == LINNET_OK);
            go_on(session);
            CHECK(same_bits(logits_of(session, vocabulary), expected));
            // Two paused ones take turns.
            REQUIRE(linnet_rewind(other, 0, &error) == LINNET_OK);
            pause();
            begin(other, tokens, 0, held);
            go_on(other, 4);
            go_on(session, 2);
            go_on(other);
            CHECK(same_bits(logits_of(other, vocabulary), expected_held));
            go_on(session);
            CHECK(same_bits(logits_of(session, vocabulary), expected));
            // More tokens follow those that were begun.
            pause();
            REQUIRE(linnet_evaluate(session, &tokens[held + more], 1, &error) == LINNET_OK);
            CHECK(linnet_length(session) == held + more + 1);
            CHECK(same_bits(logits_of(session, vocabulary), expected_one_more));
            // Rewound into what was begun, and another way from there.
            pause();
            REQUIRE(linnet_rewind(session, rewound, &error) == LINNET_OK);
            CHECK(linnet_evaluate_continue(session, 0, nullptr, &error) == LINNET_BAD_ARGUMENT);
            begin(session, way, rewound, 9);
            go_on(session);
            CHECK(same_bits(logits_of(session, vocabulary), expected_way));
            // Stopped: the tokens of finished batches stay.
            pause();
            linnet_stop(model.model());
            linnet_progress progress{};
            CHECK(linnet_evaluate_continue(session, 0, &progress, &error) == LINNET_CANCELLED);
            CHECK(progress.done == 0);
            const uint32_t length = linnet_length(session);
            CHECK((length == held || length == held + 8));
            CHECK(linnet_evaluate_continue(session, 0, nullptr, &error) == LINNET_BAD_ARGUMENT);
            REQUIRE(linnet_evaluate(session, tokens.data() + length, held + more - length, &error) == LINNET_OK);
            CHECK(same_bits(logits_of(session, vocabulary), expected));
            // Closed: the next session in its place has nothing of it.
            pause();
            linnet_session_close(session);
            session = model.session();
            CHECK(same_bits(all_at_once(session, vocabulary, asked), expected));
        }
    }
}

TEST_CASE("progress counts to the end, time is kept, and nothing begun is nothing to go on with") {
    static uint64_t clock;
    clock = 0;
    TestModel model(
        "tiny", [](linnet_options& options) { options.batch = 16; },
        [](linnet_platform& platform) { platform.ticks = [](void*) -> uint64_t { return clock += 100; }; });
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_session* session = model.session();
    linnet_error error;
    linnet_progress progress{};
    CHECK(linnet_evaluate_continue(session, 1000, &progress, &error) == LINNET_BAD_ARGUMENT);
    const std::vector<int32_t> tokens = some_tokens(50, vocabulary);
    CHECK(linnet_evaluate_begin(session, tokens.data(), 0, &error) == LINNET_BAD_ARGUMENT);
    begin(session, tokens, 0, 50);
    float before = 0;
    uint32_t calls = 0;
    while (progress.done == 0) {
        REQUIRE(linnet_evaluate_continue(session, 500, &progress, &error) == LINNET_OK);
        CHECK(progress.tokens == 50);
        CHECK(progress.tokens_done > before);
        before = progress.tokens_done;
        ++calls;
    }
    CHECK(progress.tokens_done == 50.0f);
    // Five pieces a call: four batches of nine stages of each layer, and the last row.
    linnet_info info;
    linnet_get_info(model.model(), &info);
    CHECK(calls == (4 * (9 * info.layers + 1) + 4) / 5);
    linnet_stats stats;
    linnet_get_stats(session, &stats);
    CHECK(stats.prefill_tokens == 50);
    CHECK(stats.prefill_microseconds >= calls * 500 - 400);
    begin(session, tokens, 3, 1);
    REQUIRE(linnet_evaluate_continue(session, 1000000, &progress, &error) == LINNET_OK);
    CHECK(progress.done == 1);
    linnet_get_stats(session, &stats);
    CHECK(stats.decode_tokens == 1);
}
