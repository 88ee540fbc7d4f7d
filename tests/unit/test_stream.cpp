// A ceiling changes where bytes are, and never what comes out: the same logits at every ceiling that a plan accepts, through
// storage of every kind, and whatever the storage does.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "core/session/model.h"
#include "platform/fake/fake.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

using Row = std::vector<float>;

// A model under a ceiling, over a storage that can break.
class Streamed {
public:
    Streamed(FakePlatform& platform, linnet_options options) : platform_(platform), options_(options) {}
    ~Streamed() { linnet_close(model); }
    Streamed(const Streamed&) = delete;
    Streamed& operator=(const Streamed&) = delete;

    linnet_status open() {
        linnet_status status = linnet_make_plan(&platform_.platform(), &options_, &plan, &error);
        if (status != LINNET_OK) return status;
        CHECK((options_.memory == 0 || plan.total_bytes <= options_.memory));
        // Exactly as many bytes as the plan says: one more used would be seen by the sanitizers.
        const size_t bytes = static_cast<size_t>(plan.total_bytes);
        memory_.reset(static_cast<unsigned char*>(aligned_alloc(LINNET_ARENA_ALIGNMENT, bytes)));
        return linnet_open(&platform_.platform(), &options_, memory_.get(), bytes, &model, &error);
    }
    linnet_session* session() {
        linnet_session* session = nullptr;
        REQUIRE(linnet_session_open(model, &session, &error) == LINNET_OK);
        return session;
    }

    linnet_plan plan{};
    linnet_error error{};
    linnet_model* model = nullptr;

private:
    struct Free {
        void operator()(unsigned char* memory) const { free(memory); }
    };
    FakePlatform& platform_;
    linnet_options options_;
    std::unique_ptr<unsigned char, Free> memory_;
};

linnet_options options_of(uint32_t context, uint64_t memory = 0) {
    linnet_options options = linnet_default_options();
    options.context = context;
    options.memory = memory;
    return options;
}

// The smallest ceiling that the refusal of a far smaller one names.
uint64_t smallest_ceiling(FakePlatform& platform, linnet_options options) {
    options.memory = 1;
    Streamed model(platform, options);
    REQUIRE(model.open() == LINNET_DOES_NOT_FIT);
    const std::string text = model.error.text;
    const size_t at = text.find("would do is ");
    REQUIRE(at != std::string::npos);
    return std::stoull(text.substr(at + 12));
}

Row logits_of(const linnet_session* session, uint32_t vocabulary) {
    const float* logits = linnet_logits(session);
    REQUIRE(logits != nullptr);
    return Row(logits, logits + vocabulary);
}

bool same(const Row& a, const Row& b) { return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * 4) == 0; }

// The last row after a prompt, and after each of some more tokens.
std::vector<Row> walk(linnet_session* session, uint32_t vocabulary, const std::vector<int32_t>& tokens, size_t prompt) {
    linnet_error error;
    std::vector<Row> rows;
    REQUIRE_MESSAGE(linnet_evaluate(session, tokens.data(), prompt, &error) == LINNET_OK, std::string(error.text));
    rows.push_back(logits_of(session, vocabulary));
    for (size_t i = prompt; i < tokens.size(); ++i) {
        REQUIRE_MESSAGE(linnet_evaluate(session, &tokens[i], 1, &error) == LINNET_OK, std::string(error.text));
        rows.push_back(logits_of(session, vocabulary));
    }
    return rows;
}

uint32_t vocabulary_of(const Streamed& model) {
    linnet_info info;
    linnet_get_info(model.model, &info);
    return info.vocabulary;
}

bool same(const std::vector<Row>& a, const std::vector<Row>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (!same(a[i], b[i])) return false;
    }
    return true;
}

const char* const shapes[] = {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"};
constexpr uint32_t context = 320;
constexpr size_t prompt = 150;

// What comes out with everything in its place.
std::vector<Row> undisturbed(FakePlatform& platform, const std::vector<int32_t>& tokens, uint32_t kv_format) {
    linnet_options options = options_of(context);
    options.kv_format = kv_format;
    Streamed model(platform, options);
    REQUIRE_MESSAGE(model.open() == LINNET_OK, std::string(model.error.text));
    CHECK(model.plan.page_bytes == 0);
    return walk(model.session(), vocabulary_of(model), tokens, prompt);
}

std::vector<int32_t> tokens_for(FakePlatform& platform, size_t count) {
    Streamed model(platform, options_of(context));
    REQUIRE(model.open() == LINNET_OK);
    return some_tokens(count, vocabulary_of(model));
}

}  // namespace

TEST_CASE("what a token reads of weights is one run of memory, unless some of it streams") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        FakePlatform platform(synth_bytes(shape));
        linnet_options options = options_of(context);
        Streamed resident(platform, options);
        REQUIRE(resident.open() == LINNET_OK);
        const WeightRun run = weights_in_memory(*resident.model);
        CHECK(run.bytes >= resident.plan.weight_bytes_per_token);
        CHECK(run.bytes <= resident.plan.weights_bytes);
        const auto within = [&](const PackedMatrix& matrix) {
            return matrix.data >= run.first && matrix.data + block_count(matrix.rows) * matrix.stride <= run.first + run.bytes;
        };
        const Decoder& decoder = resident.model->decoder;
        for (uint32_t i = 0; i < decoder.config->layers; ++i) {
            const LayerWeights& layer = decoder.layers[i];
            CHECK((within(layer.qkv) && within(layer.attention_output) && within(layer.gate_up) && within(layer.down)));
        }
        CHECK(within(decoder.output));
        options.memory = smallest_ceiling(platform, options);
        Streamed streamed(platform, options);
        REQUIRE(streamed.open() == LINNET_OK);
        CHECK(weights_in_memory(*streamed.model).bytes == 0);
    }
}

TEST_CASE("logits are the same bits at every ceiling, with requests or blocking reads, with or without scratch storage") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        FakePlatform platform(synth_bytes(shape));
        const std::vector<int32_t> tokens = tokens_for(platform, 170);
        for (const uint32_t kv : {LINNET_KV_INT8, LINNET_KV_INT4, LINNET_KV_F32}) {
            const std::vector<Row> expected = undisturbed(platform, tokens, kv);
            for (const bool blocking : {false, true}) {
                for (const bool no_scratch : {false, true}) {
                    Faults faults;
                    faults.blocking = blocking;
                    faults.no_scratch = no_scratch;
                    platform.restart(faults);
                    linnet_options options = options_of(context);
                    options.kv_format = kv;
                    const uint64_t smallest = smallest_ceiling(platform, options);
                    uint64_t before = 0;
                    bool streamed = false, spilled = false, could_spill = false, all = false;
                    for (uint64_t memory = smallest; !all; memory += memory / 6) {
                        options.memory = memory;
                        CAPTURE(memory);
                        Streamed model(platform, options);
                        REQUIRE_MESSAGE(model.open() == LINNET_OK, std::string(model.error.text));
                        linnet_session* session = model.session();
                        CHECK(same(walk(session, vocabulary_of(model), tokens, prompt), expected));
                        linnet_stats stats;
                        linnet_get_stats(session, &stats);
                        could_spill = could_spill || model.plan.spilled_bytes != 0;
                        streamed = streamed || stats.bytes_streamed != 0;
                        spilled = spilled || stats.scratch_bytes_read != 0;
                        all = model.plan.page_bytes == 0;
                        if (all) CHECK(stats.bytes_streamed == 0);
                        CHECK(memory > before);
                        before = memory;
                    }
                    CHECK(streamed);
                    CHECK(spilled == could_spill);
                    if (std::string(shape) == "tiny") CHECK(could_spill != no_scratch);  // its cache has several pages a layer
                    options.memory = smallest - 64;  // it is rounded up to the arena's alignment
                    Streamed too_small(platform, options);
                    CHECK(too_small.open() == LINNET_DOES_NOT_FIT);
                    CHECK(platform.violations() == 0);
                }
            }
        }
        platform.restart({});
    }
}

TEST_CASE("under a ceiling sessions can be left, rewound, copied, saved and restored, and share the pool") {
    for (const char* shape : shapes) {
        CAPTURE(shape);
        FakePlatform platform(synth_bytes(shape));
        const std::vector<int32_t> tokens = tokens_for(platform, 170);
        const std::vector<Row> expected = undisturbed(platform, tokens, LINNET_KV_INT8);
        linnet_options options = options_of(context);
        options.sessions = 3;
        const uint64_t smallest = smallest_ceiling(platform, options);
        for (const uint64_t memory : {smallest, smallest + smallest / 4, smallest + smallest / 2}) {
            CAPTURE(memory);
            options.memory = memory;
            Streamed model(platform, options);
            REQUIRE_MESSAGE(model.open() == LINNET_OK, std::string(model.error.text));
            const uint32_t vocabulary = vocabulary_of(model);
            linnet_session* first = model.session();
            linnet_session* second = model.session();
            linnet_error error;
            // Two conversations by turns, in pieces: each takes the other's pages.
            const std::vector<int32_t> other = some_tokens(200, vocabulary);
            REQUIRE(linnet_evaluate_begin(first, tokens.data(), prompt, &error) == LINNET_OK);
            linnet_progress progress{};
            for (int i = 0; i < 5 && progress.done == 0; ++i) {
                REQUIRE(linnet_evaluate_continue(first, 0, &progress, &error) == LINNET_OK);
            }
            REQUIRE(linnet_evaluate(second, other.data() + 30, 120, &error) == LINNET_OK);
            while (progress.done == 0) REQUIRE(linnet_evaluate_continue(first, 0, &progress, &error) == LINNET_OK);
            CHECK(same(logits_of(first, vocabulary), expected[0]));
            // A third one becomes what the first is; the first goes another way and back.
            linnet_session* third = model.session();
            REQUIRE_MESSAGE(linnet_session_copy(third, first, &error) == LINNET_OK, std::string(error.text));
            REQUIRE(linnet_evaluate(first, other.data(), 40, &error) == LINNET_OK);
            REQUIRE(linnet_evaluate(second, other.data(), 30, &error) == LINNET_OK);
            REQUIRE(linnet_rewind(first, prompt, &error) == LINNET_OK);
            for (linnet_session* session : {first, third}) {
                for (size_t i = prompt; i < tokens.size(); ++i) {
                    REQUIRE(linnet_evaluate(session, &tokens[i], 1, &error) == LINNET_OK);
                    CHECK(same(logits_of(session, vocabulary), expected[i - prompt + 1]));
                }
            }
            // Saved under this ceiling, restored under another.
            std::vector<uint8_t> file;
            REQUIRE(linnet_snapshot_save(
                        first,
                        [](void* to, const void* bytes, size_t count) -> int32_t {
                            const uint8_t* from = static_cast<const uint8_t*>(bytes);
                            static_cast<std::vector<uint8_t>*>(to)->insert(static_cast<std::vector<uint8_t>*>(to)->end(), from,
                                                                           from + count);
                            return 0;
                        },
                        &file, &error) == LINNET_OK);
            linnet_session_close(second);
            FakePlatform elsewhere(synth_bytes(shape));
            Streamed again(elsewhere, options_of(context, smallest + smallest / 3));
            REQUIRE(again.open() == LINNET_OK);
            struct Source {
                const std::vector<uint8_t>& bytes;
                size_t at;
            } source{file, 0};
            linnet_session* restored = again.session();
            const linnet_status status = linnet_snapshot_restore(
                restored, file.size(),
                [](void* from, void* bytes, size_t count) -> int32_t {
                    Source& all = *static_cast<Source*>(from);
                    if (count > all.bytes.size() - all.at) return 1;
                    memcpy(bytes, all.bytes.data() + all.at, count);
                    all.at += count;
                    return 0;
                },
                &source, &error);
            REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
            CHECK(same(logits_of(restored, vocabulary), expected.back()));
            for (linnet_session* session : {first, restored}) {
                REQUIRE(linnet_evaluate(session, other.data(), 3, &error) == LINNET_OK);
            }
            CHECK(same(logits_of(restored, vocabulary), logits_of(first, vocabulary)));
            CHECK(platform.violations() == 0);
        }
    }
}

TEST_CASE("a growing conversation takes its pages from the weights, and gives them back") {
    FakePlatform platform(synth_bytes("tiny"));
    linnet_options options = options_of(1024);
    options.batch = 8;
    Streamed whole(platform, options);
    REQUIRE(whole.open() == LINNET_OK);
    options.memory = whole.plan.total_bytes * 15 / 16;
    Streamed model(platform, options);
    REQUIRE(model.open() == LINNET_OK);
    REQUIRE(model.plan.page_bytes != 0);
    CHECK(model.plan.pieces_resident_at_start > model.plan.pieces_resident);
    CHECK(model.plan.streamed_bytes_per_pass_at_start < model.plan.streamed_bytes_per_pass);
    CHECK(model.plan.weights_bytes + model.plan.kv_bytes + model.plan.ring_bytes ==
          uint64_t{model.plan.pages} * model.plan.page_bytes);
    linnet_session* session = model.session();
    const std::vector<int32_t> tokens = some_tokens(1024, vocabulary_of(model));
    linnet_error error;
    const auto streamed_by_a_token = [&](int32_t token) {
        linnet_stats before, after;
        // What can stay is brought back, and what cannot has gone, after a few.
        for (int i = 0; i < 3; ++i) REQUIRE(linnet_evaluate(session, &token, 1, &error) == LINNET_OK);
        linnet_get_stats(session, &before);
        REQUIRE(linnet_evaluate(session, &token, 1, &error) == LINNET_OK);
        linnet_get_stats(session, &after);
        return after.bytes_streamed - before.bytes_streamed;
    };
    const uint64_t at_start = streamed_by_a_token(tokens[0]);
    REQUIRE(linnet_evaluate(session, tokens.data(), 1000, &error) == LINNET_OK);
    const uint64_t when_full = streamed_by_a_token(tokens[1]);
    CHECK(when_full > at_start);
    REQUIRE(linnet_rewind(session, 4, &error) == LINNET_OK);
    CHECK(streamed_by_a_token(tokens[2]) == at_start);
}

TEST_CASE("a prompt longer than a batch reads the streamed weights once") {
    FakePlatform platform(synth_bytes("tiny"));
    linnet_options options = options_of(1024);
    options.batch = 8;
    Streamed whole(platform, options);
    REQUIRE(whole.open() == LINNET_OK);
    options.memory = whole.plan.total_bytes * 15 / 16;
    Streamed model(platform, options);
    REQUIRE(model.open() == LINNET_OK);
    CAPTURE(model.plan.span);
    REQUIRE(model.plan.span >= 8 * model.plan.batch);
    linnet_session* session = model.session();
    const std::vector<int32_t> tokens = some_tokens(model.plan.span, vocabulary_of(model));
    linnet_error error;
    REQUIRE(linnet_evaluate(session, tokens.data(), tokens.size(), &error) == LINNET_OK);
    linnet_stats stats;
    linnet_get_stats(session, &stats);
    CHECK(stats.passes == 1);
    // Not more than all the weights, and what reading ahead began of the next pass.
    CHECK(stats.bytes_streamed <= model.plan.weight_bytes_per_token * 3 / 2);
}

TEST_CASE("two different models in one process, computed in turns, give what each gives alone") {
    FakePlatform first(synth_bytes("tiny"));
    FakePlatform second(synth_bytes("tiny-llama"));
    const std::vector<int32_t> tokens[] = {tokens_for(first, 170), tokens_for(second, 170)};
    const std::vector<Row> expected[] = {undisturbed(first, tokens[0], LINNET_KV_INT8),
                                         undisturbed(second, tokens[1], LINNET_KV_INT4)};
    linnet_options options[] = {options_of(context), options_of(context)};
    options[1].kv_format = LINNET_KV_INT4;
    // Once both stream, then one beside a resident one.
    for (const bool resident : {false, true}) {
        options[0].memory = smallest_ceiling(first, options[0]);
        options[1].memory = resident ? 0 : smallest_ceiling(second, options[1]);
        Streamed models[] = {{first, options[0]}, {second, options[1]}};
        linnet_session* sessions[2];
        for (int i = 0; i < 2; ++i) {
            REQUIRE_MESSAGE(models[i].open() == LINNET_OK, std::string(models[i].error.text));
            sessions[i] = models[i].session();
            linnet_error error;
            REQUIRE_MESSAGE(linnet_evaluate(sessions[i], tokens[i].data(), prompt, &error) == LINNET_OK,
                            std::string(error.text));
            CHECK(same(logits_of(sessions[i], vocabulary_of(models[i])), expected[i][0]));
        }
        for (size_t token = prompt; token < 170; ++token) {
            for (int i = 0; i < 2; ++i) {
                linnet_error error;
                REQUIRE_MESSAGE(linnet_evaluate(sessions[i], &tokens[i][token], 1, &error) == LINNET_OK,
                                std::string(error.text));
                CHECK(same(logits_of(sessions[i], vocabulary_of(models[i])), expected[i][token - prompt + 1]));
            }
        }
        linnet_stats stats;
        linnet_get_stats(sessions[0], &stats);
        CHECK(stats.bytes_streamed != 0);
        linnet_get_stats(sessions[1], &stats);
        CHECK((stats.bytes_streamed == 0) == resident);
    }
    CHECK(first.violations() + second.violations() == 0);
}
