#include <cmath>
#include <map>

#include "core/base/crc32c.h"
#include "core/linnet.h"
#include "tests/unit/container_tools.h"

using namespace linnet;

namespace {

std::vector<uint8_t> synthetic(const std::string& shape, uint64_t seed, uint32_t group, Workers* workers = nullptr) {
    MemoryOutput output;
    Error error;
    const Status status = synthesise(shape, seed, group, output, workers, nullptr, error);
    INFO(error.text());
    REQUIRE(status == Status::ok);
    return output.bytes;
}

// Runs a few tokens and returns the last logits.
std::vector<float> run(const std::vector<uint8_t>& bytes, uint32_t tokens) {
    FakePlatform fake(bytes);
    linnet_options options = linnet_default_options();
    options.context = tokens + 8;
    linnet_plan plan;
    linnet_error error{};
    linnet_status status = linnet_make_plan(&fake.platform(), &options, &plan, &error);
    INFO(error.text);
    REQUIRE(status == LINNET_OK);
    std::vector<uint8_t> memory(plan.total_bytes + LINNET_ARENA_ALIGNMENT);
    uint8_t* arena = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
    linnet_model* model = nullptr;
    status = linnet_open(&fake.platform(), &options, arena, plan.total_bytes, &model, &error);
    REQUIRE(status == LINNET_OK);
    const char text[] = "hello, babe";
    std::vector<int32_t> ids(tokens, 5);
    size_t count = 0;
    REQUIRE(linnet_tokenize(model, text, sizeof text - 1, 0, ids.data(), ids.size(), &count, &error) == LINNET_OK);
    CHECK(count > 3);
    linnet_info info{};
    linnet_get_info(model, &info);
    for (size_t i = count; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 37 % info.vocabulary);
    linnet_session* session = nullptr;
    REQUIRE(linnet_session_open(model, &session, &error) == LINNET_OK);
    REQUIRE(linnet_evaluate(session, ids.data(), tokens, &error) == LINNET_OK);
    const float* logits = linnet_logits(session);
    return {logits, logits + info.vocabulary};
}

}  // namespace

TEST_CASE("the small shapes open, run, and keep their numbers sane") {
    for (const char* shape : {"micro", "micro-llama", "tiny", "tiny-window", "tiny-longrope", "tiny-llama"}) {
        for (uint32_t group : {32u, 64u, 128u}) {
            INFO(shape);
            const std::vector<uint8_t> bytes = synthetic(shape, 7, group);
            OpenContainer file;
            Error error;
            REQUIRE(file.open(bytes, error) == Status::ok);
            const std::vector<float> logits = run(bytes, 20);
            double squares = 0;
            for (float logit : logits) squares += static_cast<double>(logit) * static_cast<double>(logit);
            const double spread = std::sqrt(squares / static_cast<double>(logits.size()));
            // The output matrix is drawn to give 2, from a normed vector of 32 to 192 numbers.
            CHECK(spread > 1);
            CHECK(spread < 4);
        }
    }
}

TEST_CASE("weights have the spread that they are drawn with, and no mean") {
    OpenContainer file;
    Error error;
    REQUIRE(file.open(synthetic("tiny", 3, 32), error) == Status::ok);
    struct Expected {
        const TensorPlace& place;
        double spread;
    };
    const LayerPlaces& layer = file.layers[1];
    for (const Expected& item :
         {Expected{layer.qkv, std::sqrt(1 / 192.0)}, Expected{layer.down, std::sqrt(1 / 512.0 / 8)},
          Expected{file.layout.embedding, 1.0}, Expected{file.layout.output, 2 * std::sqrt(1 / 192.0)}}) {
        double sum = 0, squares = 0;
        for (uint32_t row = 0; row < item.place.rows; ++row) {
            for (uint32_t column = 0; column < item.place.columns; ++column) {
                const double weight = static_cast<double>(file.weight(item.place, row, column));
                sum += weight;
                squares += weight * weight;
            }
        }
        const double count = static_cast<double>(item.place.rows) * item.place.columns;
        // Some 100,000 draws: the root of the mean square is within 1 % (1 % of it is the scales' own spread), the mean within
        // 2 % of it.
        CHECK(std::sqrt(squares / count) == doctest::Approx(item.spread).epsilon(0.025));
        CHECK(std::fabs(sum / count) < 0.02 * item.spread);
    }
    for (uint32_t i = 0; i < 192; ++i) {
        CHECK(file.weight(layer.attention_norm, 0, i) >= 0.9f);
        CHECK(file.weight(layer.attention_norm, 0, i) <= 1.1f);
    }
}

TEST_CASE("a shape and a seed are one file, whatever the threads; another seed is another") {
    const std::vector<uint8_t> one = synthetic("tiny", 1, 32);
    for (uint32_t threads : {2u, 5u}) {
        TestWorkers workers(threads);
        CHECK(synthetic("tiny", 1, 32, &workers) == one);
    }
    CHECK(synthetic("tiny", 2, 32) != one);
    // Pinned: the weights of these shapes, on every machine and compiler.
    const std::map<std::string, uint32_t> expected = {
        {"micro", 0x65e35d36u}, {"tiny", 0x83531fe6u}, {"tiny-llama", 0xe1786f27u}};
    for (const auto& [shape, crc] : expected) {
        OpenContainer file;
        Error error;
        REQUIRE(file.open(synthetic(shape, 1, 64), error) == Status::ok);
        INFO(shape);
        CHECK(crc32c(0, file.weights.data(), file.weights.size()) == crc);
    }
}

TEST_CASE("the large shapes have the published models' sizes") {
    // Takes what stands before the weights, and then has no more room.
    struct HeadOutput : Output {
        std::vector<uint8_t> bytes;
        Status write(const void* from, size_t count, Error& error) override {
            if (!bytes.empty()) return error.fail(Status::io) << "enough";
            bytes.assign(static_cast<const uint8_t*>(from), static_cast<const uint8_t*>(from) + count);
            return Status::ok;
        }
    };
    const std::map<std::string, uint64_t> parameters = {{"phi-3-mini", 3821079552},
                                                        {"phi-3-mini-128k", 3821079552},
                                                        {"phi-3.5-mini", 3821079552},
                                                        {"tinyllama", 1100048384},
                                                        {"stories15m", 15191712}};
    for (const auto& [shape, count] : parameters) {
        INFO(shape);
        HeadOutput output;
        Error error;
        CHECK(synthesise(shape, 0, 32, output, nullptr, nullptr, error) == Status::io);
        linnet_platform platform{};
        platform.version = LINNET_PLATFORM_VERSION;
        platform.context = &output.bytes;
        platform.file_bytes = load<FileHeader>(output.bytes.data()).file_bytes;
        platform.read = [](void* context, uint64_t offset, void* to, size_t bytes) -> int32_t {
            const auto& head = *static_cast<std::vector<uint8_t>*>(context);
            if (offset + bytes > head.size()) return 1;
            memcpy(to, head.data() + offset, bytes);
            return 0;
        };
        FileHeader header;
        ModelLayout layout;
        REQUIRE(read_header(platform, header, error) == Status::ok);
        REQUIRE(read_layout(platform, header, layout, nullptr, error) == Status::ok);
        REQUIRE(verify_metadata(platform, header, error) == Status::ok);
        CHECK(layout.parameters == count);
        if (shape == "phi-3-mini") {
            // 4.5 bits a weight, the output matrix and the embedding at 8.5.
            CHECK(header.weights_bytes > 2150000000);
            CHECK(header.weights_bytes < 2255000000);
            CHECK(header.config.window_keys == 2048);
        }
        if (shape == "phi-3-mini-128k") {
            CHECK((header.config.flags & long_rope) != 0);
            CHECK(load<float>(output.bytes.data() + header.rope_long_offset + 47 * 4) == 64.76000213623047f);
            CHECK(load<float>(output.bytes.data() + header.rope_short_offset) == 1.1f);
        }
    }
}

TEST_CASE("unknown shapes and groups are refused") {
    MemoryOutput output;
    Error error;
    CHECK(synthesise("phi-9", 0, 32, output, nullptr, nullptr, error) == Status::bad_argument);
    CHECK(std::string(error.text()).find("phi-3-mini") != std::string::npos);
    CHECK(synthesise("tiny", 0, 33, output, nullptr, nullptr, error) == Status::bad_argument);
    CHECK(output.bytes.empty());
    CHECK(synth_shapes().size() >= 9);
}
