// Copied and saved sessions go on with the same bits; damaged, foreign and hostile snapshots are refused with a sentence.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/base/crc32c.h"
#include "core/linnet.h"
#include "core/session/snapshot.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

const char* const shapes[] = {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"};

std::vector<uint8_t> saved(const linnet_session* session) {
    std::vector<uint8_t> bytes;
    linnet_error error;
    const linnet_status status = linnet_snapshot_save(
        session,
        [](void* context, const void* from, size_t count) -> int32_t {
            const uint8_t* at = static_cast<const uint8_t*>(from);
            std::vector<uint8_t>& to = *static_cast<std::vector<uint8_t>*>(context);
            to.insert(to.end(), at, at + count);
            return 0;
        },
        &bytes, &error);
    REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
    CHECK(bytes.size() == linnet_snapshot_bytes(session));
    return bytes;
}

linnet_status restored(linnet_session* session, const std::vector<uint8_t>& bytes, linnet_error& error) {
    struct From {
        const std::vector<uint8_t>* bytes;
        size_t at;
    } from{&bytes, 0};
    return linnet_snapshot_restore(
        session, bytes.size(),
        [](void* context, void* to, size_t count) -> int32_t {
            From& source = *static_cast<From*>(context);
            if (count > source.bytes->size() - source.at) return -1;
            memcpy(to, source.bytes->data() + source.at, count);
            source.at += count;
            return 0;
        },
        &from, &error);
}

linnet_status restored(linnet_session* session, const std::vector<uint8_t>& bytes) {
    linnet_error error;
    const linnet_status status = restored(session, bytes, error);
    INFO(error.text);
    if (status != LINNET_OK) {
        CHECK(strlen(error.text) > 20);
        CHECK(linnet_length(session) == 0);
        CHECK(linnet_logits(session) == nullptr);
    }
    return status;
}

void evaluate(linnet_session* session, const std::vector<int32_t>& tokens) {
    linnet_error error;
    REQUIRE(linnet_evaluate(session, tokens.data(), tokens.size(), &error) == LINNET_OK);
}

bool same_logits(const linnet_session* a, const linnet_session* b, uint32_t vocabulary) {
    const float* x = linnet_logits(a);
    const float* y = linnet_logits(b);
    if (x == nullptr || y == nullptr) return x == y;
    return memcmp(x, y, vocabulary * sizeof(float)) == 0;
}

// Both go on in the same way: with tokens, with random choices, and after a rewind.
void check_same_future(linnet_session* a, linnet_session* b, uint32_t vocabulary) {
    linnet_error error;
    REQUIRE(linnet_length(a) == linnet_length(b));
    CHECK(memcmp(linnet_tokens(a), linnet_tokens(b), linnet_length(a) * sizeof(int32_t)) == 0);
    CHECK(same_logits(a, b, vocabulary));
    linnet_sampling sampling = linnet_default_sampling();
    sampling.temperature = 3;
    sampling.seed = 99;
    for (int i = 0; i < 5; ++i) {
        int32_t token[2] = {-1, -2};
        if (linnet_logits(a) == nullptr) {
            token[0] = token[1] = 7;
        } else {
            REQUIRE(linnet_sample(a, &sampling, &token[0], &error) == LINNET_OK);
            REQUIRE(linnet_sample(b, &sampling, &token[1], &error) == LINNET_OK);
        }
        CHECK(token[0] == token[1]);
        evaluate(a, {token[0]});
        evaluate(b, {token[0]});
        CHECK(same_logits(a, b, vocabulary));
    }
    for (const uint32_t back : {6u, 20u, 1000u}) {
        const uint32_t length = linnet_length(a) > back ? linnet_length(a) - back : 0;
        for (linnet_session* session : {a, b}) {
            REQUIRE(linnet_rewind(session, length, &error) == LINNET_OK);
            evaluate(session, {3, 1, 4, 1, 5, 9});
        }
        CHECK(same_logits(a, b, vocabulary));
    }
}

// A header that says what `change` makes of it, with a right checksum.
template <typename Change>
std::vector<uint8_t> with_header(std::vector<uint8_t> bytes, const Change& change) {
    SnapshotHeader header = load<SnapshotHeader>(bytes.data());
    change(header);
    header.header_crc = crc32c(0, &header, sizeof header - 4);
    store(bytes.data(), header);
    store(bytes.data() + bytes.size() - 4, crc32c(0, bytes.data(), bytes.size() - 4));
    return bytes;
}

}  // namespace

TEST_CASE("a copied and a restored session go on with the same bits, in every KV format") {
    for (const char* shape : shapes) {
        for (const uint32_t format : {LINNET_KV_INT8, LINNET_KV_INT4, LINNET_KV_F16, LINNET_KV_F32}) {
            CAPTURE(shape);
            CAPTURE(format);
            const auto options = [=](linnet_options& to) {
                to.sessions = 3;
                to.batch = 8;
                to.kv_format = format;
            };
            TestModel model(shape, options);
            // Opened elsewhere, with a ring of another length.
            TestModel elsewhere(shape, [=](linnet_options& to) {
                options(to);
                to.batch = 24;
            });
            TestModel shorter(shape, [=](linnet_options& to) {
                options(to);
                to.batch = 1;
            });
            const uint32_t vocabulary = vocabulary_of(model);
            FileHeader header;
            memcpy(&header, synth_bytes(shape).data(), sizeof header);
            const uint32_t boundary = (header.config.flags & long_rope) != 0 ? header.config.original_context : 40;
            for (const uint32_t length : {0u, 1u, 13u, boundary - 2, boundary + 30}) {
                CAPTURE(length);
                const std::vector<int32_t> tokens = some_tokens(length, vocabulary);
                linnet_session* session = model.session();
                linnet_session* other = model.session();
                linnet_session* far = elsewhere.session();
                linnet_session* third = shorter.session();
                evaluate(other, {1, 2, 3});
                if (length != 0) evaluate(session, tokens);
                linnet_error error;
                // Some random numbers are used up.
                linnet_sampling sampling = linnet_default_sampling();
                sampling.seed = 99;
                int32_t token = 0;
                if (length != 0) REQUIRE(linnet_sample(session, &sampling, &token, &error) == LINNET_OK);
                const std::vector<uint8_t> bytes = saved(session);
                REQUIRE(linnet_session_copy(other, session, &error) == LINNET_OK);
                REQUIRE(restored(far, bytes) == LINNET_OK);
                REQUIRE(restored(third, bytes) == LINNET_OK);
                linnet_session* again = model.session();
                REQUIRE(restored(again, bytes) == LINNET_OK);
                CHECK(saved(again) == bytes);
                check_same_future(session, other, vocabulary);
                REQUIRE(restored(session, bytes) == LINNET_OK);
                check_same_future(session, far, vocabulary);
                REQUIRE(restored(session, bytes) == LINNET_OK);
                check_same_future(session, third, vocabulary);
                for (linnet_session* open : {session, other, again}) linnet_session_close(open);
                linnet_session_close(far);
                linnet_session_close(third);
            }
        }
    }
}

TEST_CASE("a session is copied and saved in the middle of an evaluation, and after a rewind") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        TestModel model(shape, [](linnet_options& to) {
            to.sessions = 4;
            to.batch = 8;
        });
        const uint32_t vocabulary = vocabulary_of(model);
        const std::vector<int32_t> tokens = some_tokens(40, vocabulary);
        linnet_session* session = model.session();
        linnet_session* other = model.session();
        linnet_session* again = model.session();
        linnet_session* plain = model.session();
        linnet_error error;
        REQUIRE(linnet_evaluate_begin(session, tokens.data(), 40, &error) == LINNET_OK);
        for (int i = 0; i < 30; ++i) REQUIRE(linnet_evaluate_continue(session, 0, nullptr, &error) == LINNET_OK);
        REQUIRE(linnet_session_copy(other, session, &error) == LINNET_OK);
        REQUIRE(restored(again, saved(session)) == LINNET_OK);
        CHECK(linnet_length(other) == 40);
        CHECK(linnet_logits(again) == nullptr);
        linnet_progress progress{};
        while (progress.done == 0) REQUIRE(linnet_evaluate_continue(session, 0, &progress, &error) == LINNET_OK);
        evaluate(plain, tokens);
        CHECK(same_logits(session, plain, vocabulary));
        for (linnet_session* one : {session, other, again, plain}) evaluate(one, {5, 6});
        for (linnet_session* one : {session, other, again}) CHECK(same_logits(one, plain, vocabulary));
        REQUIRE(linnet_rewind(session, 30, &error) == LINNET_OK);
        REQUIRE(linnet_rewind(plain, 30, &error) == LINNET_OK);
        REQUIRE(linnet_session_copy(other, session, &error) == LINNET_OK);
        REQUIRE(restored(again, saved(session)) == LINNET_OK);
        check_same_future(plain, other, vocabulary);
        REQUIRE(linnet_rewind(session, 30, &error) == LINNET_OK);
        check_same_future(session, again, vocabulary);
    }
}

TEST_CASE("a snapshot of another model, KV format or a larger context is refused") {
    const auto two = [](linnet_options& to) { to.sessions = 2; };
    TestModel model("tiny", two);
    linnet_session* session = model.session();
    evaluate(session, some_tokens(20, vocabulary_of(model)));
    const std::vector<uint8_t> bytes = saved(session);
    TestModel llama("tiny-llama", two);
    CHECK(restored(llama.session(), bytes) == LINNET_BAD_ARGUMENT);
    TestModel wide("tiny", [](linnet_options& to) { to.kv_format = LINNET_KV_F16; });
    CHECK(restored(wide.session(), bytes) == LINNET_BAD_ARGUMENT);
    TestModel small("tiny", [](linnet_options& to) { to.context = 19; });
    CHECK(restored(small.session(), bytes) == LINNET_DOES_NOT_FIT);
    TestModel enough("tiny", [](linnet_options& to) { to.context = 20; });
    CHECK(restored(enough.session(), bytes) == LINNET_OK);
    CHECK(restored(model.session(), with_header(bytes, [](SnapshotHeader& h) { h.model_weights_crc ^= 1; })) ==
          LINNET_BAD_ARGUMENT);
    linnet_error error;
    CHECK(linnet_session_copy(session, llama.session(), &error) == LINNET_BAD_ARGUMENT);
    CHECK(linnet_length(session) == 20);
}

TEST_CASE("damaged and hostile snapshots are refused, and the session is empty and usable") {
    TestModel model("tiny-window", [](linnet_options& to) {
        to.sessions = 2;
        to.batch = 4;
    });
    const uint32_t vocabulary = vocabulary_of(model);
    linnet_session* session = model.session();
    evaluate(session, some_tokens(60, vocabulary));
    const std::vector<uint8_t> bytes = saved(session);
    linnet_session* to = model.session();
    REQUIRE(restored(to, bytes) == LINNET_OK);

    for (size_t at = 0; at < bytes.size(); at += at < sizeof(SnapshotHeader) + 8 ? 1 : 997) {
        std::vector<uint8_t> broken = bytes;
        broken[at] ^= static_cast<uint8_t>(1 << at % 8);
        CAPTURE(at);
        CHECK(restored(to, broken) == LINNET_BAD_FILE);
    }
    for (size_t length = 0; length < bytes.size(); length += length < 200 ? 1 : 1999) {
        CAPTURE(length);
        CHECK(restored(to, {bytes.begin(), bytes.begin() + static_cast<long>(length)}) == LINNET_BAD_FILE);
    }
    std::vector<uint8_t> longer = bytes;
    longer.push_back(0);
    CHECK(restored(to, longer) == LINNET_BAD_FILE);

    // Headers that lie, with checksums that are right.
    const auto lie = [&](auto change) { return restored(to, with_header(bytes, change)); };
    CHECK(lie([](SnapshotHeader& h) { h.length = 0xffffffff; }) == LINNET_DOES_NOT_FIT);
    CHECK(lie([](SnapshotHeader& h) { h.length = 61; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.cached = 61; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.cached = 10; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.first = 59; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.first = 0; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.has_logits = 0; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.has_logits = 2; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.cached_long = 1; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.bytes += 4; }) == LINNET_BAD_FILE);
    CHECK(lie([](SnapshotHeader& h) { h.version = snapshot_version + 1; }) == LINNET_BAD_FILE);
    std::vector<uint8_t> outside = bytes;
    store(outside.data() + sizeof(SnapshotHeader) + 40, static_cast<int32_t>(vocabulary));
    CHECK(restored(to, with_header(outside, [](SnapshotHeader&) {})) == LINNET_BAD_FILE);

    evaluate(to, some_tokens(60, vocabulary));
    CHECK(same_logits(to, session, vocabulary));

    // A disk that is full.
    linnet_error error;
    CHECK(
        linnet_snapshot_save(session, [](void*, const void*, size_t) -> int32_t { return 28; }, nullptr, &error) == LINNET_IO);
    CHECK(linnet_length(session) == 60);
}
