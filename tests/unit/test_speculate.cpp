// Speculation changes how many passes there are, and nothing else: everything that can be seen of a generation and of its session
// afterwards is compared with the same generation without it.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "core/session/draft.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

const char* const shapes[] = {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"};

// All that is left behind.
struct Outcome {
    std::vector<int32_t> chosen;
    std::vector<float> logits;  // of the chosen tokens
    std::string text;
    linnet_generated generated{};
    std::vector<int32_t> held;  // the session's tokens
    std::vector<float> row;     // linnet_logits
    std::vector<int32_t> more;  // what sampling brings afterwards: where the random numbers are
    size_t stop_after = SIZE_MAX;

    static int32_t piece(void* context, int32_t token, float logit, const char* text, size_t bytes) {
        return static_cast<Outcome*>(context)->take(token, logit, text, bytes);
    }
    int32_t take(int32_t token, float logit, const char* piece_text, size_t bytes) {
        if (bytes != 0) text.append(piece_text, bytes);
        if (token < 0) return 0;
        chosen.push_back(token);
        logits.push_back(logit);
        return chosen.size() >= stop_after ? 1 : 0;
    }
    void look_at(linnet_session* session, uint32_t vocabulary, const linnet_sampling& sampling) {
        held.assign(linnet_tokens(session), linnet_tokens(session) + linnet_length(session));
        const float* at = linnet_logits(session);
        if (at == nullptr) return;
        row.assign(at, at + vocabulary);
        linnet_error error;
        more.resize(3);
        for (int32_t& token : more) REQUIRE(linnet_sample(session, &sampling, &token, &error) == LINNET_OK);
    }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

void check_same(const Outcome& with, const Outcome& without) {
    CHECK(with.chosen == without.chosen);
    CHECK(same_bits(with.logits, without.logits));
    CHECK(with.text == without.text);
    CHECK(with.generated.finish == without.generated.finish);
    CHECK(with.generated.tokens == without.generated.tokens);
    CHECK(with.generated.end_token == without.generated.end_token);
    CHECK(with.generated.pending_token == without.generated.pending_token);
    CHECK(with.held == without.held);
    CHECK(same_bits(with.row, without.row));
    CHECK(with.more == without.more);
    // Every token that was evaluated came out of a pass or was accepted.
    CHECK(with.generated.passes + with.generated.accepted == without.generated.passes);
    CHECK(with.generated.accepted <= with.generated.drafted);
    CHECK(without.generated.drafted == 0);
}

// A text that repeats itself.
std::vector<int32_t> repetitive(uint32_t vocabulary, size_t count, size_t period = 11) {
    const std::vector<int32_t> once = some_tokens(period, vocabulary);
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < count; ++i) tokens.push_back(once[i % period]);
    return tokens;
}

linnet_generation settings(uint32_t max_tokens, uint32_t speculate) {
    linnet_generation generation = linnet_default_generation();
    generation.sampling.temperature = 0;
    generation.ignore_end = 1;
    generation.max_tokens = max_tokens;
    generation.speculate = speculate;
    return generation;
}

Outcome generate(TestModel& model, linnet_session* session, const std::vector<int32_t>& prompt, linnet_generation generation,
                 size_t stop_after = SIZE_MAX) {
    linnet_error error;
    Outcome outcome;
    outcome.stop_after = stop_after;
    generation.piece = Outcome::piece;
    generation.context = &outcome;
    linnet_restart_sampling(session);
    REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(session, prompt.data(), prompt.size(), &error) == LINNET_OK);
    const linnet_status status = linnet_generate(session, &generation, &outcome.generated, &error);
    REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
    outcome.look_at(session, vocabulary_of(model), generation.sampling);
    return outcome;
}

// The same twice, without and with; returns how many guesses came true.
uint32_t compare(TestModel& model, linnet_session* session, const std::vector<int32_t>& prompt, linnet_generation generation,
                 size_t stop_after = SIZE_MAX) {
    generation.speculate = LINNET_SPECULATE_OFF;
    const Outcome without = generate(model, session, prompt, generation, stop_after);
    generation.speculate = LINNET_SPECULATE_ON;
    const Outcome with = generate(model, session, prompt, generation, stop_after);
    check_same(with, without);
    return with.generated.accepted;
}

std::vector<linnet_sampling> samplings() {
    linnet_sampling greedy = linnet_default_sampling();
    greedy.temperature = 0;
    linnet_sampling penalised = greedy;
    penalised.repetition_penalty = 1.3f;
    penalised.repetition_window = 7;
    linnet_sampling seeded = linnet_default_sampling();
    seeded.temperature = 0.05f;
    seeded.seed = 5;
    linnet_sampling both = seeded;
    both.repetition_penalty = 1.02f;
    both.repetition_window = 0;
    linnet_sampling wild = linnet_default_sampling();
    wild.temperature = 3;
    wild.top_k = 5;
    wild.seed = 9;
    return {greedy, penalised, seeded, both, wild};
}

}  // namespace

TEST_CASE("the longest end of the tokens that was there before is found, the last of several") {
    const auto find = [](const std::vector<int32_t>& tokens, uint32_t longest) {
        return find_repeat(tokens.data(), static_cast<uint32_t>(tokens.size()), longest);
    };
    CHECK(find({}, 8).matched == 0);
    CHECK(find({4}, 8).matched == 0);
    CHECK(find({1, 2, 3}, 8).matched == 0);
    CHECK(find({7, 7}, 8).at == 1);
    Repeat repeat = find({1, 2, 3, 9, 2, 3, 8, 3, 5, 1, 2, 3}, 8);
    CHECK(repeat.matched == 3);
    CHECK(repeat.at == 3);
    repeat = find({1, 2, 3, 9, 2, 3, 8, 3, 5, 1, 2, 3}, 2);
    CHECK(repeat.matched == 2);
    CHECK(repeat.at == 6);
    repeat = find({1, 2, 3, 9, 2, 3, 8, 3, 5, 1, 2, 3}, 1);
    CHECK(repeat.matched == 1);
    CHECK(repeat.at == 8);
    repeat = find({6, 6, 6, 6}, 8);
    CHECK(repeat.matched == 3);
    CHECK(repeat.at == 3);
}

TEST_CASE("speculation gives the same tokens, logits, text and random numbers, in every shape and with every sampling") {
    uint32_t accepted = 0;
    for (const char* shape : shapes) {
        CAPTURE(shape);
        TestModel model(shape, [](linnet_options& options) { options.batch = 8; });
        linnet_session* session = model.session();
        const uint32_t vocabulary = vocabulary_of(model);
        for (const size_t length : {5, 23}) {
            for (const linnet_sampling& sampling : samplings()) {
                CAPTURE(sampling.temperature);
                linnet_generation generation = settings(60, 0);
                generation.sampling = sampling;
                const uint32_t here = compare(model, session, repetitive(vocabulary, length), generation);
                if (sampling.temperature == 0 && sampling.repetition_penalty == 1) accepted += here;
            }
        }
    }
    CHECK(accepted > 50);  // a random model repeats itself soon, when it always takes the most likely token
}

TEST_CASE("speculation ends where generation ends without it: at any count, at a stop string, at an end token, when stopped") {
    TestModel model("tiny");
    linnet_session* session = model.session();
    const uint32_t vocabulary = vocabulary_of(model);
    const std::vector<int32_t> prompt = repetitive(vocabulary, 30);
    for (uint32_t count = 1; count <= 40; ++count) {
        CAPTURE(count);
        compare(model, session, prompt, settings(count, 0));
        compare(model, session, prompt, settings(60, 0), count);  // the callback has had enough
    }
    const Outcome free = generate(model, session, prompt, settings(60, LINNET_SPECULATE_OFF));
    REQUIRE(free.text.size() > 30);
    int tried = 0;
    for (size_t at = 3; at + 9 < free.text.size(); at += 5) {
        const std::string stop = free.text.substr(at, 9);
        if (stop.find('\0') != std::string::npos) continue;
        const char* stops[] = {"never in this text", stop.c_str()};
        linnet_generation generation = settings(60, 0);
        generation.stops = stops;
        generation.stop_count = 2;
        compare(model, session, prompt, generation);
        ++tried;
    }
    CHECK(tried > 3);
    linnet_generation generation = settings(60, 0);
    generation.ignore_end = 0;
    compare(model, session, prompt, generation);
}

TEST_CASE("an end token is not guessed, and ends a reply that speculates") {
    // What follows the prompt's last token has been an end token: it must not be computed.
    TestModel model("tiny");
    linnet_session* session = model.session();
    linnet_info info;
    linnet_get_info(model.model(), &info);
    REQUIRE(info.eos_count > 0);
    std::vector<int32_t> prompt = repetitive(info.vocabulary, 20);
    linnet_generation generation = settings(12, 0);
    const Outcome free = generate(model, session, prompt, generation);
    // The whole of the greedy answer, with an end token behind its third token, stands before.
    std::vector<int32_t> marked = free.chosen;
    marked.insert(marked.begin() + 3, info.eos_tokens[0]);
    marked.insert(marked.end(), prompt.begin(), prompt.end());
    generation.ignore_end = 0;
    compare(model, session, marked, generation);
    generation.ignore_end = 1;
    compare(model, session, marked, generation);
}

TEST_CASE("speculation at the context's end and at a LongRoPE boundary computes what is computed without it") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        for (uint32_t context : {32u, 37u}) {
            CAPTURE(context);
            TestModel model(shape, [=](linnet_options& options) { options.context = context; });
            linnet_session* session = model.session();
            const std::vector<int32_t> prompt = repetitive(vocabulary_of(model), 20, 5);
            compare(model, session, prompt, settings(0, 0));
            CHECK(linnet_length(session) == context);
        }
    }
    // tiny-longrope's original context is 64 tokens.
    for (uint32_t batch : {8u, 64u}) {
        TestModel model("tiny-longrope", [=](linnet_options& options) { options.batch = batch; });
        linnet_session* session = model.session();
        linnet_stats before, after;
        for (size_t length = 56; length <= 66; ++length) {
            CAPTURE(length);
            const std::vector<int32_t> prompt = repetitive(vocabulary_of(model), length, 3);
            compare(model, session, prompt, settings(20, 0));
            linnet_get_stats(session, &before);
            const Outcome outcome = generate(model, session, prompt, settings(20, LINNET_SPECULATE_ON));
            linnet_get_stats(session, &after);
            CHECK(outcome.held.size() == length + 19);
            CHECK(after.rebuilds - before.rebuilds <= 2);  // there with the answer, and back with the prompt
        }
    }
}

TEST_CASE("a window's ring of slots keeps what is seen, although refused guesses were written to it") {
    // 16 keys are seen; guesses of seven go round the ring many times.
    for (uint32_t batch : {2u, 8u, 13u}) {
        CAPTURE(batch);
        TestModel model("tiny-window", [=](linnet_options& options) { options.batch = batch; });
        linnet_session* session = model.session();
        linnet_generation generation = settings(200, 0);
        generation.sampling.temperature = 0.3f;
        generation.sampling.seed = 3;
        compare(model, session, repetitive(vocabulary_of(model), 40, 4), generation);
        generation.sampling.temperature = 0;
        CHECK(compare(model, session, repetitive(vocabulary_of(model), 40, 4), generation) > 0);
    }
}

TEST_CASE("without room for two tokens in a pass there is nothing to guess") {
    TestModel model("tiny", [](linnet_options& options) { options.batch = 1; });
    linnet_session* session = model.session();
    const Outcome outcome = generate(model, session, repetitive(vocabulary_of(model), 30), settings(20, LINNET_SPECULATE_ON));
    CHECK(outcome.generated.drafted == 0);
    CHECK(outcome.generated.passes == 19);
    linnet_generation generation = settings(20, LINNET_SPECULATE_OFF + 1);
    linnet_error error;
    CHECK(linnet_generate_begin(session, &generation, &error) == LINNET_BAD_ARGUMENT);
}

TEST_CASE("step by step, with pauses, and with another session in between, a generation is what it is as a whole") {
    TestModel model("tiny", [](linnet_options& options) { options.sessions = 2; });  // no clock: a pause after each piece
    linnet_session* sessions[] = {model.session(), model.session()};
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_error error;
    linnet_step step;
    CHECK(linnet_generate_continue(sessions[0], 0, &step, &error) == LINNET_BAD_ARGUMENT);
    for (const uint32_t speculate : {LINNET_SPECULATE_OFF, LINNET_SPECULATE_ON}) {
        CAPTURE(speculate);
        const std::vector<int32_t> prompts[] = {repetitive(vocabulary, 30), repetitive(vocabulary, 25, 4)};
        const linnet_generation generation = settings(50, speculate);
        Outcome expected[2], stepped[2];
        for (int i = 0; i < 2; ++i) expected[i] = generate(model, sessions[0], prompts[i], generation);
        for (int i = 0; i < 2; ++i) {
            REQUIRE(linnet_rewind(sessions[i], 0, &error) == LINNET_OK);
            REQUIRE(linnet_evaluate(sessions[i], prompts[i].data(), prompts[i].size(), &error) == LINNET_OK);
            linnet_restart_sampling(sessions[i]);
            REQUIRE(linnet_generate_begin(sessions[i], &generation, &error) == LINNET_OK);
        }
        uint32_t pauses = 0;
        for (bool running = true; running;) {
            running = false;
            for (int i = 0; i < 2; ++i) {
                if (stepped[i].generated.finish != 0) continue;
                // A token of one, a token of the other.
                do {
                    REQUIRE(linnet_generate_continue(sessions[i], 0, &step, &error) == LINNET_OK);
                    stepped[i].take(step.token, step.logit, step.text, step.text_bytes);
                    stepped[i].generated = step.generated;
                    pauses += step.paused;
                    // What is guessed is not to be seen.
                    CHECK(linnet_length(sessions[i]) <= prompts[i].size() + stepped[i].chosen.size());
                } while (step.paused != 0);
                running = true;
            }
        }
        CHECK(pauses > 100);
        for (int i = 0; i < 2; ++i) {
            stepped[i].look_at(sessions[i], vocabulary, generation.sampling);
            CHECK(stepped[i].chosen == expected[i].chosen);
            CHECK(same_bits(stepped[i].logits, expected[i].logits));
            CHECK(stepped[i].text == expected[i].text);
            CHECK(stepped[i].generated.finish == expected[i].generated.finish);
            CHECK(stepped[i].held == expected[i].held);
            CHECK(same_bits(stepped[i].row, expected[i].row));
            CHECK(stepped[i].more == expected[i].more);
        }
        CHECK(linnet_generate_continue(sessions[0], 0, &step, &error) == LINNET_BAD_ARGUMENT);
    }
}

TEST_CASE("a generation that is left in the middle leaves a session that goes on rightly") {
    TestModel model("tiny", [](linnet_options& options) { options.sessions = 2; });
    linnet_session* session = model.session();
    linnet_session* fresh = model.session();
    const uint32_t vocabulary = vocabulary_of(model);
    const std::vector<int32_t> prompt = repetitive(vocabulary, 30);
    const linnet_generation generation = settings(60, LINNET_SPECULATE_ON);
    linnet_error error;
    const std::vector<int32_t> further = some_tokens(4, vocabulary);
    for (uint32_t pieces = 1; pieces < 400; pieces += 7) {
        CAPTURE(pieces);
        REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK);
        REQUIRE(linnet_evaluate(session, prompt.data(), prompt.size(), &error) == LINNET_OK);
        REQUIRE(linnet_generate_begin(session, &generation, &error) == LINNET_OK);
        linnet_step step{};
        for (uint32_t i = 0; i < pieces && step.generated.finish == 0; ++i) {
            REQUIRE(linnet_generate_continue(session, 0, &step, &error) == LINNET_OK);
        }
        const bool ended = pieces % 2 == 0;
        if (ended) linnet_generate_end(session, &step);
        REQUIRE(linnet_evaluate(session, further.data(), further.size(), &error) == LINNET_OK);
        CHECK(linnet_generate_continue(session, 0, &step, &error) == LINNET_BAD_ARGUMENT);
        REQUIRE(linnet_set_tokens(fresh, linnet_tokens(session), linnet_length(session), nullptr, &error) == LINNET_OK);
        CHECK(memcmp(linnet_logits(session), linnet_logits(fresh), vocabulary * sizeof(float)) == 0);
    }
    // The end brings what was held back.
    REQUIRE(linnet_set_tokens(session, prompt.data(), prompt.size(), nullptr, &error) == LINNET_OK);
    const Outcome free = generate(model, fresh, prompt, settings(20, LINNET_SPECULATE_ON));
    const std::string stop = free.text.substr(0, 1) + "and more that never comes";
    const char* stops[] = {stop.c_str()};
    linnet_generation held = settings(20, LINNET_SPECULATE_ON);
    held.stops = stops;
    held.stop_count = 1;
    REQUIRE(linnet_generate_begin(session, &held, &error) == LINNET_OK);
    std::string text;
    linnet_step step{};
    while (text.empty() && step.generated.tokens < 3) {
        REQUIRE(linnet_generate_continue(session, UINT32_MAX, &step, &error) == LINNET_OK);
        text.append(step.text, step.text_bytes);
    }
    linnet_generate_end(session, &step);
    CHECK(step.generated.finish == LINNET_FINISH_CANCELLED);
    text.append(step.text, step.text_bytes);
    CHECK(text == free.text.substr(0, text.size()));
    CHECK(!text.empty());
}
