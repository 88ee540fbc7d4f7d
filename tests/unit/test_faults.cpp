// Storage that breaks, at every place where it can: each failure is a sentence, and what was there before it still works.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "platform/fake/fake.h"
#include "platform/posix/posix.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

// A model over the fake platform; open() may be called again and again.
class FaultyModel {
public:
    explicit FaultyModel(const std::string& shape) : fake_(synth_bytes(shape)) {
        options_ = linnet_default_options();
        options_.context = 64;
        options_.batch = 4;
        linnet_error error;
        REQUIRE(linnet_make_plan(&fake_.platform(), &options_, &plan_, &error) == LINNET_OK);
        REQUIRE(memory_.allocate(static_cast<size_t>(plan_.total_bytes)));
    }

    linnet_status open(linnet_error& error) {
        return linnet_open(&fake_.platform(), &options_, memory_.data(), memory_.size(), &model_, &error);
    }
    linnet_session* session() {
        linnet_session* session = nullptr;
        linnet_error error;
        REQUIRE(linnet_session_open(model_, &session, &error) == LINNET_OK);
        return session;
    }
    std::vector<float> logits(const linnet_session* session) const {
        linnet_info info;
        linnet_get_info(model_, &info);
        const float* row = linnet_logits(session);
        REQUIRE(row != nullptr);
        return {row, row + info.vocabulary};
    }

    FakePlatform fake_;

private:
    linnet_options options_;
    linnet_plan plan_{};
    ArenaMemory memory_;
    linnet_model* model_ = nullptr;
};

bool is_sentence(const linnet_error& error) {
    const size_t length = strlen(error.text);
    return length >= 8 && length < sizeof error.text && error.text[length - 1] == '.';
}

const std::vector<int32_t> tokens = {1, 5, 9, 2, 30, 7, 7, 11, 3, 12, 40};

// Evaluates what is missing of `tokens`, however much of them a failure has left.
linnet_status go_on(linnet_session* session, linnet_error& error) {
    const uint32_t length = linnet_length(session);
    REQUIRE(length <= tokens.size());
    REQUIRE(memcmp(linnet_tokens(session), tokens.data(), length * sizeof(int32_t)) == 0);
    return linnet_evaluate(session, tokens.data() + length, tokens.size() - length, &error);
}

const char* const shapes[] = {"tiny", "tiny-longrope", "tiny-llama"};

}  // namespace

TEST_CASE("a read that fails while a model opens is a sentence, at every read") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        FaultyModel model(shape);
        linnet_error error;
        REQUIRE(model.open(error) == LINNET_OK);
        model.fake_.restart({});
        REQUIRE(model.open(error) == LINNET_OK);
        const uint64_t reads = model.fake_.reads();
        REQUIRE(reads > 10);
        for (uint64_t n = 1; n <= reads; ++n) {
            CAPTURE(n);
            Faults faults;
            faults.fail_read = n;
            faults.half_done = n % 2 == 0;
            faults.fail_from_then_on = n % 3 == 0;
            model.fake_.restart(faults);
            CHECK(model.open(error) == LINNET_IO);
            CHECK(is_sentence(error));
        }
        model.fake_.restart({});
        CHECK(model.open(error) == LINNET_OK);
    }
}

TEST_CASE("a wrong byte while a model opens is found or does no harm, at every read") {
    FaultyModel model("tiny");
    linnet_error error;
    model.fake_.restart({});
    REQUIRE(model.open(error) == LINNET_OK);
    const uint64_t reads = model.fake_.reads();
    uint64_t found = 0;
    for (uint64_t n = 1; n <= reads; ++n) {
        CAPTURE(n);
        Faults faults;
        faults.corrupt_read = n;
        model.fake_.restart(faults);
        const linnet_status status = model.open(error);
        CHECK((status == LINNET_OK || status == LINNET_BAD_FILE));
        if (status == LINNET_OK) continue;
        ++found;
        CHECK(is_sentence(error));
    }
    // What is left is read once more after its checksum was compared: the name, single letters of the tokenizer.
    CHECK(found + 6 >= reads);
}

TEST_CASE("loading stops when it is asked to, at every yield") {
    FaultyModel model("tiny");
    linnet_error error;
    model.fake_.restart({});
    REQUIRE(model.open(error) == LINNET_OK);
    const uint64_t yields = model.fake_.yields();
    REQUIRE(yields > 1);
    for (uint64_t n = 1; n <= yields; ++n) {
        Faults faults;
        faults.cancel_yield = n;
        model.fake_.restart(faults);
        CHECK(model.open(error) == LINNET_CANCELLED);
        CHECK(is_sentence(error));
    }
}

TEST_CASE("a session goes on after every failure, with the same bits") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        FaultyModel model(shape);
        linnet_error error;
        REQUIRE(model.open(error) == LINNET_OK);
        linnet_session* session = model.session();
        model.fake_.restart({});
        REQUIRE(go_on(session, error) == LINNET_OK);
        const std::vector<float> expected = model.logits(session);
        const uint64_t reads = model.fake_.reads();
        const uint64_t yields = model.fake_.yields();
        linnet_session_close(session);

        for (uint64_t n = 1; n <= reads; ++n) {
            CAPTURE(n);
            session = model.session();
            Faults faults;
            faults.fail_read = n;
            faults.half_done = n % 2 == 0;
            model.fake_.restart(faults);
            // Once: it is read again, and nobody notices.
            CHECK(go_on(session, error) == LINNET_OK);
            CHECK(model.logits(session) == expected);
            linnet_session_close(session);
            session = model.session();
            faults.fail_from_then_on = true;
            model.fake_.restart(faults);
            CHECK(go_on(session, error) == LINNET_IO);
            CHECK(is_sentence(error));
            CHECK(linnet_logits(session) == nullptr);
            model.fake_.restart({});
            CHECK(go_on(session, error) == LINNET_OK);
            CHECK(model.logits(session) == expected);
            linnet_session_close(session);
        }
        for (uint64_t n = 1; n <= yields; ++n) {
            CAPTURE(n);
            session = model.session();
            Faults faults;
            faults.cancel_yield = n;
            model.fake_.restart(faults);
            CHECK(go_on(session, error) == LINNET_CANCELLED);
            CHECK(is_sentence(error));
            CHECK(go_on(session, error) == LINNET_OK);
            CHECK(model.logits(session) == expected);
            linnet_session_close(session);
        }
    }
}

TEST_CASE("generation that meets an error leaves a session that goes on") {
    FaultyModel model("tiny");
    linnet_error error;
    REQUIRE(model.open(error) == LINNET_OK);
    const auto generate = [&](linnet_session* session, linnet_status expected) {
        linnet_generation generation = linnet_default_generation();
        generation.sampling.temperature = 0;
        generation.max_tokens = 12;
        generation.ignore_end = 1;
        linnet_generated generated;
        CHECK(linnet_generate(session, &generation, &generated, &error) == expected);
    };
    linnet_session* session = model.session();
    model.fake_.restart({});
    REQUIRE(go_on(session, error) == LINNET_OK);
    const uint64_t before = model.fake_.reads();
    generate(session, LINNET_OK);
    const uint64_t reads = model.fake_.reads() - before;
    REQUIRE(reads > 4);
    const std::vector<int32_t> expected(linnet_tokens(session), linnet_tokens(session) + linnet_length(session));
    linnet_session_close(session);
    for (uint64_t n = 1; n <= reads; ++n) {
        CAPTURE(n);
        session = model.session();
        Faults faults;
        faults.fail_read = before + n;
        faults.fail_from_then_on = true;
        model.fake_.restart(faults);
        REQUIRE(go_on(session, error) == LINNET_OK);
        generate(session, LINNET_IO);
        CHECK(is_sentence(error));
        model.fake_.restart({});
        REQUIRE(linnet_rewind(session, static_cast<uint32_t>(tokens.size()) - 1, &error) == LINNET_OK);
        REQUIRE(go_on(session, error) == LINNET_OK);
        generate(session, LINNET_OK);
        CHECK(std::vector<int32_t>(linnet_tokens(session), linnet_tokens(session) + linnet_length(session)) == expected);
        linnet_session_close(session);
    }
}
