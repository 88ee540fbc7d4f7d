// A Hugging Face folder: config.json, one or several *.safetensors, a tokenizer.
#include "tools/converter/hugging_face.h"

#include <algorithm>
#include <map>

#include "core/model/reader.h"
#include "tools/converter/safetensors.h"
#include "tools/converter/source_build.h"
#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

constexpr uint64_t most_config_bytes = uint64_t{4} << 20, most_index_bytes = uint64_t{64} << 20,
                   most_tokenizer_bytes = uint64_t{128} << 20;

constexpr TensorNames hugging_face_names = {.suffix = ".weight",
                                            .embedding = "model.embed_tokens",
                                            .output_norm = "model.norm",
                                            .output = "lm_head",
                                            .layer_prefix = "model.layers.",
                                            .attention_norm = "input_layernorm",
                                            .qkv = "self_attn.qkv_proj",
                                            .query = "self_attn.q_proj",
                                            .key = "self_attn.k_proj",
                                            .value = "self_attn.v_proj",
                                            .attention_output = "self_attn.o_proj",
                                            .feed_forward_norm = "post_attention_layernorm",
                                            .gate_up = "mlp.gate_up_proj",
                                            .gate = "mlp.gate_proj",
                                            .up = "mlp.up_proj",
                                            .down = "mlp.down_proj"};

// Frequencies that old exports carry along; they follow from the configuration.
bool is_derived(const std::string& name) {
    constexpr std::string_view end = "rotary_emb.inv_freq";
    return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}

class HuggingFaceFolder {
public:
    HuggingFaceFolder(InputFolder& folder, const SourceOptions& options, SourceModel& model, Error& error)
        : folder_(folder), options_(options), model_(model), error_(error) {}

    Status open();

private:
    // The text of a file; `found` tells whether it is there.
    Status read_text(const std::string& name, uint64_t most, std::string& text, bool& found);
    Status add_shard(const std::string& name);
    Status read_index(const std::string& text);
    Status read_tensors();
    Status read_ids(const JsonFields& config);
    Status read_pieces(Vocabulary& vocabulary, bool& found);
    Status read_tokenizer();

    InputFolder& folder_;
    const SourceOptions& options_;
    SourceModel& model_;
    Error& error_;
    TensorSet set_;
    std::map<std::string, std::string> file_of_;  // tensor to shard
    std::vector<int32_t> bos_, eos_;
};

Status HuggingFaceFolder::read_text(const std::string& name, uint64_t most, std::string& text, bool& found) {
    Input* input = nullptr;
    text.clear();
    if (Status status = folder_.open(name, input, error_); status != Status::ok) return status;
    found = input != nullptr;
    return found ? read_whole(*input, name, most, text, error_) : Status::ok;
}

Status HuggingFaceFolder::add_shard(const std::string& name) {
    Input* input = nullptr;
    if (Status status = folder_.open(name, input, error_); status != Status::ok) return status;
    if (input == nullptr) {
        return error_.fail(Status::bad_file)
               << "The file " << in_quotes(name) << " is missing: the model needs all of its parts.";
    }
    std::vector<SafetensorsEntry> entries;
    if (Status status = read_safetensors(*input, name, entries, error_); status != Status::ok) return status;
    for (SafetensorsEntry& entry : entries) {
        if (is_derived(entry.name)) continue;
        SourceMatrix matrix;
        if (entry.dtype == "F32") {
            matrix.type = SourceType::f32;
        } else if (entry.dtype == "F16") {
            matrix.type = SourceType::f16;
        } else if (entry.dtype == "BF16") {
            matrix.type = SourceType::bf16;
        } else {
            return error_.fail(Status::unsupported) << "The tensor " << in_quotes(entry.name) << " in " << in_quotes(name)
                                                    << " has the dtype " << entry.dtype << "; Linnet reads F32, F16 and BF16.";
        }
        matrix.name = entry.name;
        matrix.input = input;
        matrix.offset = entry.begin;
        matrix.rows = entry.rows;
        matrix.columns = entry.columns;
        file_of_[entry.name] = name;
        if (Status status = set_.add(std::move(matrix), error_); status != Status::ok) return status;
    }
    return Status::ok;
}

Status HuggingFaceFolder::read_index(const std::string& text) {
    const std::string index = "model.safetensors.index.json";
    nlohmann::json object;
    if (Status status = parse_json_object(text, index, object, error_); status != Status::ok) return status;
    const JsonFields fields(object, index, error_);
    if (Status status = fields.require("weight_map"); status != Status::ok) return status;
    const nlohmann::json& map = *fields.find("weight_map");
    if (!map.is_object()) return fields.wrong("weight_map", "an object of names");
    std::vector<std::string> shards;
    for (const auto& [tensor, file] : map.items()) {
        if (!file.is_string()) return fields.wrong("weight_map", "an object of names");
        shards.push_back(*file.get_ptr<const nlohmann::json::string_t*>());
    }
    std::sort(shards.begin(), shards.end());
    shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
    for (const std::string& shard : shards) {
        // A name from a stranger must not lead out of the folder.
        const bool plain = !shard.empty() && shard.size() <= 255 && shard[0] != '.' &&
                           shard.find_first_of(std::string_view("/\\:\0", 4)) == std::string::npos;
        if (!plain) {
            return error_.fail(Status::bad_file) << "The field \"weight_map\" of " << index << " names the file "
                                                 << in_quotes(shard) << "; it must be a plain file name in the same folder.";
        }
        if (Status status = add_shard(shard); status != Status::ok) return status;
    }
    for (const auto& [tensor, file] : map.items()) {
        const auto place = file_of_.find(tensor);
        const std::string& wanted = *file.get_ptr<const nlohmann::json::string_t*>();
        if (!is_derived(tensor) && (place == file_of_.end() || place->second != wanted)) {
            return error_.fail(Status::bad_file) << "The tensor " << in_quotes(tensor) << " is not in " << in_quotes(wanted)
                                                 << ", where " << index << " has it: the files do not belong together.";
        }
    }
    return Status::ok;
}

Status HuggingFaceFolder::read_tensors() {
    std::string text;
    bool has_index = false;
    if (Status status = read_text("model.safetensors.index.json", most_index_bytes, text, has_index); status != Status::ok)
        return status;
    if (has_index) return read_index(text);
    Input* single = nullptr;
    if (Status status = folder_.open("model.safetensors", single, error_); status != Status::ok) return status;
    if (single != nullptr) return add_shard("model.safetensors");
    // Neither: whatever safetensors there are.
    std::vector<std::string> names = folder_.names();
    std::sort(names.begin(), names.end());
    uint32_t shards = 0;
    for (const std::string& name : names) {
        if (name.size() <= 12 || name.compare(name.size() - 12, 12, ".safetensors") != 0) continue;
        if (Status status = add_shard(name); status != Status::ok) return status;
        ++shards;
    }
    if (shards != 0) return Status::ok;
    return error_.fail(Status::bad_file)
           << "The folder has config.json but no *.safetensors. (PyTorch's *.bin cannot be read: save "
           << "the model with safetensors.)";
}

// bos and eos: generation_config.json's where it has them, else config.json's.
Status HuggingFaceFolder::read_ids(const JsonFields& config) {
    Status status = config.tokens("bos_token_id", bos_);
    if (status == Status::ok) status = config.tokens("eos_token_id", eos_);
    std::string text;
    bool found = false;
    if (status == Status::ok) status = read_text("generation_config.json", most_config_bytes, text, found);
    if (status != Status::ok || !found) return status;
    nlohmann::json object;
    if (status = parse_json_object(text, "generation_config.json", object, error_); status != Status::ok) return status;
    const JsonFields fields(object, "generation_config.json", error_);
    status = fields.tokens("bos_token_id", bos_);
    return status == Status::ok ? fields.tokens("eos_token_id", eos_) : status;
}

// The pieces: tokenizer.model where it can be read, else tokenizer.json. A tokenizer of another kind is a note, not an error.
Status HuggingFaceFolder::read_pieces(Vocabulary& vocabulary, bool& found) {
    std::string reason;
    for (const char* name : {"tokenizer.model", "tokenizer.json"}) {
        std::string text;
        bool there = false;
        if (Status status = read_text(name, most_tokenizer_bytes, text, there); status != Status::ok) return status;
        if (!there) continue;
        vocabulary = {};
        const bool sentencepiece = std::string_view(name) == "tokenizer.model";
        const Status status =
            sentencepiece ? read_sentencepiece_model(text, vocabulary, error_) : read_tokenizer_json(text, vocabulary, error_);
        if (status == Status::ok) {
            found = true;
            return status;
        }
        reason = std::string(name) + " cannot be used: " + error_.text();
        Input* other = nullptr;
        // Llama 3 calls a file of another kind tokenizer.model; then tokenizer.json decides.
        Error ignored;
        const bool has_other =
            sentencepiece && folder_.open("tokenizer.json", other, ignored) == Status::ok && other != nullptr;
        if (status != Status::unsupported && !has_other) return status;
        error_.clear();
    }
    if (reason.empty()) reason = "The folder has no tokenizer.model and no tokenizer.json.";
    model_.notes.push_back(reason + " The model runs on token numbers only.");
    return Status::ok;
}

Status HuggingFaceFolder::read_tokenizer() {
    Vocabulary vocabulary;
    bool found = false;
    if (Status status = read_pieces(vocabulary, found); status != Status::ok) return status;
    if (!found) {
        attach_no_vocabulary(bos_.empty() ? -1 : bos_[0], eos_, model_);
        return Status::ok;
    }
    for (const char* name : {"added_tokens.json", "tokenizer_config.json"}) {
        std::string text;
        bool there = false;
        Status status = read_text(name, most_index_bytes, text, there);
        if (status == Status::ok && there) status = apply_tokenizer_config(text, vocabulary, error_);
        if (status != Status::ok) return status;
    }
    if (vocabulary.chat_template.empty()) {
        bool there = false;
        if (Status status = read_text("chat_template.jinja", 1u << 20, vocabulary.chat_template, there); status != Status::ok)
            return status;
    }
    if (vocabulary.bos < 0 && !bos_.empty()) vocabulary.bos = bos_[0];
    return attach_vocabulary(std::move(vocabulary), eos_, model_, error_);
}

Status HuggingFaceFolder::open() {
    std::string text;
    bool found = false;
    Status status = read_text("config.json", most_config_bytes, text, found);
    if (status != Status::ok) return status;
    if (!found) return error_.fail(Status::bad_file) << "The folder has no config.json.";
    nlohmann::json object;
    if (status = parse_json_object(text, "config.json", object, error_); status != Status::ok) return status;
    const JsonFields fields(object, "config.json", error_);
    std::string kind;
    status = read_hugging_face_config(fields, options_, model_, kind, error_);
    if (status != Status::ok) return status;
    model_.name = kind;
    std::string path;
    if (status = fields.string("_name_or_path", path); status != Status::ok) return status;
    if (const std::string tail = path.substr(path.find_last_of('/') + 1); !tail.empty()) model_.name = tail.substr(0, 255);
    status = read_ids(fields);
    if (status == Status::ok) status = read_tensors();
    if (status != Status::ok) return status;

    const std::string output = hugging_face_names.of_model(hugging_face_names.output);
    ModelConfig& config = model_.config;
    if ((config.flags & tied_embeddings) != 0) {
        set_.leave_out(output);  // transformers then takes the embedding, whatever the file has
    } else if (!set_.has(output)) {
        config.flags |= tied_embeddings;
        model_.notes.push_back("There is no lm_head.weight: the embedding is the output matrix too.");
    }
    status = assemble_tensors(hugging_face_names, set_, model_, error_);
    if (status == Status::ok) status = set_.refuse_unused(kind.c_str(), error_);
    if (status == Status::ok) status = read_tokenizer();
    return status == Status::ok ? check_config(config, error_) : status;
}

}  // namespace

Status open_hugging_face(InputFolder& folder, const SourceOptions& options, SourceModel& model, Error& error) {
    model = {};
    return HuggingFaceFolder(folder, options, model, error).open();
}

}  // namespace linnet
