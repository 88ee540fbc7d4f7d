// GGUF: what a sound file becomes, and that each unsound one is refused with a sentence that names what is wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/unit/source_files.h"

using namespace linnet;
using namespace linnet::source_test;

namespace {

struct Opened {
    MemoryFolder folder;
    SourceModel model;
    Error error;
    Status status = Status::ok;

    explicit Opened(const Bytes& bytes, const SourceOptions& options = {}) {
        folder.files["model.gguf"] = bytes;
        status = open_in_memory(folder, "model.gguf", model, error, options);
    }
    explicit Opened(const GgufFile& file, const SourceOptions& options = {}) : Opened(file.bytes(), options) {}
};

void refused(const GgufFile& file, Status status, std::string_view names) {
    const Opened opened(file);
    CAPTURE(std::string(names));
    CAPTURE(std::string(opened.error.text()));
    CHECK(opened.status == status);
    CHECK(contains(opened.error.text(), names));
}

std::vector<float> all_rows(const SourceTensor& tensor) {
    std::vector<float> values(size_t{tensor.rows} * tensor.columns);
    Error error;
    REQUIRE(read_rows(tensor, 0, tensor.rows, values.data(), error) == Status::ok);
    return values;
}

}  // namespace

TEST_CASE("a phi3 GGUF opens") {
    const Opened opened(gguf_model("phi3"));
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    const SourceModel& model = opened.model;
    CHECK(model.name == "a small model");
    CHECK(model.config.architecture == 1);
    CHECK(model.config.vocabulary == 40);
    CHECK(model.config.usable_vocabulary == 40);
    CHECK(model.config.kv_heads == 1);
    CHECK(model.config.head_dim == 16);
    CHECK(model.config.rotary_dims == 16);
    CHECK(model.config.window_keys == 0);
    CHECK(model.config.rope_theta == 500000.0);
    CHECK(model.config.rms_epsilon == 1e-5f);
    CHECK(model.config.rope_attention_factor == 1.0f);
    CHECK(model.config.flags == 0);
    REQUIRE(model.tensors.size() == 9);
    CHECK(model.tokenizer_block.empty());
    CHECK(model.notes.size() == 1);  // no tokenizer
    const SourceTensor* qkv = find_tensor(model, TensorRole::qkv);
    REQUIRE(qkv != nullptr);
    CHECK(qkv->rows == 64);
    CHECK(all_rows(*qkv) == test_matrix(3, 64, 32));
    CHECK(all_rows(*find_tensor(model, TensorRole::gate_up)) == test_matrix(6, 48, 32));
}

TEST_CASE("a llama GGUF opens, its rows of query and key turned from pairs to halves") {
    const Opened opened(gguf_model("llama"));
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    const SourceTensor* qkv = find_tensor(opened.model, TensorRole::qkv);
    REQUIRE(qkv != nullptr);
    REQUIRE(qkv->parts.size() == 3);
    std::vector<float> expected;
    for (uint32_t part = 0; part < 3; ++part) {
        for (uint32_t row = 0; row < qkv->parts[part].rows; ++row) {
            const uint32_t in_head = row % 16;
            const uint32_t source = part == 2 ? row : row - in_head + (in_head < 8 ? 2 * in_head : 2 * (in_head - 8) + 1);
            for (uint32_t column = 0; column < 32; ++column) expected.push_back(test_weight(3 + part, source, column));
        }
    }
    const std::vector<float> whole = all_rows(*qkv);
    CHECK(whole == expected);
    // Any range of rows is that part of the whole.
    Error error;
    for (uint32_t first = 0; first < qkv->rows; first += 3) {
        for (uint32_t count = 1; count <= qkv->rows - first; count += 7) {
            std::vector<float> part(size_t{count} * 32);
            REQUIRE(read_rows(*qkv, first, count, part.data(), error) == Status::ok);
            CHECK(std::equal(part.begin(), part.end(), whole.begin() + first * 32));
        }
    }
    float nothing = 0;
    CHECK(read_rows(*qkv, qkv->rows, 1, &nothing, error) == Status::bad_argument);
    CHECK(all_rows(*find_tensor(opened.model, TensorRole::gate_up)).size() == 48 * 32);
}

TEST_CASE("only the rotary dimensions of a head are turned") {
    GgufFile file = gguf_model("llama");
    file.u32("llama.rope.dimension_count", 8);
    const Opened opened(file);
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    CHECK(opened.model.config.rotary_dims == 8);
    const SourceMatrix& query = find_tensor(opened.model, TensorRole::qkv)->parts[0];
    const uint32_t expected[16] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (uint32_t row = 0; row < 16; ++row) CHECK(query.source_row(16 + row) == 16 + expected[row]);
}

TEST_CASE("a phi3 GGUF may have its projections apart, in halves") {
    GgufFile file = gguf_model("phi3");
    file.erase_tensor("blk.0.attn_qkv.weight");
    file.matrix("blk.0.attn_q.weight", 32, 32, 50);
    file.matrix("blk.0.attn_k.weight", 16, 32, 51);
    file.matrix("blk.0.attn_v.weight", 16, 32, 52);
    const Opened opened(file);
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    const std::vector<float> rows = all_rows(*find_tensor(opened.model, TensorRole::qkv));
    CHECK(rows[5 * 32 + 3] == test_weight(50, 5, 3));
    CHECK(rows[33 * 32 + 3] == test_weight(51, 1, 3));
}

TEST_CASE("a GGUF without an output matrix has tied embeddings") {
    GgufFile file = gguf_model("llama");
    file.erase_tensor("output.weight");
    const Opened opened(file);
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    CHECK((opened.model.config.flags & tied_embeddings) != 0);
    CHECK(find_tensor(opened.model, TensorRole::embedding) == nullptr);
    CHECK(all_rows(*find_tensor(opened.model, TensorRole::output)) == test_matrix(1, 40, 32));
}

TEST_CASE("the window counts the query itself") {
    GgufFile file = gguf_model("phi3");
    file.u32("phi3.attention.sliding_window", 11);
    CHECK(Opened(file).model.config.window_keys == 12);
    CHECK(Opened(file, SourceOptions{.window_includes_self = true}).model.config.window_keys == 11);
    file.u32("phi3.attention.sliding_window", 64);
    CHECK(Opened(file).model.config.window_keys == 0);
    // phi-3's first files lack the key.
    GgufFile first = gguf_model("phi3", Sizes{.layers = 32, .context = 4096});
    const Opened opened(first);
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    CHECK(opened.model.config.window_keys == 2048);
    CHECK(opened.model.notes.size() == 2);
    first.u32("phi3.attention.sliding_window", 0);
    CHECK(Opened(first).model.config.window_keys == 0);
}

TEST_CASE("RoPE's scalings") {
    GgufFile file = gguf_model("phi3");
    file.matrix("rope_factors_short.weight", 1, 8, 1);
    file.tensor("rope_factors_short.weight").data = float_bytes({1, 1, 1, 1, 1, 1, 1, 2});
    refused(file, Status::bad_file, "rope_factors_long.weight");
    file.matrix("rope_factors_long.weight", 1, 8, 1);
    file.tensor("rope_factors_long.weight").data = float_bytes({1, 2, 3, 4, 5, 6, 7, 8});
    refused(file, Status::bad_file, "phi3.rope.scaling.original_context_length");
    file.u32("phi3.rope.scaling.original_context_length", 32);
    {
        const Opened opened(file);
        REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
        CHECK(opened.model.config.flags == long_rope);
        CHECK(opened.model.config.original_context == 32);
        CHECK(opened.model.rope_short[7] == 2);
        CHECK(opened.model.rope_long[7] == 8);
        // sqrt(1 + ln 2 / ln 32), and ln 2 / ln 32 = 1/5
        CHECK(opened.model.config.rope_attention_factor == doctest::Approx(std::sqrt(1.2)).epsilon(1e-6));
    }
    file.f32("phi3.rope.scaling.attn_factor", 1.25f);
    CHECK(Opened(file).model.config.rope_attention_factor == 1.25f);
    file.tensor("rope_factors_long.weight").data = float_bytes({1, 2, 3, 4, 5, 6, 7, -8});
    refused(file, Status::bad_file, "rope_factors_long.weight");

    GgufFile llama = gguf_model("llama");
    llama.matrix("rope_freqs.weight", 1, 8, 1);
    llama.tensor("rope_freqs.weight").data = float_bytes({1, 1, 1, 1, 2, 4, 8, 8});
    CHECK(Opened(llama).model.rope_short == std::vector<float>{1, 1, 1, 1, 2, 4, 8, 8});
    llama.text("llama.rope.scaling.type", "linear");
    llama.f32("llama.rope.scaling.factor", 2);
    CHECK(Opened(llama).model.rope_short == std::vector<float>{2, 2, 2, 2, 4, 8, 16, 16});
    llama.text("llama.rope.scaling.type", "yarn");
    refused(llama, Status::unsupported, "yarn");
}

TEST_CASE("a GGUF tokenizer comes along") {
    GgufFile file = gguf_model("llama", Sizes{.vocabulary = 300});
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    Bytes scores, types;
    const char digits[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte) tokens.push_back(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + '>');
    while (tokens.size() < 296) tokens.push_back("\u2581t" + std::to_string(tokens.size()));
    while (tokens.size() < 300) tokens.push_back("[PAD" + std::to_string(tokens.size()) + ']');
    for (size_t id = 0; id < tokens.size(); ++id) {
        put(scores, -static_cast<float>(id));
        put<int32_t>(types, id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : id < 296 ? 1 : 5);
    }
    file.text("tokenizer.ggml.model", "llama");
    file.texts("tokenizer.ggml.tokens", tokens);
    file.array("tokenizer.ggml.scores", 6, 300, scores);
    file.array("tokenizer.ggml.token_type", 5, 300, types);
    file.u32("tokenizer.ggml.bos_token_id", 1);
    file.u32("tokenizer.ggml.eos_token_id", 2);
    {
        const Opened opened(file);
        REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
        CHECK_FALSE(opened.model.tokenizer_block.empty());
        CHECK(opened.model.notes.empty());
        CHECK(opened.model.config.usable_vocabulary == 296);  // the padding is never sampled
        CHECK(opened.model.config.bos_token == 1);
        REQUIRE(opened.model.config.eos_count >= 1);
        CHECK(opened.model.config.eos_tokens[0] == 2);
    }
    file.text("tokenizer.ggml.model", "gpt2");  // another kind: converted without it, and said so
    {
        const Opened opened(file);
        REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
        CHECK(opened.model.tokenizer_block.empty());
        CHECK(opened.model.notes.size() == 1);
        CHECK(opened.model.config.eos_tokens[0] == 2);
    }
    file.text("tokenizer.ggml.bos_token_id", "1");
    refused(file, Status::bad_file, "tokenizer.ggml.bos_token_id");
    file.u32("tokenizer.ggml.bos_token_id", 1);
    file.u32("tokenizer.ggml.scores", 1);
    refused(file, Status::bad_file, "tokenizer.ggml.scores");
}

TEST_CASE("a missing, mistyped or impossible key is named") {
    const char* required[] = {"context_length",      "embedding_length",     "block_count",
                              "feed_forward_length", "attention.head_count", "attention.layer_norm_rms_epsilon"};
    for (const char* name : required) {
        GgufFile file = gguf_model("phi3");
        file.erase(std::string("phi3.") + name);
        refused(file, Status::bad_file, std::string("\"phi3.") + name + "\" is missing");
    }
    const char* known[] = {"context_length",
                           "embedding_length",
                           "block_count",
                           "feed_forward_length",
                           "attention.head_count",
                           "attention.head_count_kv",
                           "attention.layer_norm_rms_epsilon",
                           "rope.freq_base",
                           "rope.dimension_count",
                           "attention.key_length",
                           "attention.value_length",
                           "attention.sliding_window",
                           "rope.scaling.attn_factor",
                           "attention.causal",
                           "expert_count"};
    for (const char* name : known) {
        GgufFile file = gguf_model("phi3");
        file.text(std::string("phi3.") + name, "many");
        refused(file, Status::bad_file, std::string("\"phi3.") + name + "\" of the GGUF file has type string");
    }
    for (const char* name : {"context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count",
                             "attention.head_count_kv", "rope.dimension_count", "attention.key_length"}) {
        for (const uint32_t value : {0u, 0xffffffffu}) {
            GgufFile file = gguf_model("phi3");
            file.u32(std::string("phi3.") + name, value);
            refused(file, Status::bad_file, std::string("\"phi3.") + name);
        }
    }
    GgufFile file = gguf_model("phi3");
    file.f32("phi3.rope.freq_base", std::numeric_limits<float>::quiet_NaN());
    refused(file, Status::bad_file, "phi3.rope.freq_base");
    file = gguf_model("phi3");
    file.u32("phi3.rope.dimension_count", 7);
    refused(file, Status::bad_file, "phi3.rope.dimension_count");
    file = gguf_model("phi3");
    file.u32("phi3.attention.value_length", 8);
    refused(file, Status::unsupported, "phi3.attention.value_length");
    file = gguf_model("phi3");
    file.u32("phi3.attention.head_count", 3);
    refused(file, Status::bad_file, "phi3.attention.head_count");
    file = gguf_model("phi3");
    file.erase("general.architecture");
    refused(file, Status::bad_file, "general.architecture");
}

TEST_CASE("other architectures and other graphs are refused by name") {
    refused(gguf_model("gemma2"), Status::unsupported, "gemma2");
    GgufFile file = gguf_model("llama");
    file.u32("llama.expert_count", 8);
    refused(file, Status::unsupported, "llama.expert_count");
    file = gguf_model("llama");
    file.f32("llama.attention.scale", 0.5f);
    refused(file, Status::unsupported, "llama.attention.scale");
    file = gguf_model("llama");
    file.f32("llama.logit_scale", 2);
    refused(file, Status::unsupported, "llama.logit_scale");
    file = gguf_model("llama");
    file.boolean("llama.attention.causal", false);
    refused(file, Status::unsupported, "llama.attention.causal");
    file = gguf_model("llama");
    file.matrix("blk.0.attn_q.bias", 1, 32, 1);
    refused(file, Status::unsupported, "blk.0.attn_q.bias");
    file = gguf_model("llama");
    file.matrix("blk.1.ffn_up.weight", 24, 32, 1);
    refused(file, Status::unsupported, "blk.1.ffn_up.weight");
}

TEST_CASE("a missing or misshapen tensor is named") {
    for (const char* architecture : {"phi3", "llama"}) {
        const GgufFile sound = gguf_model(architecture);
        for (const GgufFile::Tensor& tensor : sound.tensors) {
            if (tensor.name == "output.weight" || tensor.name == "blk.0.ffn_gate.weight")
                continue;  // their absence means something
            GgufFile file = sound;
            file.erase_tensor(tensor.name);
            refused(file, Status::bad_file, '"' + tensor.name + "\" (");
        }
        for (const GgufFile::Tensor& tensor : sound.tensors) {
            if (tensor.name == "token_embd.weight")
                continue;  // its rows are the vocabulary; the output matrix is compared with it
            GgufFile file = sound;
            GgufFile::Tensor& spoilt = file.tensor(tensor.name);
            const uint64_t columns = spoilt.sizes[0];
            spoilt.sizes = {columns, 5};
            spoilt.data.resize(columns * 5 * 4);
            refused(file, Status::bad_file, '"' + tensor.name + "\" (");
            spoilt.sizes = tensor.sizes;
            spoilt.sizes[0] /= 2;
            spoilt.data.resize(tensor.data.size() / 2);
            refused(file, Status::bad_file, '"' + tensor.name + "\" (");
        }
    }
}

TEST_CASE("a tensor's type and place are checked") {
    GgufFile file = gguf_model("phi3");
    file.tensor("output.weight").type = 23;
    refused(file, Status::unsupported, "\"output.weight\" of the GGUF file has type IQ4_XS");
    file.tensor("output.weight").type = 77;
    refused(file, Status::unsupported, "\"output.weight\" of the GGUF file has type 77");
    file.tensor("output.weight").type = 12;
    refused(file, Status::bad_file, "\"output.weight\" of the GGUF file has rows of 32 values");

    file = gguf_model("phi3");
    file.tensor("output_norm.weight").offset_shift = 4;
    refused(file, Status::bad_file, "\"output_norm.weight\"");
    file.tensor("output_norm.weight").offset_shift = -32;
    refused(file, Status::bad_file, "overlap");
    file.tensor("output_norm.weight").offset_shift = 1 << 20;
    refused(file, Status::bad_file, "past the file's end");
    file.tensor("output_norm.weight").offset_shift = std::numeric_limits<int64_t>::min();
    refused(file, Status::bad_file, "past the file's end");

    file = gguf_model("phi3");
    for (const std::vector<uint64_t>& sizes : std::vector<std::vector<uint64_t>>{
             {}, {0}, {32, 0}, {uint64_t{1} << 33}, {32, uint64_t{1} << 63, 2}, {1, 1, 1, 1, 1}, {32, 1u << 31, 1u << 31, 4}}) {
        file.tensor("output_norm.weight").sizes = sizes;
        refused(file, Status::bad_file, "\"output_norm.weight\"");
    }
    file = gguf_model("phi3");
    file.tensors.push_back(file.tensors.front());
    refused(file, Status::bad_file, "\"token_embd.weight\" stands twice");
}

TEST_CASE("the file's frame is checked") {
    GgufFile file = gguf_model("phi3");
    for (const uint32_t version : {0u, 1u, 4u, 0x03000000u}) {
        file.version = version;
        refused(file, Status::unsupported, version == 0x03000000u ? "big-endian" : "version");
    }
    file.version = 2;
    CHECK(Opened(file).status == Status::ok);

    file = gguf_model("phi3");
    for (const uint32_t alignment : {0u, 24u, 1u << 30}) {
        file.u32("general.alignment", alignment);
        refused(file, Status::bad_file, "general.alignment");
    }
    file.u32("general.alignment", 128);
    file.alignment = 128;
    CHECK(Opened(file).status == Status::ok);

    file = gguf_model("phi3");
    file.keys.push_back(file.keys.front());
    refused(file, Status::bad_file, "\"general.architecture\" twice");
    file = gguf_model("phi3");
    file.set("general.odd", 13, {1});
    refused(file, Status::bad_file, "\"general.odd\" of the GGUF file has type 13");
    file = gguf_model("phi3");
    file.set("general.odd", 7, {2});
    refused(file, Status::bad_file, "\"general.odd\"");
    file = gguf_model("phi3");
    file.array("general.odd", 14, 1, {1, 2, 3, 4});
    refused(file, Status::bad_file, "\"general.odd\"");
    // Counts far past the end must not be believed.
    for (const uint32_t element : {0u, 8u, 9u, 12u}) {
        for (const uint64_t count : {uint64_t{1} << 20, uint64_t{1} << 61, ~uint64_t{0}}) {
            file = gguf_model("phi3");
            file.array("general.odd", element, count, {1});
            CHECK(Opened(file).status == Status::bad_file);
        }
    }
    file = gguf_model("phi3");
    file.set("general.odd", 8, GgufFile::number(~uint64_t{0}));
    refused(file, Status::bad_file, "ends inside its header");
    Bytes nested;
    for (int depth = 0; depth < 1000; ++depth) {
        put<uint32_t>(nested, 9);
        put<uint64_t>(nested, 1);
    }
    file.set("general.odd", 9, nested);
    refused(file, Status::bad_file, "\"general.odd\"");
}

TEST_CASE("no truncated file is taken for a whole one") {
    for (const char* architecture : {"phi3", "llama"}) {
        const Bytes sound = gguf_model(architecture).bytes();
        REQUIRE(Opened(sound).status == Status::ok);
        for (size_t length = 0; length < sound.size(); length += length < 2000 ? 1 : 97) {
            const Opened opened(Bytes(sound.begin(), sound.begin() + static_cast<ptrdiff_t>(length)));
            CHECK(opened.status == Status::bad_file);
            CHECK(opened.error.text()[0] != 0);
        }
    }
    for (const size_t count_at : {size_t{8}, size_t{16}}) {
        Bytes file = gguf_model("phi3").bytes();
        for (const uint64_t count : {uint64_t{1} << 17, ~uint64_t{0}}) {
            store(file.data() + count_at, count);
            CHECK(Opened(file).status == Status::bad_file);
        }
    }
}

TEST_CASE("a weight that is not finite is refused when it is read") {
    for (const float value : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        GgufFile file = gguf_model("llama");
        store(file.tensor("blk.0.attn_k.weight").data.data() + (3 * 32 + 7) * 4, value);
        const Opened opened(file);
        REQUIRE(opened.status == Status::ok);
        const SourceTensor& qkv = *find_tensor(opened.model, TensorRole::qkv);
        std::vector<float> rows(size_t{qkv.rows} * qkv.columns);
        Error error;
        CHECK(read_rows(qkv, 0, 32, rows.data(), error) == Status::ok);
        CHECK(read_rows(qkv, 0, qkv.rows, rows.data(), error) == Status::bad_file);
        CHECK(contains(error.text(), "\"blk.0.attn_k.weight\""));
        CHECK(contains(error.text(), "column 7"));
    }
}

TEST_CASE("a GGUF in several files opens from any of them") {
    const GgufFile whole = gguf_model("llama");
    MemoryFolder folder;
    const auto name = [](int part) { return "model-0000" + std::to_string(part + 1) + "-of-00003.gguf"; };
    for (int part = 0; part < 3; ++part) {
        GgufFile file;
        if (part == 0) file.keys = whole.keys;
        file.set("split.no", 2, GgufFile::number(static_cast<uint16_t>(part)));
        file.set("split.count", 2, GgufFile::number(uint16_t{3}));
        file.set("split.tensors.count", 5, GgufFile::number(static_cast<int32_t>(whole.tensors.size())));
        for (size_t i = 0; i < whole.tensors.size(); ++i) {
            if (i * 3 / whole.tensors.size() == static_cast<size_t>(part)) file.tensors.push_back(whole.tensors[i]);
        }
        folder.files[name(part)] = file.bytes();
    }
    SourceModel model;
    Error error;
    for (int part = 0; part < 3; ++part) {
        const Status status = open_in_memory(folder, name(part), model, error);
        REQUIRE_MESSAGE(status == Status::ok, error.text());
        CHECK(all_rows(*find_tensor(model, TensorRole::output)) == test_matrix(12, 40, 32));
    }
    MemoryFolder renamed;
    renamed.files["model.gguf"] = folder.files[name(0)];
    CHECK(open_in_memory(renamed, "model.gguf", model, error) == Status::bad_file);
    CHECK(contains(error.text(), "split.no"));
    MemoryFolder swapped;
    swapped.files = folder.files;
    swapped.files[name(2)] = folder.files[name(1)];
    CHECK(open_in_memory(swapped, name(0), model, error) == Status::bad_file);
    CHECK(contains(error.text(), name(2)));
    folder.files.erase(name(1));
    CHECK(open_in_memory(folder, name(0), model, error) == Status::bad_file);
    CHECK(contains(error.text(), name(1)));
}

TEST_CASE("what is no model gets a sentence that lists what is") {
    MemoryFolder folder;
    SourceModel model;
    Error error;
    folder.files["notes.txt"] = to_bytes("hello");
    for (const char* main : {"notes.txt", ""}) {
        CHECK(open_in_memory(folder, main, model, error) == Status::bad_file);
        CHECK(contains(error.text(), "GGUF"));
        CHECK(contains(error.text(), "safetensors"));
        CHECK(contains(error.text(), "llama2.c"));
    }
    CHECK(open_in_memory(folder, "absent.gguf", model, error) == Status::bad_file);
    CHECK(contains(error.text(), "absent.gguf"));
}
