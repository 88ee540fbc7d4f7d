// llama2.c's .bin: the layout, the tokenizer beside it, and what is refused.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/unit/source_files.h"

using namespace linnet;
using namespace linnet::source_test;

namespace {

struct Header {
    int32_t dim = 32, hidden_dim = 24, layers = 2, heads = 2, kv_heads = 1, vocabulary = 40, length = 16;
};

// Every weight is its own index, so that a tensor tells where it was read from.
Bytes llama2c_file(const Header& header) {
    Bytes bytes;
    for (int32_t field :
         {header.dim, header.hidden_dim, header.layers, header.heads, header.kv_heads, header.vocabulary, header.length}) {
        put(bytes, field);
    }
    const int64_t rows = std::abs(header.vocabulary), dim = header.dim, kv = dim / header.heads * header.kv_heads;
    int64_t weights = rows * dim + header.layers * (2 * dim + 2 * dim * dim + 2 * kv * dim + 3 * dim * header.hidden_dim) +
                      dim + header.length * (dim / header.heads);
    if (header.vocabulary < 0) weights += rows * dim;
    for (int64_t i = 0; i < weights; ++i) put(bytes, static_cast<float>(i));
    return bytes;
}

Status open_bytes(MemoryFolder& folder, SourceModel& model, Error& error) {
    return open_in_memory(folder, "model.bin", model, error);
}

void refused(const Bytes& bytes, Status status, std::string_view names) {
    MemoryFolder folder;
    SourceModel model;
    Error error;
    folder.files["model.bin"] = bytes;
    CAPTURE(std::string(names));
    CHECK(open_bytes(folder, model, error) == status);
    CAPTURE(std::string(error.text()));
    CHECK(contains(error.text(), names));
}

float first_value(const SourceModel& model, TensorRole role, uint32_t layer, uint32_t row = 0) {
    const SourceTensor& tensor = *find_tensor(model, role, layer);
    std::vector<float> values(tensor.columns);
    Error error;
    REQUIRE(read_rows(tensor, row, 1, values.data(), error) == Status::ok);
    return values[0];
}

Bytes tokenizer_file(int pieces) {
    Bytes bytes;
    put<int32_t>(bytes, 12);
    for (int id = 0; id < pieces; ++id) {
        const std::string text = id == 0 ? "<unk>" : id == 1 ? "\n<s>\n" : id == 2 ? "\n</s>\n" : "t" + std::to_string(id);
        put(bytes, -static_cast<float>(id));
        put(bytes, static_cast<int32_t>(text.size()));
        bytes.insert(bytes.end(), text.begin(), text.end());
    }
    return bytes;
}

}  // namespace

TEST_CASE("a llama2.c file opens, tied and untied") {
    for (const bool untied : {false, true}) {
        Header header;
        if (untied) header.vocabulary = -40;
        MemoryFolder folder;
        SourceModel model;
        Error error;
        folder.files["model.bin"] = llama2c_file(header);
        REQUIRE_MESSAGE(open_bytes(folder, model, error) == Status::ok, error.text());
        const ModelConfig& config = model.config;
        CHECK(config.architecture == 2);
        CHECK(config.vocabulary == 40);
        CHECK(config.context == 16);
        CHECK(config.rope_theta == 10000.0);
        CHECK(config.rms_epsilon == 1e-5f);
        CHECK(config.flags == (untied ? 0u : 1u));
        CHECK(model.tensors.size() == (untied ? 15u : 14u));
        CHECK(model.notes.size() == 1);
        // The order in the file: embedding; for all layers norms, wq, wk, wv, wo, norms, w1, w2, w3; last norm; tables; head.
        uint32_t at = 40 * 32;
        CHECK(first_value(model, TensorRole::attention_norm, 1) == static_cast<float>(at + 32));
        at += 2 * 32;
        CHECK(first_value(model, TensorRole::qkv, 1) == static_cast<float>(at + 32 * 32));
        CHECK(first_value(model, TensorRole::qkv, 1, 1) == static_cast<float>(at + 32 * 32 + 2 * 32));  // pairs to halves
        at += 2 * 32 * 32;
        CHECK(first_value(model, TensorRole::qkv, 1, 32) == static_cast<float>(at + 16 * 32));
        at += 2 * 2 * 16 * 32;
        CHECK(first_value(model, TensorRole::attention_output, 1) == static_cast<float>(at + 32 * 32));
        at += 2 * 32 * 32;
        CHECK(first_value(model, TensorRole::feed_forward_norm, 1) == static_cast<float>(at + 32));
        at += 2 * 32;
        CHECK(first_value(model, TensorRole::gate_up, 1) == static_cast<float>(at + 24 * 32));
        at += 2 * 24 * 32;
        CHECK(first_value(model, TensorRole::down, 1) == static_cast<float>(at + 24 * 32));
        at += 2 * 24 * 32;
        CHECK(first_value(model, TensorRole::gate_up, 1, 24) == static_cast<float>(at + 24 * 32));
        at += 2 * 24 * 32;
        CHECK(first_value(model, TensorRole::output_norm, 0) == static_cast<float>(at));
        at += 32 + 16 * 16;
        CHECK(first_value(model, TensorRole::output, 0) == (untied ? static_cast<float>(at) : 0.0f));
    }
}

TEST_CASE("the tokenizer beside a llama2.c file") {
    MemoryFolder folder;
    SourceModel model;
    Error error;
    folder.files["model.bin"] = llama2c_file({});
    folder.files["tok40.bin"] = tokenizer_file(40);
    REQUIRE_MESSAGE(open_bytes(folder, model, error) == Status::ok, error.text());
    CHECK(model.notes.empty());
    CHECK_FALSE(model.tokenizer_block.empty());
    CHECK(model.config.add_bos == 1);
    CHECK(model.config.bos_token == 1);
    CHECK(model.config.eos_tokens[0] == 2);
    CHECK(model.config.chat_template == 0);
    folder.files["tokenizer.bin"] = tokenizer_file(30);  // does not fit: said so, and the other is taken
    REQUIRE_MESSAGE(open_bytes(folder, model, error) == Status::ok, error.text());
    CHECK(model.notes.size() == 1);
    CHECK_FALSE(model.tokenizer_block.empty());
    folder.files.erase("tok40.bin");
    REQUIRE_MESSAGE(open_bytes(folder, model, error) == Status::ok, error.text());
    CHECK(model.notes.size() == 2);
    CHECK(model.tokenizer_block.empty());
}

TEST_CASE("a llama2.c file that is not one is refused") {
    const Bytes sound = llama2c_file({});
    const char* names[] = {"dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"};
    for (size_t field = 0; field < 7; ++field) {
        for (const int32_t value : {0, INT32_MIN, INT32_MAX}) {
            Bytes bytes = sound;
            store(bytes.data() + field * 4, value);
            refused(bytes, Status::bad_file, names[field]);
        }
    }
    Bytes bytes = sound;
    store(bytes.data() + 12, int32_t{3});
    refused(bytes, Status::bad_file, "n_heads");
    bytes = sound;
    bytes.push_back(0);
    refused(bytes, Status::bad_file, "truncated, or not a llama2.c file");
    for (size_t length = 0; length < sound.size(); length += length < 40 ? 1 : 501) {
        refused(Bytes(sound.begin(), sound.begin() + static_cast<ptrdiff_t>(length)), Status::bad_file, "model.bin");
    }
    bytes = sound;
    store(bytes.data(), uint32_t{0x616b3432});
    refused(bytes, Status::unsupported, "version");
}
