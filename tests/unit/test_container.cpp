#include <cmath>
#include <memory>

#include "tests/unit/container_tools.h"
#include "tools/converter/quantize.h"

using namespace linnet;

namespace {

constexpr uint32_t heads = 2, kv_heads = 1;

struct Sizes {
    uint32_t vocabulary, hidden, head_dim, feed_forward;
};
constexpr Sizes odd{37, 40, 20, 70};      // divide nothing: padding of rows and columns everywhere
constexpr Sizes even{37, 64, 32, 96};     // whole blocks of 32, as Q4_0 has them
constexpr Sizes tall{30001, 40, 20, 70};  // enough rows for several tasks a matrix
constexpr Sizes wide{37, 96, 32, 96};     // more than a group of 64

uint64_t random_state = 1;
uint64_t next_random() {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
float random_weight() { return static_cast<float>(static_cast<int64_t>(next_random() >> 40) - (1 << 23)) * 0x1p-26f; }

struct TestModel {
    SourceModel source;
    std::vector<std::unique_ptr<MemoryInput>> inputs;

    SourceMatrix matrix(std::string name, uint32_t rows, uint32_t columns) {
        SourceMatrix part;
        part.name = std::move(name);
        part.rows = rows;
        part.columns = columns;
        part.offset = 12;
        std::vector<uint8_t> bytes(12 + size_t{rows} * columns * 4);
        for (size_t i = 12; i < bytes.size(); i += 4) store(bytes.data() + i, random_weight());
        inputs.push_back(std::make_unique<MemoryInput>(std::move(bytes)));
        part.input = inputs.back().get();
        return part;
    }
    void add(TensorRole role, uint32_t layer, uint32_t columns, std::initializer_list<uint32_t> part_rows) {
        SourceTensor tensor;
        tensor.role = role;
        tensor.layer = layer;
        tensor.columns = columns;
        for (uint32_t rows : part_rows) {
            tensor.parts.push_back(matrix("part" + std::to_string(inputs.size()), rows, columns));
            tensor.rows += rows;
        }
        source.tensors.push_back(std::move(tensor));
    }
    SourceTensor& tensor(TensorRole role, uint32_t layer = 0) {
        for (SourceTensor& candidate : source.tensors) {
            if (candidate.role == role && candidate.layer == layer) return candidate;
        }
        REQUIRE(false);
        return source.tensors[0];
    }
    static float value(const SourceTensor& tensor, uint32_t row, uint32_t column) {
        float all[96] = {};
        REQUIRE(tensor.columns <= 96);
        Error error;
        REQUIRE(read_rows(tensor, row, 1, all, error) == Status::ok);
        return all[column];
    }

    explicit TestModel(bool tied = false, Sizes sizes = odd) {
        random_state = 1;
        const auto [vocabulary, hidden, head_dim, feed_forward] = sizes;
        ModelConfig& config = source.config;
        config.architecture = static_cast<uint32_t>(Architecture::llama);
        config.vocabulary = config.usable_vocabulary = vocabulary;
        config.hidden = hidden;
        config.layers = 2;
        config.heads = heads;
        config.kv_heads = kv_heads;
        config.head_dim = config.rotary_dims = head_dim;
        config.feed_forward = feed_forward;
        config.context = 128;
        config.original_context = 64;
        config.rms_epsilon = 1e-5f;
        config.rope_attention_factor = 1.0f;
        config.rope_theta = 10000;
        config.flags = long_rope | (tied ? tied_embeddings : 0u);
        config.bos_token = 1;
        config.eos_count = 1;
        config.eos_tokens[0] = 2;
        source.name = "a test's model";
        source.rope_short.assign(head_dim / 2, 1.5f);
        source.rope_long.assign(head_dim / 2, 4.0f);
        source.tokenizer_block = {1, 2, 3};
        if (!tied) add(TensorRole::embedding, 0, hidden, {vocabulary});
        for (uint32_t layer = 0; layer < 2; ++layer) {
            add(TensorRole::attention_norm, layer, hidden, {1});
            add(TensorRole::qkv, layer, hidden, {heads * head_dim, kv_heads * head_dim, kv_heads * head_dim});
            add(TensorRole::attention_output, layer, heads * head_dim, {hidden});
            add(TensorRole::feed_forward_norm, layer, hidden, {1});
            add(TensorRole::gate_up, layer, hidden, {feed_forward, feed_forward});
            add(TensorRole::down, layer, feed_forward, {hidden});
        }
        add(TensorRole::output_norm, 0, hidden, {1});
        add(TensorRole::output, 0, hidden, {vocabulary});
    }
};

std::vector<uint8_t> convert(const SourceModel& source, const ConvertOptions& options, ConvertReport* report = nullptr,
                             Workers* workers = nullptr) {
    MemoryOutput output;
    ConvertReport own;
    Error error;
    const Status status = write_container(source, options, output, workers, nullptr, report != nullptr ? *report : own, error);
    INFO(error.text());
    REQUIRE(status == Status::ok);
    return output.bytes;
}

std::string refusal(const SourceModel& source, const ConvertOptions& options) {
    MemoryOutput output;
    ConvertReport report;
    Error error;
    const Status status = write_container(source, options, output, nullptr, nullptr, report, error);
    CHECK(status != Status::ok);
    CHECK(status == error.status());
    return error.text();
}

const TensorPlace& place_of(const OpenContainer& file, TensorRole role, uint32_t layer) {
    const LayerPlaces& places = file.layers[layer];
    switch (role) {
        case TensorRole::embedding: return file.layout.embedding;
        case TensorRole::attention_norm: return places.attention_norm;
        case TensorRole::qkv: return places.qkv;
        case TensorRole::attention_output: return places.attention_output;
        case TensorRole::feed_forward_norm: return places.feed_forward_norm;
        case TensorRole::gate_up: return places.gate_up;
        case TensorRole::down: return places.down;
        case TensorRole::output_norm: return file.layout.output_norm;
        default: return file.layout.output;
    }
}

// A matrix of source blocks of 32 (Q4_0 or Q8_0) with random values and scales of either sign.
void set_blocks(TestModel& model, SourceMatrix& part, SourceType type) {
    part.type = type;
    part.offset = 3;
    std::vector<uint8_t> bytes(3 + part.rows * part.row_bytes());
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(next_random());
    for (size_t at = 3; at < bytes.size(); at += source_block_bytes(type)) {
        store<uint16_t>(bytes.data() + at, float_to_half(random_weight()));
    }
    model.inputs.push_back(std::make_unique<MemoryInput>(std::move(bytes)));
    part.input = model.inputs.back().get();
}

}  // namespace

TEST_CASE("what is written is what the core reads, in every weight format, group and with tied embeddings") {
    for (bool tied : {false, true}) {
        TestModel model(tied);
        for (WeightFormat weights : {WeightFormat::int4, WeightFormat::int8, WeightFormat::f32}) {
            for (uint32_t group : {32u, 64u, 128u}) {
                ConvertOptions options;
                options.weights = weights;
                options.group = group;
                ConvertReport report;
                const std::vector<uint8_t> bytes = convert(model.source, options, &report);
                CHECK(report.file_bytes == bytes.size());
                OpenContainer file;
                Error error;
                const Status status = file.open(bytes, error);
                INFO(error.text());
                REQUIRE(status == Status::ok);
                CHECK(memcmp(&file.header.config, &model.source.config, sizeof(ModelConfig)) == 0);
                CHECK(report.parameters == file.layout.parameters);
                CHECK(std::string(bytes.begin() + static_cast<long>(file.header.name_offset),
                                  bytes.begin() + static_cast<long>(file.header.name_offset + file.header.name_bytes)) ==
                      model.source.name);
                CHECK(load<float>(bytes.data() + file.header.rope_short_offset) == 1.5f);
                CHECK(load<float>(bytes.data() + file.header.rope_long_offset + 4 * (odd.head_dim / 2 - 1)) == 4.0f);
                CHECK(file.header.tokenizer_bytes == 3);
                CHECK(bytes[file.header.tokenizer_offset + 2] == 3);

                for (const SourceTensor& tensor : model.source.tensors) {
                    const TensorPlace& place = place_of(file, tensor.role, tensor.layer);
                    const bool exact = weights == WeightFormat::f32 || tensor.rows == 1;
                    const bool eight = weights == WeightFormat::int8 || tensor.role == TensorRole::embedding ||
                                       tensor.role == TensorRole::output;
                    CHECK((place.group == 0) == exact);
                    double worst = 0;
                    for (uint32_t row = 0; row < tensor.rows; ++row) {
                        for (uint32_t column = 0; column < tensor.columns; ++column) {
                            const float off = file.weight(place, row, column) - TestModel::value(tensor, row, column);
                            worst = std::fmax(worst, static_cast<double>(std::fabs(off)));
                        }
                    }
                    // Weights reach 0.125: half a level is 0.125/14 (int4; clipping may cost the largest a little over one
                    // more) and 0.125/254 (int8, clipped at up to 8 levels).
                    CHECK(worst <= (exact ? 0.0 : eight ? 0.125 * 8.6 / 127 : 0.125 * 1.8 / 7));
                    if (!exact) CHECK(worst > 0);
                }
                if (weights == WeightFormat::f32) CHECK(report.errors.empty());
                for (const RoleError& role : report.errors) {
                    CHECK(role.squared_error > 0);
                    CHECK(role.squared_error < role.squared_error_rounding);
                    CHECK(role.squared_error < 0.01 * role.squares);
                }
            }
        }
    }
}

TEST_CASE("padding rows and columns are zeros") {
    TestModel model;
    for (WeightFormat weights : {WeightFormat::int4, WeightFormat::int8}) {
        ConvertOptions options;
        options.weights = options.output = weights;
        OpenContainer file;
        Error error;
        REQUIRE(file.open(convert(model.source, options), error) == Status::ok);
        const TensorPlace& place = file.layout.output;
        for (uint32_t row = 0; row < 48; ++row) {
            for (uint32_t column = row < odd.vocabulary ? odd.hidden : 0; column < 64; ++column) {
                const uint8_t* block =
                    file.weights.data() + place.offset + row / 16 * block_stride(place.format, odd.hidden, 32);
                CHECK(packed_value(place.format, 32, block, row % 16, column) == 0);
            }
        }
    }
}

TEST_CASE("the same bytes and report whatever the number of threads") {
    TestModel model(false, tall);
    const ConvertOptions options;
    ConvertReport one;
    const std::vector<uint8_t> expected = convert(model.source, options, &one);
    for (uint32_t threads : {2u, 3u, 8u}) {
        TestWorkers workers(threads);
        ConvertReport report;
        CHECK(convert(model.source, options, &report, &workers) == expected);
        REQUIRE(report.errors.size() == one.errors.size());
        for (size_t i = 0; i < one.errors.size(); ++i) CHECK(report.errors[i].squared_error == one.errors[i].squared_error);
    }
}

TEST_CASE("Q4_0 into groups of 32 keeps every weight exactly, in int4 and in int8") {
    for (WeightFormat weights : {WeightFormat::int4, WeightFormat::int8}) {
        TestModel model(false, even);
        set_blocks(model, model.tensor(TensorRole::embedding).parts[0], SourceType::q4_0);
        set_blocks(model, model.tensor(TensorRole::down, 1).parts[0], SourceType::q4_0);
        set_blocks(model, model.tensor(TensorRole::output).parts[0], SourceType::q8_0);
        // One part exact and the others not, its rows in RoPE's interleaved order.
        SourceMatrix& keys = model.tensor(TensorRole::qkv, 1).parts[1];
        set_blocks(model, keys, SourceType::q4_0);
        keys.head_rows = 32;
        keys.rotary = 16;

        ConvertOptions options;
        options.weights = weights;
        ConvertReport report;
        OpenContainer file;
        Error error;
        REQUIRE(file.open(convert(model.source, options, &report), error) == Status::ok);
        CHECK(report.exact_weights == 64u * even.vocabulary * 2 + 96 * 64 + 32 * 64);
        const auto check = [&](TensorRole role, uint32_t layer, uint32_t first, uint32_t end) {
            const SourceTensor& tensor = model.tensor(role, layer);
            std::vector<float> row(tensor.columns);
            uint32_t wrong = 0;
            for (uint32_t r = first; r < end; ++r) {
                REQUIRE(read_rows(tensor, r, 1, row.data(), error) == Status::ok);
                for (uint32_t c = 0; c < tensor.columns; ++c) wrong += file.weight(place_of(file, role, layer), r, c) != row[c];
            }
            CHECK(wrong == 0);
        };
        check(TensorRole::embedding, 0, 0, even.vocabulary);
        check(TensorRole::down, 1, 0, 64);
        check(TensorRole::output, 0, 0, even.vocabulary);
        check(TensorRole::qkv, 1, 64, 96);

        // With larger groups they are quantised like everything else.
        options.group = 64;
        convert(model.source, options, &report);
        CHECK(report.exact_weights == 0);

        options.group = 32;
        auto& bytes = static_cast<MemoryInput*>(keys.input)->bytes;
        store<uint16_t>(bytes.data() + 3 + 18 * 5, 0xfc00);  // row 2
        CHECK(refusal(model.source, options).find('"' + keys.name + '"') != std::string::npos);
    }
}

TEST_CASE("refusals: weights out of range, shapes, groups, a full disk, a stop") {
    TestModel model;
    SourceMatrix& part = model.tensor(TensorRole::down, 1).parts[0];
    auto& bytes = static_cast<MemoryInput*>(part.input)->bytes;
    const float before = load<float>(bytes.data() + 400);
    store(bytes.data() + 400, -65504.0f * 7.5f);
    CHECK(refusal(model.source, {}).find('"' + part.name + '"') != std::string::npos);
    ConvertOptions floats;
    floats.weights = WeightFormat::f32;
    convert(model.source, floats);
    ConvertOptions eight;
    eight.weights = WeightFormat::int8;
    convert(model.source, eight);
    store(bytes.data() + 400, NAN);
    CHECK(refusal(model.source, floats) != "");
    store(bytes.data() + 400, before);

    ConvertOptions options;
    options.group = 48;
    CHECK(refusal(model.source, options).find("48") != std::string::npos);
    part.rows -= 1;
    CHECK(refusal(model.source, {}).find('"' + part.name + '"') != std::string::npos);
    part.rows += 1;
    part.columns -= 1;
    CHECK(refusal(model.source, {}).find('"' + part.name + '"') != std::string::npos);
    part.columns += 1;
    model.source.config.head_dim = 21;
    CHECK(refusal(model.source, {}).find("head_dim") != std::string::npos);
    model.source.config.head_dim = odd.head_dim;
    model.source.rope_long.pop_back();
    CHECK(refusal(model.source, {}).find("RoPE") != std::string::npos);
    model.source.rope_long.push_back(NAN);
    CHECK(refusal(model.source, {}).find("RoPE") != std::string::npos);
    model.source.rope_long.back() = 4;
    std::swap(model.source.tensors[1], model.source.tensors[2]);
    CHECK(refusal(model.source, {}) != "");
    std::swap(model.source.tensors[1], model.source.tensors[2]);

    const std::vector<uint8_t> whole = convert(model.source, {});
    for (uint64_t limit : {uint64_t{0}, uint64_t{4096}, uint64_t{20000}, uint64_t{whole.size() - 1}}) {
        MemoryOutput output;
        output.limit = limit;
        ConvertReport report;
        Error error;
        CHECK(write_container(model.source, {}, output, nullptr, nullptr, report, error) == Status::io);
        CHECK(std::string(error.text()) == "The disk is full.");
    }

    struct Stop : Progress {
        uint64_t last = 0, calls = 0, stop_at = UINT64_MAX, total = 0;
        bool update(uint64_t done, uint64_t all) override {
            CHECK(done >= last);
            last = done;
            total = all;
            return ++calls < stop_at;
        }
    } progress;
    MemoryOutput output;
    ConvertReport report;
    Error error;
    CHECK(write_container(model.source, {}, output, nullptr, &progress, report, error) == Status::ok);
    CHECK(progress.last == whole.size());
    CHECK(progress.total == whole.size());
    progress = {};
    progress.stop_at = 5;
    output.bytes.clear();
    CHECK(write_container(model.source, {}, output, nullptr, &progress, report, error) == Status::cancelled);
    CHECK(output.bytes.size() < whole.size());
}

// What a tensor's stored weights are off, squared and summed up, each column times its factor's square.
double weighed_error(const TestModel& model, const ConvertOptions& options, const std::vector<float>& factors) {
    OpenContainer file;
    Error error;
    REQUIRE(file.open(convert(model.source, options), error) == Status::ok);
    double sum = 0;
    for (const SourceTensor& tensor : model.source.tensors) {
        if (tensor.role != TensorRole::qkv) continue;
        const TensorPlace& place = place_of(file, tensor.role, tensor.layer);
        for (uint32_t row = 0; row < tensor.rows; ++row) {
            for (uint32_t column = 0; column < tensor.columns; ++column) {
                const float off = file.weight(place, row, column) - TestModel::value(tensor, row, column);
                sum += static_cast<double>(off * off) * static_cast<double>(factors[column] * factors[column]);
            }
        }
    }
    return sum;
}

TEST_CASE("large weights of qkv behind large factors of the norm are not given up for the others, in large groups") {
    TestModel model(false, wide);
    std::vector<float> factors(wide.hidden, 1.0f);
    for (uint32_t column = 7; column < wide.hidden; column += 64) factors[column] = 12.0f;
    for (uint32_t layer = 0; layer < 2; ++layer) {
        SourceMatrix& norm = model.tensor(TensorRole::attention_norm, layer).parts[0];
        static_cast<MemoryInput*>(norm.input)->bytes.resize(norm.offset);
        const auto* bytes = reinterpret_cast<const uint8_t*>(factors.data());
        std::vector<uint8_t>& to = static_cast<MemoryInput*>(norm.input)->bytes;
        to.insert(to.end(), bytes, bytes + factors.size() * sizeof(float));
        for (SourceMatrix& part : model.tensor(TensorRole::qkv, layer).parts) {
            for (uint32_t row = 0; row < part.rows; ++row) {
                for (uint32_t column = 7; column < part.columns; column += 64) {
                    uint8_t* place = static_cast<MemoryInput*>(part.input)->bytes.data() + part.offset +
                                     (size_t{row} * part.columns + column) * sizeof(float);
                    // Beyond the others, which reach 0.125: the extreme of its group.
                    const float weight = load<float>(place);
                    store(place, weight < 0 ? -0.14f : 0.14f);
                }
            }
        }
    }
    for (uint32_t group : {64u, 128u}) {
        ConvertOptions searched, rounded;
        searched.group = rounded.group = group;
        rounded.search_scales = false;
        CHECK(weighed_error(model, searched, factors) < weighed_error(model, rounded, factors));
    }
}

TEST_CASE("every byte of the file is covered by a check") {
    TestModel model;
    const std::vector<uint8_t> good = convert(model.source, {});
    OpenContainer file;
    Error error;
    REQUIRE(file.open(good, error) == Status::ok);
    const uint64_t padding = file.header.checksums_offset - file.header.weights_offset - file.header.weights_bytes;
    CHECK(padding == 0);
    for (size_t at = 0; at < good.size(); at += at < 8192 ? 1 : 97) {
        std::vector<uint8_t> bad = good;
        bad[at] ^= static_cast<uint8_t>(1u << at % 8);
        OpenContainer other;
        CHECK(other.open(bad, error) != Status::ok);
    }
    for (size_t length = 0; length < good.size(); length += length < 600 ? 1 : 997) {
        OpenContainer other;
        CHECK(other.open(std::vector<uint8_t>(good.begin(), good.begin() + static_cast<long>(length)), error) != Status::ok);
    }
}

TEST_CASE("a long name is cut at a character") {
    TestModel model;
    model.source.name = "x";
    for (int i = 0; i < 200; ++i) model.source.name += "ä";
    OpenContainer file;
    Error error;
    REQUIRE(file.open(convert(model.source, {}), error) == Status::ok);
    CHECK(file.header.name_bytes == 255);
    model.source.name += "ä";
    model.source.name.erase(0, 1);
    REQUIRE(file.open(convert(model.source, {}), error) == Status::ok);
    CHECK(file.header.name_bytes == 254);
}
