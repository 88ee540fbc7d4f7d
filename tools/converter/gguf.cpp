// A model in GGUF: what the keys and tensors of the architectures "phi3" and "llama" mean. Keys: ggml's docs/gguf.md.
#include <algorithm>
#include <cmath>
#include <memory>

#include "core/model/reader.h"
#include "tools/converter/gguf_header.h"
#include "tools/converter/source_build.h"

namespace linnet {

namespace {

constexpr uint64_t most_vocabulary = 1u << 20;

constexpr TensorNames gguf_names = {.suffix = ".weight",
                                    .embedding = "token_embd",
                                    .output_norm = "output_norm",
                                    .output = "output",
                                    .layer_prefix = "blk.",
                                    .attention_norm = "attn_norm",
                                    .qkv = "attn_qkv",
                                    .query = "attn_q",
                                    .key = "attn_k",
                                    .value = "attn_v",
                                    .attention_output = "attn_output",
                                    .feed_forward_norm = "ffn_norm",
                                    .gate_up = "ffn_up",
                                    .gate = "ffn_gate",
                                    .up = "ffn_up",
                                    .down = "ffn_down"};

bool ends_with(const std::string& text, std::string_view end) {
    return text.size() >= end.size() && std::string_view(text).substr(text.size() - end.size()) == end;
}

// "model-00002-of-00003.gguf": the name of part `part` (from 0), of as many as `count`; empty when the name is not of that
// form.
std::string part_name(const std::string& name, uint64_t part, uint64_t count) {
    constexpr size_t tail = std::string_view("-00001-of-00003.gguf").size();
    if (name.size() < tail) return {};
    const std::string end = name.substr(name.size() - tail);
    if (end[0] != '-' || end.compare(6, 4, "-of-") != 0 || end.compare(15, 5, ".gguf") != 0) return {};
    const auto five = [](uint64_t number) {
        const std::string digits = std::to_string(number);
        return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
    };
    if (end.compare(10, 5, five(count)) != 0) return {};
    return name.substr(0, name.size() - tail) + '-' + five(part + 1) + "-of-" + five(count) + ".gguf";
}

class GgufModel {
public:
    GgufModel(const SourceOptions& options, SourceModel& model, Error& error)
        : options_(options), model_(model), error_(error) {}

    Status open(InputFolder& folder, const std::string& main);

private:
    Status open_parts(InputFolder& folder, const std::string& main);
    Status read_architecture();
    Status refuse_other_graphs();
    Status read_config();
    Status read_rope();
    Status read_rope_factors(const char* name, std::vector<float>& factors);
    Status read_window();
    Status read_tokenizer();

    const GgufHeader& header() const { return *headers_[0]; }
    // "phi3.context_length" for "context_length".
    std::string key(const char* name) const { return architecture_ + '.' + name; }

    Status count(const char* name, uint64_t low, uint64_t high, bool required, uint32_t& to) {
        if (required) {
            if (Status status = header().require(key(name), error_); status != Status::ok) return status;
        }
        uint64_t value = to;
        if (Status status = header().integer(key(name), low, high, value, error_); status != Status::ok) return status;
        to = static_cast<uint32_t>(value);
        return Status::ok;
    }

    const SourceOptions& options_;
    SourceModel& model_;
    Error& error_;
    std::vector<std::unique_ptr<GgufHeader>> headers_;
    std::string architecture_;
    TensorSet set_;
};

Status GgufModel::open_parts(InputFolder& folder, const std::string& main) {
    const auto open_one = [&](const std::string& name, GgufHeader& header) -> Status {
        Input* input = nullptr;
        if (Status status = folder.open(name, input, error_); status != Status::ok) return status;
        if (input == nullptr) {
            return error_.fail(Status::bad_file)
                   << "The file " << in_quotes(name) << " is missing: a model in several files needs all of "
                   << "them, side by side.";
        }
        return header.read(*input, name, error_);
    };
    auto first = std::make_unique<GgufHeader>();
    if (Status status = open_one(main, *first); status != Status::ok) return status;
    uint64_t parts = 1, number = 0, tensors = 0;
    Status status = first->integer("split.count", 0, 1000, parts, error_);
    if (status == Status::ok) status = first->integer("split.no", 0, 999, number, error_);
    if (status == Status::ok) status = first->integer("split.tensors.count", 0, 1u << 20, tensors, error_);
    if (status != Status::ok) return status;
    if (parts <= 1) {
        headers_.push_back(std::move(first));
        return Status::ok;
    }
    if (part_name(main, number, parts) != main) {
        return error_.fail(Status::bad_file)
               << "The GGUF file " << in_quotes(main) << " is part " << number + 1 << " of " << parts
               << " (split.no, split.count), but its name does not end in that; the others cannot be found.";
    }
    uint64_t found_tensors = 0;
    for (uint64_t part = 0; part < parts; ++part) {
        const std::string name = part_name(main, part, parts);
        if (name == main) {
            headers_.push_back(std::move(first));
        } else {
            headers_.push_back(std::make_unique<GgufHeader>());
            if (status = open_one(name, *headers_.back()); status != Status::ok) return status;
            uint64_t its_number = part, its_parts = parts;
            status = headers_.back()->integer("split.no", 0, 999, its_number, error_);
            if (status == Status::ok) status = headers_.back()->integer("split.count", 0, 1000, its_parts, error_);
            if (status != Status::ok) return status;
            if (its_number != part || its_parts != parts) {
                return error_.fail(Status::bad_file)
                       << "The GGUF file " << in_quotes(name) << " says that it is part " << its_number + 1 << " of "
                       << its_parts << " (split.no, split.count); expected part " << part + 1 << " of " << parts << '.';
            }
        }
        found_tensors += headers_.back()->tensors().size();
    }
    if (tensors != 0 && found_tensors != tensors) {
        return error_.fail(Status::bad_file) << "The parts of " << in_quotes(main) << " have " << found_tensors
                                             << " tensors together; split.tensors.count says " << tensors << '.';
    }
    return Status::ok;
}

Status GgufModel::read_architecture() {
    Status status = header().require("general.architecture", error_);
    if (status == Status::ok) status = header().string("general.architecture", 64, architecture_, error_);
    if (status != Status::ok) return status;
    if (architecture_ == "phi3") {
        model_.config.architecture = static_cast<uint32_t>(Architecture::phi3);
    } else if (architecture_ == "llama") {
        model_.config.architecture = static_cast<uint32_t>(Architecture::llama);
    } else {
        return error_.fail(Status::unsupported) << "The model's architecture is " << in_quotes(architecture_)
                                                << " (general.architecture); Linnet runs \"phi3\" and \"llama\".";
    }
    return Status::ok;
}

// Keys with which the same tensors mean another computation.
Status GgufModel::refuse_other_graphs() {
    const auto refuse = [&](const std::string& name) -> Status {
        return error_.fail(Status::unsupported)
               << "The key " << in_quotes(name) << " of the GGUF file asks for a computation that Linnet "
               << "does not have; the results would be wrong.";
    };
    uint64_t experts = 0;
    if (Status status = header().integer(key("expert_count"), 0, UINT32_MAX, experts, error_); status != Status::ok)
        return status;
    if (experts > 1) return refuse(key("expert_count"));
    for (const char* name : {"attention.scale", "attention.clamp_kqv", "attention.max_alibi_bias", "attn_logit_softcapping",
                             "final_logit_softcapping"}) {
        double value = 0;
        if (Status status = header().number(key(name), -1e30, 1e30, value, error_); status != Status::ok) return status;
        if (value != 0) return refuse(key(name));
    }
    for (const char* name : {"logit_scale", "residual_scale", "embedding_scale"}) {
        double value = 1;
        if (Status status = header().number(key(name), -1e30, 1e30, value, error_); status != Status::ok) return status;
        if (value != 1) return refuse(key(name));
    }
    bool causal = true, parallel = false;
    Status status = header().boolean(key("attention.causal"), causal, error_);
    if (status == Status::ok) status = header().boolean(key("use_parallel_residual"), parallel, error_);
    if (status != Status::ok) return status;
    if (!causal) return refuse(key("attention.causal"));
    return parallel ? refuse(key("use_parallel_residual")) : Status::ok;
}

Status GgufModel::read_config() {
    ModelConfig& config = model_.config;
    Status status = count("context_length", 1, 1u << 21, true, config.context);
    if (status == Status::ok) status = count("embedding_length", 1, 1u << 16, true, config.hidden);
    if (status == Status::ok) status = count("block_count", 1, 512, true, config.layers);
    if (status == Status::ok) status = count("feed_forward_length", 1, 1u << 19, true, config.feed_forward);
    if (status == Status::ok) status = count("attention.head_count", 1, 1024, true, config.heads);
    config.kv_heads = config.heads;
    if (status == Status::ok) status = count("attention.head_count_kv", 1, config.heads, false, config.kv_heads);
    if (status != Status::ok) return status;
    if (config.heads % config.kv_heads != 0) {
        return error_.fail(Status::bad_file)
               << "The key " << in_quotes(key("attention.head_count_kv")) << " of the GGUF file is " << config.kv_heads
               << ", which does not divide the " << config.heads << " heads.";
    }
    if (!header().has(key("attention.key_length")) && config.hidden % config.heads != 0) {
        return error_.fail(Status::bad_file)
               << "The key " << in_quotes(key("attention.head_count")) << " of the GGUF file is " << config.heads
               << ", which does not divide the embedding length " << config.hidden << '.';
    }
    config.head_dim = config.hidden / config.heads;
    status = count("attention.key_length", 2, 512, false, config.head_dim);
    uint32_t value_length = config.head_dim;
    if (status == Status::ok) status = count("attention.value_length", 2, 512, false, value_length);
    if (status != Status::ok) return status;
    if (value_length != config.head_dim) {
        return error_.fail(Status::unsupported)
               << "The key " << in_quotes(key("attention.value_length")) << " of the GGUF file is " << value_length
               << " and keys have " << config.head_dim << " values; Linnet needs them equal.";
    }
    double epsilon = 0;
    status = header().require(key("attention.layer_norm_rms_epsilon"), error_);
    if (status == Status::ok) status = header().number(key("attention.layer_norm_rms_epsilon"), 0, 1, epsilon, error_);
    if (status != Status::ok) return status;
    config.rms_epsilon = static_cast<float>(epsilon);

    const std::string embedding = gguf_names.of_model(gguf_names.embedding);
    const SourceMatrix* matrix = set_.find(embedding);
    if (matrix == nullptr) {
        return error_.fail(Status::bad_file) << "The tensor " << in_quotes(embedding)
                                             << " (the embedding) is not in the file: it holds no model, or not all of it.";
    }
    if (matrix->rows > most_vocabulary) {
        return error_.fail(Status::bad_file) << "The tensor " << in_quotes(embedding) << " has " << matrix->rows
                                             << " rows; a vocabulary may have " << most_vocabulary << '.';
    }
    config.vocabulary = config.usable_vocabulary = matrix->rows;
    if (!set_.has(gguf_names.of_model(gguf_names.output))) config.flags |= tied_embeddings;
    return Status::ok;
}

Status GgufModel::read_rope_factors(const char* name, std::vector<float>& factors) {
    const SourceMatrix* matrix = set_.find(std::string(name) + ".weight");
    if (matrix == nullptr) return Status::ok;
    const uint32_t expected = model_.config.rotary_dims / 2;
    if (matrix->rows != 1 || matrix->columns != expected) {
        return error_.fail(Status::bad_file)
               << "The tensor " << in_quotes(matrix->name) << " has " << matrix->rows << " rows of " << matrix->columns
               << " values; half the rotary dimensions, " << expected << ", are expected.";
    }
    SourceTensor tensor;
    tensor.rows = 1;
    tensor.columns = expected;
    tensor.parts.push_back(*matrix);
    factors.resize(expected);
    if (Status status = read_rows(tensor, 0, 1, factors.data(), error_); status != Status::ok) return status;
    for (const float factor : factors) {
        if (!(factor > 0)) {
            return error_.fail(Status::bad_file)
                   << "The tensor " << in_quotes(matrix->name) << " holds a factor that is not above 0.";
        }
    }
    return Status::ok;
}

Status GgufModel::read_rope() {
    ModelConfig& config = model_.config;
    config.rotary_dims = config.head_dim;
    Status status = count("rope.dimension_count", 2, config.head_dim, false, config.rotary_dims);
    config.rope_theta = 10000.0;  // ggml's own default
    if (status == Status::ok) status = header().number(key("rope.freq_base"), 1, 1e12, config.rope_theta, error_);
    if (status != Status::ok) return status;
    if (config.rotary_dims % 2 != 0) {
        return error_.fail(Status::bad_file)
               << "The key " << in_quotes(key("rope.dimension_count")) << " of the GGUF file (or the length of "
               << "a head) is " << config.rotary_dims << "; it must be even.";
    }

    std::string scaling = "linear";  // ggml's own default, with a factor of 1
    double factor = 1, attention_factor = 1;
    status = header().string(key("rope.scaling.type"), 64, scaling, error_);
    if (status == Status::ok) status = header().number(key("rope.scale_linear"), 1e-6, 1e6, factor, error_);
    if (status == Status::ok) status = header().number(key("rope.scaling.factor"), 0, 1e6, factor, error_);
    if (status == Status::ok) status = header().number(key("rope.scaling.attn_factor"), 1e-3, 100, attention_factor, error_);
    if (status != Status::ok) return status;
    if (scaling != "none" && scaling != "linear" && scaling != "longrope") {
        return error_.fail(Status::unsupported) << "The key " << in_quotes(key("rope.scaling.type")) << " of the GGUF file is "
                                                << in_quotes(scaling) << "; Linnet knows none, linear and longrope.";
    }
    status = read_rope_factors("rope_freqs", model_.rope_short);
    if (status != Status::ok) return status;
    if (scaling == "linear" && factor > 0 && factor != 1) {  // 0 means that there is none
        if (model_.rope_short.empty()) model_.rope_short.assign(config.rotary_dims / 2, 1.0f);
        for (float& each : model_.rope_short) each = static_cast<float>(static_cast<double>(each) * factor);
    }

    config.original_context = config.context;
    config.rope_attention_factor = static_cast<float>(attention_factor);
    std::vector<float> short_factors;
    status = read_rope_factors("rope_factors_short", short_factors);
    if (status == Status::ok) status = read_rope_factors("rope_factors_long", model_.rope_long);
    if (status != Status::ok) return status;
    if (short_factors.empty() && model_.rope_long.empty()) {
        if (scaling != "longrope") return Status::ok;
        return error_.fail(Status::bad_file)
               << "The key " << in_quotes(key("rope.scaling.type")) << " of the GGUF file is \"longrope\", but "
               << "the tensors \"rope_factors_short.weight\" and \"rope_factors_long.weight\" are missing.";
    }
    if (short_factors.empty() || model_.rope_long.empty() || !model_.rope_short.empty()) {
        return error_.fail(Status::bad_file)
               << "The RoPE factors of the GGUF file do not fit together: \"rope_factors_short.weight\" and "
               << "\"rope_factors_long.weight\" have to be there both, and no other scaling.";
    }
    model_.rope_short = std::move(short_factors);
    status = header().require(key("rope.scaling.original_context_length"), error_);
    if (status == Status::ok)
        status = count("rope.scaling.original_context_length", 1, 1u << 21, true, config.original_context);
    if (status != Status::ok) return status;
    if (!header().has(key("rope.scaling.attn_factor"))) {
        config.rope_attention_factor = long_rope_attention_factor(config.context, config.original_context);
    }
    if (config.context > config.original_context) {
        config.flags |= long_rope;
    } else {
        config.original_context = config.context;  // positions never reach the long factors
        model_.rope_long.clear();
    }
    return Status::ok;
}

Status GgufModel::read_window() {
    ModelConfig& config = model_.config;
    uint32_t window = 0;
    if (Status status = count("attention.sliding_window", 0, UINT32_MAX, false, window); status != Status::ok) return status;
    const bool first_phi3 = config.architecture == static_cast<uint32_t>(Architecture::phi3) && config.context == 4096 &&
                            (config.layers == 32 || config.layers == 40);
    if (first_phi3 && !header().has(key("attention.sliding_window"))) {
        window = 2047;
        model_.notes.push_back(
            "The file is older than the key phi3.attention.sliding_window; phi-3 with a context of 4096 has a window of "
            "2047, which is used.");
    }
    config.window_keys = window_keys(window, config.context, options_);
    return Status::ok;
}

Status GgufModel::read_tokenizer() {
    const GgufHeader& keys = header();
    GgufVocabulary arrays;
    int32_t end_of_turn = -1;
    bool add_bos = false, add_space_prefix = false;
    arrays.model_name = model_.name;
    Status status = keys.string("tokenizer.ggml.model", 64, arrays.model, error_);
    if (status == Status::ok) status = keys.token("tokenizer.ggml.bos_token_id", arrays.bos, error_);
    if (status == Status::ok) status = keys.token("tokenizer.ggml.eos_token_id", arrays.eos, error_);
    if (status == Status::ok) status = keys.token("tokenizer.ggml.unknown_token_id", arrays.unknown, error_);
    if (status == Status::ok) status = keys.token("tokenizer.ggml.eot_token_id", end_of_turn, error_);
    if (status == Status::ok) status = keys.boolean("tokenizer.ggml.add_bos_token", add_bos, error_);
    if (status == Status::ok) status = keys.boolean("tokenizer.ggml.add_space_prefix", add_space_prefix, error_);
    if (status != Status::ok) return status;
    if (keys.has("tokenizer.ggml.add_bos_token")) arrays.add_bos = add_bos ? 1 : 0;
    if (keys.has("tokenizer.ggml.add_space_prefix")) arrays.add_space_prefix = add_space_prefix ? 1 : 0;

    const std::vector<int32_t> ends = {arrays.eos, end_of_turn};
    const int32_t bos = arrays.bos;
    if (!keys.has("tokenizer.ggml.tokens")) {
        model_.notes.push_back("The file has no tokenizer (tokenizer.ggml.tokens): the model runs on token numbers only.");
        attach_no_vocabulary(bos, ends, model_);
        return Status::ok;
    }
    status = keys.strings("tokenizer.ggml.tokens", most_vocabulary, arrays.tokens, error_);
    if (status == Status::ok) status = keys.floats("tokenizer.ggml.scores", most_vocabulary, arrays.scores, error_);
    if (status == Status::ok) status = keys.integers("tokenizer.ggml.token_type", most_vocabulary, arrays.types, error_);
    if (status == Status::ok) status = keys.string("tokenizer.chat_template", 1u << 20, arrays.chat_template, error_);
    if (status != Status::ok) return status;
    Vocabulary vocabulary;
    status = read_gguf_vocabulary(std::move(arrays), vocabulary, error_);
    if (status == Status::ok) return attach_vocabulary(std::move(vocabulary), ends, model_, error_);
    if (status != Status::unsupported) return status;
    model_.notes.push_back(std::string(error_.text()) + " The model runs on token numbers only.");
    error_.clear();
    attach_no_vocabulary(bos, ends, model_);
    return Status::ok;
}

Status GgufModel::open(InputFolder& folder, const std::string& main) {
    Status status = open_parts(folder, main);
    if (status == Status::ok) status = read_architecture();
    if (status == Status::ok) status = refuse_other_graphs();
    if (status != Status::ok) return status;
    for (const std::unique_ptr<GgufHeader>& part : headers_) {
        for (const SourceMatrix& matrix : part->tensors()) {
            SourceMatrix copy = matrix;
            if (status = set_.add(std::move(copy), error_); status != Status::ok) return status;
        }
    }
    model_.name = main;
    if (ends_with(main, ".gguf")) model_.name.resize(main.size() - 5);
    status = header().string("general.name", 255, model_.name, error_);
    if (status == Status::ok) status = read_config();
    if (status == Status::ok) status = read_rope();
    if (status == Status::ok) status = read_window();
    if (status == Status::ok) status = check_config(model_.config, error_);
    if (status != Status::ok) return status;

    TensorNames names = gguf_names;
    const bool llama = model_.config.architecture == static_cast<uint32_t>(Architecture::llama);
    // llama's rows of query and key stand in pairs, phi3's in halves. A fused matrix in pairs does not exist.
    names.interleaved_rope = llama;
    if (llama) names.qkv = names.gate_up = nullptr;
    // Old files carry each layer's RoPE frequencies, which follow from the keys.
    set_.leave_out_if([](const std::string& name) { return ends_with(name, ".attn_rot_embd.weight"); });
    status = assemble_tensors(names, set_, model_, error_);
    if (status == Status::ok) status = set_.refuse_unused(architecture_.c_str(), error_);
    if (status == Status::ok) status = read_tokenizer();
    return status == Status::ok ? check_config(model_.config, error_) : status;
}

}  // namespace

Status open_gguf(InputFolder& folder, const std::string& main, const SourceOptions& options, SourceModel& model, Error& error) {
    model = {};
    return GgufModel(options, model, error).open(folder, main);
}

}  // namespace linnet
