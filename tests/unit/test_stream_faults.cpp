// Storage that breaks while a model streams from it, at every place where it can: what heals itself is not noticed, the rest is a
// sentence, the conversation keeps its tokens, and when the storage is back it goes on with the bits of an undisturbed one.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "core/model/format.h"
#include "platform/fake/fake.h"
#include "platform/posix/posix.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

constexpr uint32_t context = 160;
constexpr size_t prompt = 90;
constexpr size_t all_tokens = 94;

// The smallest ceiling that the refusal of a far smaller one names.
uint64_t smallest_ceiling(const linnet_platform& platform, linnet_options options) {
    options.memory = 1;
    linnet_plan plan;
    linnet_error error;
    REQUIRE(linnet_make_plan(&platform, &options, &plan, &error) == LINNET_DOES_NOT_FIT);
    const std::string text = error.text;
    const size_t at = text.find("would do is ");
    REQUIRE(at != std::string::npos);
    return std::stoull(text.substr(at + 12));
}

// A model under the smallest ceiling: weights stream, and keys and values are put aside.
class Streaming {
public:
    explicit Streaming(const char* shape, bool blocking = false) : fake(synth_bytes(shape)), blocking_(blocking) {
        expected = last_row(0);
        restart({});
        const uint64_t smallest = smallest_ceiling(fake.platform(), options(0));
        open(smallest);
        REQUIRE(plan.streamed_bytes_per_pass > 0);
        REQUIRE(plan.spilled_bytes > 0);
    }

    void restart(Faults faults) {
        faults.blocking = blocking_;
        fake.restart(faults);
    }
    // Evaluates what is missing of the tokens, a prompt and then one after the other.
    linnet_status go_on() {
        while (linnet_length(session) < tokens.size() || linnet_logits(session) == nullptr) {
            const uint32_t length = linnet_length(session);
            const size_t count = length < prompt ? prompt - length : 1;
            const linnet_status status = linnet_evaluate(session, tokens.data() + length, count, &error);
            if (status != LINNET_OK) return status;
        }
        return LINNET_OK;
    }
    void begin_again() { REQUIRE(linnet_rewind(session, 0, &error) == LINNET_OK); }
    bool kept() const {
        const uint32_t length = linnet_length(session);
        return length <= tokens.size() && memcmp(linnet_tokens(session), tokens.data(), length * sizeof(int32_t)) == 0;
    }
    // The row after the last token is the undisturbed one's.
    bool right() const {
        const float* row = linnet_logits(session);
        return row != nullptr && memcmp(row, expected.data(), expected.size() * sizeof(float)) == 0;
    }
    // After a failure: a sentence, the tokens, nothing under way that would be forgotten; then on, with the storage as it was.
    void recover() {
        const size_t length = strlen(error.text);
        CHECK((length >= 8 && length + 1 < sizeof error.text && error.text[length - 1] == '.'));
        CHECK(kept());
        restart({});
        REQUIRE_MESSAGE(go_on() == LINNET_OK, std::string(error.text));
        CHECK(right());
        CHECK(fake.violations() == 0);
    }
    linnet_stats stats() const {
        linnet_stats stats;
        linnet_get_stats(session, &stats);
        return stats;
    }

    FakePlatform fake;
    linnet_plan plan{};
    linnet_error error{};
    linnet_session* session = nullptr;
    std::vector<int32_t> tokens;

private:
    static linnet_options options(uint64_t memory) {
        linnet_options options = linnet_default_options();
        options.context = context;
        options.batch = 16;
        options.kv_format = LINNET_KV_F32;  // that much of them in few tokens
        options.memory = memory;
        return options;
    }
    void open(uint64_t ceiling) {
        const linnet_options chosen = options(ceiling);
        REQUIRE_MESSAGE(linnet_make_plan(&fake.platform(), &chosen, &plan, &error) == LINNET_OK, std::string(error.text));
        REQUIRE(memory_.allocate(static_cast<size_t>(plan.total_bytes)));
        linnet_model* model = nullptr;
        REQUIRE_MESSAGE(linnet_open(&fake.platform(), &chosen, memory_.data(), static_cast<size_t>(plan.total_bytes), &model,
                                    &error) == LINNET_OK,
                        std::string(error.text));
        REQUIRE(linnet_session_open(model, &session, &error) == LINNET_OK);
        linnet_info info;
        linnet_get_info(model, &info);
        tokens = some_tokens(all_tokens, info.vocabulary);
        vocabulary_ = info.vocabulary;
    }
    std::vector<float> last_row(uint64_t ceiling) {
        open(ceiling);
        REQUIRE(go_on() == LINNET_OK);
        const float* row = linnet_logits(session);
        return {row, row + vocabulary_};
    }

    bool blocking_;
    ArenaMemory memory_;
    uint32_t vocabulary_ = 0;
    std::vector<float> expected;
};

// Reads of the file and of the scratch storage that an undisturbed conversation makes; every so many of them are tried.
struct Count {
    uint64_t reads, scratch_reads, scratch_writes, yields;
};

Count count_of(Streaming& model) {
    model.begin_again();
    model.restart({});
    REQUIRE(model.go_on() == LINNET_OK);
    CHECK(model.right());
    return {model.fake.reads(), model.fake.scratch_reads(), model.fake.scratch_writes(), model.fake.yields()};
}

template <typename Try>
void at_some_of(uint64_t count, uint64_t times, const Try& attempt) {
    REQUIRE(count > 0);
    for (uint64_t i = 0; i < times; ++i) attempt(1 + i * (count - 1) / (times > 1 ? times - 1 : 1));
}

}  // namespace

TEST_CASE("a wrong byte, or an error, that comes once heals itself") {
    for (const bool blocking : {false, true}) {
        Streaming model("tiny", blocking);
        const Count count = count_of(model);
        uint32_t rows = 0;
        at_some_of(count.reads, 24, [&](uint64_t n) {
            CAPTURE(n);
            for (const bool wrong : {true, false}) {
                model.begin_again();
                Faults faults;
                (wrong ? faults.corrupt_read : faults.fail_read) = n;
                faults.half_done = n % 2 == 0;
                faults.fail_at_begin = n % 3 == 0;
                model.restart(faults);
                CHECK(model.go_on() == LINNET_OK);
                CHECK(model.right());
                rows += model.fake.bytes_of_read(n) % 4096 != 0 ? 1 : 0;
                CHECK(model.fake.violations() == 0);
            }
        });
        CHECK(rows > 0);  // of the embedding, among them
        at_some_of(count.scratch_reads, 10, [&](uint64_t n) {
            CAPTURE(n);
            for (const bool wrong : {true, false}) {
                model.begin_again();
                Faults faults;
                (wrong ? faults.corrupt_scratch_read : faults.fail_scratch_read) = n;
                faults.fail_at_begin = n % 2 == 0;
                model.restart(faults);
                CHECK(model.go_on() == LINNET_OK);
                CHECK(model.right());
                CHECK(model.fake.violations() == 0);
            }
        });
    }
}

TEST_CASE("wrong bytes that stay are an error that names the chunk, and the conversation goes on when they are right again") {
    for (const bool blocking : {false, true}) {
        Streaming model("tiny", blocking);
        count_of(model);
        FileHeader header;
        memcpy(&header, model.fake.bytes().data(), sizeof header);
        uint32_t named = 0;
        const uint64_t chunks = chunk_count(header.weights_bytes);
        for (uint64_t chunk = 0; chunk < chunks; ++chunk) {
            CAPTURE(chunk);
            model.begin_again();
            Faults faults;
            faults.corrupt_offset = header.weights_offset + chunk * chunk_bytes + chunk_bytes / 2;
            faults.corrupt_bytes = 1;
            model.restart(faults);
            const linnet_status status = model.go_on();
            if (status == LINNET_OK) continue;  // it stays in memory, or nothing of it is needed
            CHECK(status == LINNET_BAD_FILE);
            CHECK(std::string(model.error.text).find("Chunk " + std::to_string(chunk) + " of the model file") == 0);
            ++named;
            model.recover();
        }
        CHECK(named > 0);
    }
}

TEST_CASE("a storage that disappears is a sentence, and when it is back the conversation goes on") {
    for (const bool blocking : {false, true}) {
        Streaming model("tiny", blocking);
        const Count count = count_of(model);
        at_some_of(count.reads, 24, [&](uint64_t n) {
            CAPTURE(n);
            model.begin_again();
            Faults faults;
            faults.fail_read = n;
            faults.fail_from_then_on = true;
            faults.half_done = n % 2 == 0;
            faults.fail_at_begin = n % 3 == 0;
            model.restart(faults);
            const linnet_status status = model.go_on();
            // The last reads may have been for the next pass, which never came.
            CHECK((status == LINNET_IO || (status == LINNET_OK && n + 8 > count.reads)));
            if (status != LINNET_OK) {
                // It stays away: the same again, and nothing is lost by it.
                CHECK(model.go_on() == LINNET_IO);
                model.recover();
            }
        });
    }
}

TEST_CASE("a scratch storage that is full, or breaks, is a sentence, and what was said is computed again") {
    for (const bool blocking : {false, true}) {
        Streaming model("tiny", blocking);
        const Count count = count_of(model);
        const auto attempt = [&](const Faults& faults) {
            model.begin_again();
            model.restart(faults);
            CHECK(model.go_on() == LINNET_IO);
            CHECK(std::string(model.error.text).find("scratch storage") != std::string::npos);
            model.recover();
        };
        at_some_of(count.scratch_writes, 10, [&](uint64_t n) {
            CAPTURE(n);
            Faults faults;
            faults.fail_scratch_write = n;
            attempt(faults);
        });
        at_some_of(count.scratch_reads - count.scratch_reads / 8, 15, [&](uint64_t n) {
            CAPTURE(n);
            Faults faults;
            faults.fail_scratch_read = n;
            faults.scratch_fails_from_then_on = true;
            attempt(faults);
        });
        Faults full;
        full.scratch_full = 0;
        attempt(full);
        full.scratch_full = model.plan.page_bytes;
        attempt(full);
    }
}

TEST_CASE("a storage that is slow or stalls costs time and nothing else") {
    Streaming model("tiny");
    const Count count = count_of(model);
    model.begin_again();
    Faults faults;
    faults.bytes_per_second = 1'000'000;
    faults.delay_microseconds = 500;
    faults.stall_read = count.reads / 2;
    faults.stall_microseconds = 30'000'000;
    model.restart(faults);
    const uint64_t start = model.fake.clock();
    const uint64_t before = model.stats().bytes_streamed;
    REQUIRE(model.go_on() == LINNET_OK);
    CHECK(model.right());
    const uint64_t streamed = model.stats().bytes_streamed - before;
    CHECK(model.fake.clock() - start > 30'000'000 + streamed);
}

TEST_CASE("a stop while weights stream leaves what has been computed, at every place") {
    for (const bool blocking : {false, true}) {
        Streaming model("tiny", blocking);
        const Count count = count_of(model);
        at_some_of(count.yields, 20, [&](uint64_t n) {
            CAPTURE(n);
            model.begin_again();
            Faults faults;
            faults.cancel_yield = n;
            faults.delay_microseconds = 100;
            model.restart(faults);
            CHECK(model.go_on() == LINNET_CANCELLED);
            model.recover();
        });
    }
}
