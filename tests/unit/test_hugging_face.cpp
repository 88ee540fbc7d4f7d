// Hugging Face folders: config.json, safetensors, what a sound folder becomes and how each unsound one is refused.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/unit/source_files.h"
#include "tools/converter/safetensors.h"

using namespace linnet;
using namespace linnet::source_test;
using nlohmann::json;

namespace {

json small_config(const std::string& kind) {
    json config = {{"model_type", kind},      {"vocab_size", 40},         {"hidden_size", 32},
                   {"num_hidden_layers", 1},  {"num_attention_heads", 2}, {"num_key_value_heads", 1},
                   {"intermediate_size", 24}, {"hidden_act", "silu"},     {"max_position_embeddings", 64},
                   {"rms_norm_eps", 1e-5},    {"rope_theta", 500000.0},   {"tie_word_embeddings", false},
                   {"attention_bias", false}, {"rope_scaling", nullptr},  {"sliding_window", nullptr},
                   {"bos_token_id", 1},       {"eos_token_id", 2},        {"torch_dtype", "bfloat16"}};
    if (kind == "phi3") config["original_max_position_embeddings"] = 64;
    return config;
}

struct Opened {
    MemoryFolder folder;
    SourceModel model;
    Error error;
    Status status = Status::ok;

    Opened(const std::string& config, const std::map<std::string, Bytes>& files) {
        folder.files = files;
        folder.files["config.json"] = to_bytes(config);
        status = open_in_memory(folder, "", model, error);
    }
    Opened(const json& config, const SafetensorsFile& weights)
        : Opened(config.dump(), {{"model.safetensors", weights.bytes()}}) {}
    explicit Opened(const json& config) : Opened(config, safetensors_model(config["model_type"])) {}
};

void refused(const Opened& opened, Status status, std::string_view names) {
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

void bad_safetensors(const Bytes& file, std::string_view names) {
    MemoryInput input(file);
    std::vector<SafetensorsEntry> entries;
    Error error;
    const Status status = read_safetensors(input, "x.safetensors", entries, error);
    CAPTURE(std::string(names));
    CAPTURE(std::string(error.text()));
    CHECK(status != Status::ok);
    CHECK(contains(error.text(), "x.safetensors"));
    CHECK(contains(error.text(), names));
}

}  // namespace

TEST_CASE("folders of phi3, llama and mistral open") {
    for (const char* kind : {"phi3", "llama", "mistral"}) {
        const Opened opened(small_config(kind));
        REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
        const ModelConfig& config = opened.model.config;
        CHECK(config.architecture == (std::string_view(kind) == "phi3" ? 1u : 2u));
        CHECK(config.vocabulary == 40);
        CHECK(config.usable_vocabulary == 40);
        CHECK(config.head_dim == 16);
        CHECK(config.rotary_dims == 16);
        CHECK(config.kv_heads == 1);
        CHECK(config.rope_theta == 500000.0);
        CHECK(config.flags == 0);
        CHECK(config.bos_token == 1);
        CHECK(config.add_bos == 0);
        CHECK(config.eos_count == 1);
        CHECK(opened.model.tensors.size() == 9);
        CHECK(opened.model.notes.size() == 1);  // no tokenizer
        CHECK(opened.model.tokenizer_block.empty());
        const std::vector<float> rows = all_rows(*find_tensor(opened.model, TensorRole::qkv));
        CHECK(rows[33 * 32 + 5] == (std::string_view(kind) == "phi3" ? test_weight(3, 33, 5) : test_weight(4, 1, 5)));
        CHECK(all_rows(*find_tensor(opened.model, TensorRole::attention_norm)) == test_matrix(2, 1, 32));
    }
}

TEST_CASE("half-precision weights") {
    SafetensorsFile weights = safetensors_model("phi3");
    SafetensorsFile::Tensor& norm = weights.tensor("model.norm.weight");
    norm.dtype = "BF16";
    norm.data.clear();
    for (int i = 0; i < 32; ++i) put<uint16_t>(norm.data, static_cast<uint16_t>(0x3f80 + i));
    SafetensorsFile::Tensor& head = weights.tensor("lm_head.weight");
    head.dtype = "F16";
    head.data.clear();
    for (int i = 0; i < 40 * 32; ++i) put<uint16_t>(head.data, float_to_half(static_cast<float>(i)));
    const Opened opened(small_config("phi3"), weights);
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    CHECK(all_rows(*find_tensor(opened.model, TensorRole::output_norm))[3] == 1.0f + 3.0f / 128);
    CHECK(all_rows(*find_tensor(opened.model, TensorRole::output))[700] == 700.0f);
    norm.dtype = "F8_E4M3";
    norm.data.resize(32);
    refused(Opened(small_config("phi3"), weights), Status::unsupported, "\"model.norm.weight\"");
    norm.dtype = "F4";
    refused(Opened(small_config("phi3"), weights), Status::unsupported, "F4");
}

TEST_CASE("tied embeddings") {
    json config = small_config("llama");
    config["tie_word_embeddings"] = true;
    const Opened with_head(config);  // transformers takes the embedding all the same
    REQUIRE_MESSAGE(with_head.status == Status::ok, with_head.error.text());
    CHECK(with_head.model.config.flags == tied_embeddings);
    CHECK(all_rows(*find_tensor(with_head.model, TensorRole::output)) == test_matrix(1, 40, 32));
    config["tie_word_embeddings"] = false;
    SafetensorsFile weights = safetensors_model("llama");
    weights.tensors.pop_back();
    const Opened without(config, weights);
    REQUIRE_MESSAGE(without.status == Status::ok, without.error.text());
    CHECK(without.model.config.flags == tied_embeddings);
    CHECK(without.model.notes.size() == 2);
}

TEST_CASE("the window and the generation config's ends") {
    json config = small_config("phi3");
    config["sliding_window"] = 11;
    CHECK(Opened(config).model.config.window_keys == 12);
    config["sliding_window"] = 262144;
    CHECK(Opened(config).model.config.window_keys == 0);
    json llama = small_config("llama");
    llama["sliding_window"] = 11;
    CHECK(Opened(llama).model.config.window_keys == 0);
    const Opened opened(config.dump(), {{"model.safetensors", safetensors_model("phi3").bytes()},
                                        {"generation_config.json", to_bytes("{\"eos_token_id\": [7, 2, 7, 39, 40, -1]}")}});
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    REQUIRE(opened.model.config.eos_count == 3);
    CHECK(opened.model.config.eos_tokens[0] == 7);
    CHECK(opened.model.config.eos_tokens[2] == 39);
}

TEST_CASE("RoPE's scalings in both of their forms") {
    const json factors = {1, 1, 1, 1, 1, 1.5, 2, 2};
    const json longer = {1, 2, 3, 4, 5, 6, 7, 8};
    for (const bool recent : {false, true}) {
        for (const char* type : {"su", "longrope"}) {
            json config = small_config("phi3");
            json rope = {{"short_factor", factors}, {"long_factor", longer}, {recent ? "rope_type" : "type", type}};
            if (recent) {
                config.erase("rope_theta");
                config.erase("original_max_position_embeddings");
                rope["rope_theta"] = 10000.0;
                rope["original_max_position_embeddings"] = 32;
                config["rope_parameters"] = rope;
            } else {
                config["original_max_position_embeddings"] = 32;
                config["rope_scaling"] = rope;
            }
            const Opened opened(config);
            REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
            CHECK(opened.model.config.flags == long_rope);
            CHECK(opened.model.config.original_context == 32);
            CHECK(opened.model.config.rope_attention_factor == doctest::Approx(std::sqrt(1.2)).epsilon(1e-6));
            CHECK(opened.model.config.rope_theta == (recent ? 10000.0 : 500000.0));
            CHECK(opened.model.rope_short[5] == 1.5f);
            CHECK(opened.model.rope_long[7] == 8.0f);
            json& place = recent ? config["rope_parameters"] : config["rope_scaling"];
            place["attention_factor"] = 1.5;
            CHECK(Opened(config).model.config.rope_attention_factor == 1.5f);
            place["long_factor"].push_back(9);
            refused(Opened(config), Status::bad_file, "\"long_factor\"");
            place["long_factor"] = {1, 2, 3, 4, 5, 6, 7, "8"};
            refused(Opened(config), Status::bad_file, "\"long_factor\"");
            place["long_factor"] = {1, 2, 3, 4, 5, 6, 7, 0};
            refused(Opened(config), Status::bad_file, "\"long_factor\"");
            place.erase("long_factor");
            refused(Opened(config), Status::bad_file, "\"long_factor\"");
            place["long_mscale"] = 1.1;
            refused(Opened(config), Status::unsupported, "long_mscale");
        }
    }
    json config = small_config("phi3");
    config["partial_rotary_factor"] = 0.75;
    CHECK(Opened(config).model.config.rotary_dims == 12);
    config["partial_rotary_factor"] = 0.3;
    CHECK(Opened(config).model.config.rotary_dims == 4);
    config["partial_rotary_factor"] = 0.7;
    refused(Opened(config), Status::bad_file, "partial_rotary_factor");

    json llama = small_config("llama");
    llama["rope_scaling"] = {{"type", "linear"}, {"factor", 4}};
    CHECK(Opened(llama).model.rope_short == std::vector<float>(8, 4.0f));
    llama["rope_scaling"] = {{"rope_type", "llama3"},
                             {"factor", 8.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 8192}};
    const Opened opened(llama);
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    REQUIRE(opened.model.rope_short.size() == 8);
    // Wavelengths 2 pi 500000^(i / 8): the 5th turns 0.36 times in 8192 positions, the 4th 1.84, the 3rd 9.5.
    CHECK(opened.model.rope_short[3] == 1.0f);
    const double share = (8192 / (2 * 3.14159265358979 * std::pow(500000.0, 0.5)) - 1) / 3;
    CHECK(opened.model.rope_short[4] == doctest::Approx(1 / ((1 - share) / 8 + share)).epsilon(1e-6));
    CHECK(opened.model.rope_short[5] == 8.0f);
    llama["rope_scaling"].erase("factor");
    refused(Opened(llama), Status::bad_file, "\"factor\"");
    llama["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2}};
    refused(Opened(llama), Status::unsupported, "dynamic");
    llama["rope_scaling"] = "linear";
    refused(Opened(llama), Status::bad_file, "\"rope_scaling\"");
}

TEST_CASE("a missing, mistyped or impossible field is named") {
    const char* counts[] = {"vocab_size",          "hidden_size",       "num_hidden_layers",
                            "num_attention_heads", "intermediate_size", "max_position_embeddings"};
    for (const char* name : counts) {
        json config = small_config("phi3");
        config.erase(name);
        refused(Opened(config), Status::bad_file, std::string("\"") + name + "\" is missing");
        for (const json& value : {json("7"), json(-1), json(1.5), json(0), json(4000000000u), json(json::array())}) {
            config[name] = value;
            refused(Opened(config), Status::bad_file, std::string("\"") + name + '"');
        }
    }
    for (const char* name : {"num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "partial_rotary_factor",
                             "sliding_window", "original_max_position_embeddings", "tie_word_embeddings", "hidden_act",
                             "attention_bias", "eos_token_id", "bos_token_id", "model_type"}) {
        json config = small_config("phi3");
        const bool needs_scaling = std::string_view(name) == "original_max_position_embeddings";
        if (needs_scaling) {
            const json eight = {1, 1, 1, 1, 1, 1, 1, 1};
            config["rope_scaling"] = {{"type", "su"}, {"short_factor", eight}, {"long_factor", eight}};
        }
        config[name] = {{"a", 1}};
        refused(Opened(config.dump(), {{"model.safetensors", safetensors_model("phi3").bytes()}}), Status::bad_file,
                std::string("\"") + name + '"');
    }
    json config = small_config("llama");
    config.erase("rms_norm_eps");
    refused(Opened(config), Status::bad_file, "rms_norm_eps");
    config = small_config("llama");
    config["num_attention_heads"] = 3;
    refused(Opened(config), Status::bad_file, "num_");
    const std::map<std::string, Bytes> weights = {{"model.safetensors", safetensors_model("phi3").bytes()}};
    for (const char* text : {"", "[1]", "{\"a\":", "{\"model_type\": \"phi3\"} x", "\xff\xfe"}) {
        refused(Opened(std::string(text), weights), Status::bad_file, "\"config.json\"");
    }
    refused(Opened(std::string(100000, '['), weights), Status::bad_file, "nests");
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
    refused(Opened(deep, weights), Status::bad_file, "nests");
}

TEST_CASE("other computations are refused by the field's name") {
    const auto with = [](const char* kind, const char* name, const json& value) {
        json config = small_config(kind);
        config[name] = value;
        return config;
    };
    refused(Opened(with("phi3", "hidden_act", "gelu")), Status::unsupported, "hidden_act");
    refused(Opened(with("phi3", "attention_bias", true)), Status::unsupported, "attention_bias");
    refused(Opened(with("llama", "mlp_bias", true)), Status::unsupported, "mlp_bias");
    refused(Opened(with("llama", "quantization_config", {{"bits", 4}})), Status::unsupported, "quantization_config");
    json config = small_config("phi3");
    config["model_type"] = "qwen2";
    refused(Opened(config, safetensors_model("phi3")), Status::unsupported, "qwen2");
    SafetensorsFile weights = safetensors_model("llama");
    weights.matrix("model.layers.0.self_attn.q_proj.bias", 1, 32, 9);
    refused(Opened(small_config("llama"), weights), Status::unsupported, "q_proj.bias");
    weights = safetensors_model("llama");
    weights.matrix("model.layers.0.self_attn.rotary_emb.inv_freq", 1, 8, 9);  // old exports have it; it follows from the config
    CHECK(Opened(small_config("llama"), weights).status == Status::ok);
}

TEST_CASE("a missing or misshapen tensor of a folder is named") {
    for (const char* kind : {"phi3", "llama"}) {
        const SafetensorsFile sound = safetensors_model(kind);
        for (size_t i = 0; i < sound.tensors.size(); ++i) {
            const std::string& name = sound.tensors[i].name;
            SafetensorsFile file = sound;
            file.tensors.erase(file.tensors.begin() + static_cast<ptrdiff_t>(i));
            if (name != "lm_head.weight")
                refused(Opened(small_config(kind), file), Status::bad_file, name.substr(0, name.size() - 12));
            file = sound;
            file.tensors[i].shape.back() /= 2;
            file.tensors[i].data.resize(file.tensors[i].data.size() / 2);
            refused(Opened(small_config(kind), file), Status::bad_file, '"' + name + "\" (");
        }
    }
}

TEST_CASE("shards") {
    const SafetensorsFile whole = safetensors_model("phi3");
    SafetensorsFile first, second;
    json map;
    for (size_t i = 0; i < whole.tensors.size(); ++i) {
        (i % 2 == 0 ? first : second).tensors.push_back(whole.tensors[i]);
        map[whole.tensors[i].name] = i % 2 == 0 ? "a.safetensors" : "b.safetensors";
    }
    const std::string config = small_config("phi3").dump();
    const auto files = [&](const json& index) {
        return std::map<std::string, Bytes>{{"a.safetensors", first.bytes()},
                                            {"b.safetensors", second.bytes()},
                                            {"model.safetensors.index.json", to_bytes(index.dump())}};
    };
    const Opened opened(config, files({{"metadata", {{"total_size", 1}}}, {"weight_map", map}}));
    REQUIRE_MESSAGE(opened.status == Status::ok, opened.error.text());
    CHECK(all_rows(*find_tensor(opened.model, TensorRole::output)) == test_matrix(9, 40, 32));
    // Without an index, all that is there.
    std::map<std::string, Bytes> no_index = files({});
    no_index.erase("model.safetensors.index.json");
    CHECK(Opened(config, no_index).status == Status::ok);
    no_index.clear();
    refused(Opened(config, no_index), Status::bad_file, "safetensors");

    for (const char* name : {"../a.safetensors", "/etc/passwd", "x/a.safetensors", "..", "", "a\\b", "C:a"}) {
        json spoilt = map;
        spoilt["model.norm.weight"] = name;
        refused(Opened(config, files({{"weight_map", spoilt}})), Status::bad_file, "plain file name");
    }
    json spoilt = map;
    spoilt["model.norm.weight"] = "c.safetensors";
    refused(Opened(config, files({{"weight_map", spoilt}})), Status::bad_file, "\"c.safetensors\" is missing");
    spoilt["model.norm.weight"] = map["model.norm.weight"] == "a.safetensors" ? "b.safetensors" : "a.safetensors";
    refused(Opened(config, files({{"weight_map", spoilt}})), Status::bad_file, "\"model.norm.weight\"");
    spoilt["model.norm.weight"] = 7;
    refused(Opened(config, files({{"weight_map", spoilt}})), Status::bad_file, "weight_map");
    refused(Opened(config, files({{"weight_map", json::array()}})), Status::bad_file, "weight_map");
    refused(Opened(config, files({{"map", map}})), Status::bad_file, "weight_map");
}

TEST_CASE("a safetensors header is checked") {
    SafetensorsFile file;
    file.matrix("a", 2, 3, 1);
    file.matrix("b", 4, 1, 2);
    const Bytes sound = file.bytes();
    {
        MemoryInput input(sound);
        std::vector<SafetensorsEntry> entries;
        Error error;
        REQUIRE_MESSAGE(read_safetensors(input, "x", entries, error) == Status::ok, error.text());
        REQUIRE(entries.size() == 2);
        CHECK(entries[1].rows == 4);
        CHECK(entries[1].columns == 1);
        CHECK(entries[1].end == sound.size());
    }
    for (size_t length = 0; length < sound.size(); ++length) {
        bad_safetensors(Bytes(sound.begin(), sound.begin() + static_cast<ptrdiff_t>(length)), "");
    }
    const auto entry = [](const char* fields) { return std::string("{\"a\":{") + fields + "}}"; };
    struct Bad {
        std::string header;
        const char* names;
    };
    const Bad bad[] = {
        {"", "JSON"},
        {"{\"a\"", "JSON"},
        {"[]", "not a JSON object"},
        {"7", "not a JSON object"},
        {"{\"a\":7}", "\"a\""},
        {"{\"__metadata__\":{\"format\":7}}", "__metadata__"},
        {"{\"__metadata__\":{\"format\":{}}}", "object"},
        {entry(""), "lacks"},
        {entry("\"dtype\":\"F32\",\"shape\":[2]"), "lacks"},
        {entry("\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]"), "dtype"},
        {entry("\"dtype\":\"Q9\",\"shape\":[2],\"data_offsets\":[0,8]"), "Q9"},
        {entry("\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]"), "shape"},
        {entry("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"), "shape"},
        {entry("\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]"), "shape"},
        {entry("\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]"), "shape"},
        {entry("\"dtype\":\"F32\",\"shape\":[[2]],\"data_offsets\":[0,8]"), "shape"},
        {entry("\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]"), "dimensions"},
        {entry("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]"), "shape"},
        {entry("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"), "needs another number"},
        {entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]"), "data_offsets"},
        {entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]"), "data_offsets"},
        {entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]"), "data_offsets"},
        {entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[36,44]"), "data_offsets"},
        {entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551615]"), "data_offsets"},
        {entry("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"), "twice"},
        {entry("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1"), "more"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[8,16]}}",
         "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[4,12]}}",
         "same place"},
    };
    for (const Bad& each : bad) bad_safetensors(file.bytes_with(each.header), each.names);
    Bytes lie = sound;
    for (const uint64_t length : {uint64_t{100'000'001}, ~uint64_t{0}, uint64_t{sound.size()}}) {
        store(lie.data(), length);
        bad_safetensors(lie, "header");
    }
}
