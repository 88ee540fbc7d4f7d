#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

struct Heard {
    std::vector<int32_t> tokens;
    std::vector<float> logits;
    std::string text;
    size_t stop_after = SIZE_MAX;

    static int32_t piece(void* context, int32_t token, float logit, const char* text, size_t bytes) {
        Heard& heard = *static_cast<Heard*>(context);
        heard.text.append(text, bytes);
        if (token < 0) return 0;
        heard.tokens.push_back(token);
        heard.logits.push_back(logit);
        return heard.tokens.size() >= heard.stop_after ? 1 : 0;
    }
};

// Greedy, on past tokens that would end a reply.
linnet_generation greedy(Heard& heard, uint32_t max_tokens) {
    linnet_generation generation = linnet_default_generation();
    generation.sampling.temperature = 0;
    generation.ignore_end = 1;
    generation.max_tokens = max_tokens;
    generation.piece = Heard::piece;
    generation.context = &heard;
    return generation;
}

const int32_t prompt[] = {1, 70, 80, 90, 100};

}  // namespace

TEST_CASE("generate gives what sampling and evaluating by hand gives, with each token's logit") {
    TestModel model("tiny");
    linnet_session* session = model.session();
    linnet_error error;
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    std::vector<int32_t> expected;
    linnet_sampling sampling = linnet_default_sampling();
    sampling.temperature = 0;
    for (int i = 0; i < 20; ++i) {
        int32_t token = -1;
        REQUIRE(linnet_sample(session, &sampling, &token, &error) == LINNET_OK);
        expected.push_back(token);
        REQUIRE(linnet_evaluate(session, &token, 1, &error) == LINNET_OK);
    }
    REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    Heard heard;
    linnet_generation generation = greedy(heard, 20);
    linnet_generated generated;
    REQUIRE(linnet_generate(session, &generation, &generated, &error) == LINNET_OK);
    CHECK(heard.tokens == expected);
    CHECK(generated.finish == LINNET_FINISH_LENGTH);
    CHECK(generated.tokens == 20);
    CHECK(generated.pending_token == expected.back());
    CHECK(linnet_length(session) == 24);  // the last token waits
    CHECK(heard.logits.size() == 20);
    CHECK(heard.logits[0] == doctest::Approx(heard.logits[0]));  // a number
}

TEST_CASE("a seed's random numbers go on from choice to choice, and begin anew when that is asked for") {
    TestModel model("tiny");
    linnet_session* session = model.session();
    linnet_error error;
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    linnet_sampling sampling = linnet_default_sampling();
    sampling.temperature = 5;
    sampling.top_k = 0;
    sampling.top_p = 1;
    sampling.min_p = 0;
    sampling.seed = 7;
    // All from the same logits: only the random numbers differ.
    const auto choices = [&] {
        std::vector<int32_t> tokens(20);
        for (int32_t& token : tokens) REQUIRE(linnet_sample(session, &sampling, &token, &error) == LINNET_OK);
        return tokens;
    };
    const std::vector<int32_t> first = choices();
    CHECK(choices() != first);
    linnet_restart_sampling(session);
    CHECK(choices() == first);
}

TEST_CASE("a stop string ends the text before it, however the tokens cut it") {
    TestModel model("tiny");
    linnet_session* session = model.session();
    linnet_error error;
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    Heard free;
    linnet_generation generation = greedy(free, 60);
    linnet_generated generated;
    REQUIRE(linnet_generate(session, &generation, &generated, &error) == LINNET_OK);
    REQUIRE(free.text.size() > 12);
    // Every stretch of the free text is a stop string in its turn: the text then ends where it first comes up.
    int tried = 0;
    for (size_t at = 0; at + 6 < free.text.size() && tried < 24; at += 2) {
        for (size_t bytes : {size_t{1}, size_t{3}, size_t{6}}) {
            const std::string stop = free.text.substr(at, bytes);
            if (stop.find('\0') != std::string::npos) continue;
            ++tried;
            REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
            REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
            Heard heard;
            generation = greedy(heard, 60);
            const char* stops[] = {"never in this text", stop.c_str()};
            generation.stops = stops;
            generation.stop_count = 2;
            REQUIRE(linnet_generate(session, &generation, &generated, &error) == LINNET_OK);
            CHECK(heard.text == free.text.substr(0, free.text.find(stop)));
            CHECK(generated.finish == LINNET_FINISH_STOP);
        }
    }
    CHECK(tried > 0);
    // A stop string that only begins holds text back, and loses none of it.
    const std::string beginning = free.text.substr(free.text.size() - 3) + "and more that never comes";
    REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    Heard heard;
    generation = greedy(heard, 60);
    const char* stops[] = {beginning.c_str()};
    generation.stops = stops;
    generation.stop_count = 1;
    REQUIRE(linnet_generate(session, &generation, &generated, &error) == LINNET_OK);
    CHECK(heard.text == free.text);
}

TEST_CASE("the context's end ends a generation, and the session stays usable") {
    TestModel model("tiny", [](linnet_options& options) { options.context = 16; });
    linnet_session* session = model.session();
    linnet_error error;
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    Heard heard;
    linnet_generation generation = greedy(heard, 0);
    linnet_generated generated;
    REQUIRE(linnet_generate(session, &generation, &generated, &error) == LINNET_OK);
    CHECK(generated.finish == LINNET_FINISH_CONTEXT);
    CHECK(linnet_length(session) == 16);
    CHECK(generated.tokens == 12);  // 11 evaluated, and one more that has no room
    CHECK(linnet_evaluate(session, prompt, 1, &error) == LINNET_DOES_NOT_FIT);
    CHECK(std::string(error.text).find("16 tokens") != std::string::npos);
    REQUIRE(linnet_rewind(session, 8, &error) == LINNET_OK);
    CHECK(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
}

TEST_CASE("the callback and linnet_stop end a generation") {
    TestModel model("tiny");
    linnet_session* session = model.session();
    linnet_error error;
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    Heard heard;
    heard.stop_after = 3;
    linnet_generation generation = greedy(heard, 50);
    linnet_generated generated;
    REQUIRE(linnet_generate(session, &generation, &generated, &error) == LINNET_OK);
    CHECK(generated.finish == LINNET_FINISH_CANCELLED);
    CHECK(heard.tokens.size() == 3);
    linnet_stop(model.model());
    REQUIRE(linnet_evaluate(session, prompt, 1, &error) == LINNET_CANCELLED);
    REQUIRE(linnet_evaluate(session, prompt, 1, &error) == LINNET_OK);  // asked once, stopped once
}

TEST_CASE("what a generation cannot be is refused") {
    TestModel model("tiny");
    linnet_session* session = model.session();
    linnet_error error;
    Heard heard;
    linnet_generation generation = greedy(heard, 5);
    linnet_generated generated;
    CHECK(linnet_generate(session, &generation, &generated, &error) == LINNET_BAD_ARGUMENT);  // nothing evaluated yet
    REQUIRE(linnet_evaluate(session, prompt, 5, &error) == LINNET_OK);
    const char* empty[] = {""};
    generation.stops = empty;
    generation.stop_count = 1;
    CHECK(linnet_generate(session, &generation, &generated, &error) == LINNET_BAD_ARGUMENT);
    const std::string long_stop(LINNET_MAX_STOP_BYTES + 1, 'x');
    const char* too_long[] = {long_stop.c_str()};
    generation.stops = too_long;
    CHECK(linnet_generate(session, &generation, &generated, &error) == LINNET_BAD_ARGUMENT);
    generation.stop_count = LINNET_MAX_STOPS + 1;
    CHECK(linnet_generate(session, &generation, &generated, &error) == LINNET_BAD_ARGUMENT);
    generation.stop_count = 0;
    generation.text_flags = 64;
    CHECK(linnet_generate(session, &generation, &generated, &error) == LINNET_BAD_ARGUMENT);
    generation.text_flags = 0;
    generation.sampling.top_p = 2;
    CHECK(linnet_generate(session, &generation, &generated, &error) == LINNET_BAD_ARGUMENT);
}
