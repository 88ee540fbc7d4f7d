#include "tools/converter/source_build.h"

#include <algorithm>
#include <cmath>

namespace linnet {

std::string in_quotes(std::string_view name) {
    constexpr size_t shown = 80;
    return '"' + std::string(name.substr(0, shown)) + (name.size() > shown ? "...\"" : "\"");
}

Status TensorSet::add(SourceMatrix&& matrix, Error& error) {
    const std::string name = matrix.name;
    const auto [place, is_new] = entries_.try_emplace(name);
    if (!is_new)
        return error.fail(Status::bad_file) << "The tensor " << in_quotes(name) << " stands twice in the model's files.";
    place->second.matrix = std::move(matrix);
    return Status::ok;
}

const SourceMatrix* TensorSet::find(const std::string& name) {
    const auto place = entries_.find(name);
    if (place == entries_.end()) return nullptr;
    place->second.used = true;
    return &place->second.matrix;
}

void TensorSet::leave_out(const std::string& name) { find(name); }

Status TensorSet::refuse_unused(const char* model_kind, Error& error) const {
    for (const auto& [name, entry] : entries_) {
        if (entry.used) continue;
        return error.fail(Status::unsupported) << "The tensor " << in_quotes(name) << " has no place in a " << model_kind
                                               << " model as Linnet computes it; leaving it out would change the results.";
    }
    return Status::ok;
}

namespace {

class Assembler {
public:
    Assembler(const TensorNames& names, TensorSet& set, SourceModel& model, Error& error)
        : names_(names), set_(set), model_(model), error_(error) {}

    void begin(TensorRole role, uint32_t layer, uint32_t columns) {
        tensor_ = {};
        tensor_.role = role;
        tensor_.layer = layer;
        tensor_.columns = columns;
    }

    Status part(const std::string& name, const char* what, uint32_t rows, bool rotate = false) {
        const SourceMatrix* matrix = set_.find(name);
        if (matrix == nullptr) {
            return error_.fail(Status::bad_file) << "The tensor " << in_quotes(name) << " (" << what << ") is not in the file"
                                                 << ". The file is incomplete, or of a model that Linnet cannot read.";
        }
        if (matrix->rows != rows || matrix->columns != tensor_.columns) {
            return error_.fail(Status::bad_file)
                   << "The tensor " << in_quotes(name) << " (" << what << ") has " << matrix->rows << " rows of "
                   << matrix->columns << " values; its configuration demands " << rows << " rows of " << tensor_.columns << '.';
        }
        tensor_.parts.push_back(*matrix);
        if (rotate) {
            tensor_.parts.back().head_rows = model_.config.head_dim;
            tensor_.parts.back().rotary = model_.config.rotary_dims;
        }
        tensor_.rows += rows;
        return Status::ok;
    }

    Status end() {
        model_.tensors.push_back(std::move(tensor_));
        return Status::ok;
    }

    Status whole(TensorRole role, uint32_t layer, const std::string& name, const char* what, uint32_t rows, uint32_t columns) {
        begin(role, layer, columns);
        if (Status status = part(name, what, rows); status != Status::ok) return status;
        return end();
    }

    Status layer(uint32_t number);

private:
    Status attention(uint32_t number);
    Status gate_and_up(uint32_t number);

    const TensorNames& names_;
    TensorSet& set_;
    SourceModel& model_;
    Error& error_;
    SourceTensor tensor_;
};

Status Assembler::attention(uint32_t number) {
    const ModelConfig& config = model_.config;
    const uint32_t query_rows = config.heads * config.head_dim;
    const uint32_t key_rows = config.kv_heads * config.head_dim;
    begin(TensorRole::qkv, number, config.hidden);
    const std::string query = names_.of_layer(number, names_.query);
    if (names_.qkv != nullptr && !set_.has(query)) {
        const std::string name = names_.of_layer(number, names_.qkv);
        if (Status status = part(name, "query, key and value weights", query_rows + 2 * key_rows); status != Status::ok)
            return status;
        return end();
    }
    const bool rotate = names_.interleaved_rope;
    Status status = part(query, "query weights", query_rows, rotate);
    if (status == Status::ok) status = part(names_.of_layer(number, names_.key), "key weights", key_rows, rotate);
    if (status == Status::ok) status = part(names_.of_layer(number, names_.value), "value weights", key_rows);
    return status == Status::ok ? end() : status;
}

Status Assembler::gate_and_up(uint32_t number) {
    const ModelConfig& config = model_.config;
    begin(TensorRole::gate_up, number, config.hidden);
    const std::string gate = names_.of_layer(number, names_.gate);
    if (names_.gate_up != nullptr && !set_.has(gate)) {
        const std::string name = names_.of_layer(number, names_.gate_up);
        if (Status status = part(name, "gate and up weights", 2 * config.feed_forward); status != Status::ok) return status;
        return end();
    }
    Status status = part(gate, "gate weights", config.feed_forward);
    if (status == Status::ok) status = part(names_.of_layer(number, names_.up), "up weights", config.feed_forward);
    return status == Status::ok ? end() : status;
}

Status Assembler::layer(uint32_t number) {
    const ModelConfig& config = model_.config;
    const auto name = [&](const char* tensor) { return names_.of_layer(number, tensor); };
    Status status =
        whole(TensorRole::attention_norm, number, name(names_.attention_norm), "the norm before attention", 1, config.hidden);
    if (status == Status::ok) status = attention(number);
    if (status == Status::ok) {
        status = whole(TensorRole::attention_output, number, name(names_.attention_output), "attention's output weights",
                       config.hidden, config.heads * config.head_dim);
    }
    if (status == Status::ok) {
        status = whole(TensorRole::feed_forward_norm, number, name(names_.feed_forward_norm),
                       "the norm before the feed-forward part", 1, config.hidden);
    }
    if (status == Status::ok) status = gate_and_up(number);
    if (status == Status::ok) {
        status = whole(TensorRole::down, number, name(names_.down), "down weights", config.hidden, config.feed_forward);
    }
    return status;
}

}  // namespace

Status assemble_tensors(const TensorNames& names, TensorSet& set, SourceModel& model, Error& error) {
    const ModelConfig& config = model.config;
    const bool tied = (config.flags & tied_embeddings) != 0;
    Assembler assembler(names, set, model, error);
    const std::string embedding = names.of_model(names.embedding);
    Status status = Status::ok;
    if (!tied) {
        status = assembler.whole(TensorRole::embedding, 0, embedding, "the embedding", config.vocabulary, config.hidden);
    }
    for (uint32_t layer = 0; status == Status::ok && layer < config.layers; ++layer) status = assembler.layer(layer);
    if (status == Status::ok) {
        status = assembler.whole(TensorRole::output_norm, 0, names.of_model(names.output_norm), "the norm before the output", 1,
                                 config.hidden);
    }
    if (status == Status::ok) {
        status = assembler.whole(TensorRole::output, 0, tied ? embedding : names.of_model(names.output),
                                 tied ? "the embedding, which is the output matrix too" : "the output matrix",
                                 config.vocabulary, config.hidden);
    }
    return status;
}

namespace {

void set_ends(const std::vector<int32_t>& ends, ModelConfig& config) {
    for (const int32_t end : ends) {
        if (end < 0 || static_cast<uint32_t>(end) >= config.vocabulary || config.eos_count == std::size(config.eos_tokens))
            continue;
        const int32_t* const known = config.eos_tokens + config.eos_count;
        if (std::find(static_cast<const int32_t*>(config.eos_tokens), known, end) == known) {
            config.eos_tokens[config.eos_count++] = end;
        }
    }
}

void set_bos(int32_t bos, bool add_bos, ModelConfig& config) {
    config.bos_token = bos >= 0 && static_cast<uint32_t>(bos) < config.vocabulary ? bos : -1;
    config.add_bos = add_bos && config.bos_token >= 0 ? 1 : 0;
}

}  // namespace

Status attach_vocabulary(Vocabulary&& vocabulary, const std::vector<int32_t>& more_ends, SourceModel& model, Error& error) {
    ModelConfig& config = model.config;
    if (vocabulary.pieces.size() > config.vocabulary) {
        model.notes.push_back("The tokenizer has " + std::to_string(vocabulary.pieces.size()) + " pieces and the model " +
                              std::to_string(config.vocabulary) + " rows for them: the last pieces are left out.");
        vocabulary.pieces.resize(config.vocabulary);
    }
    for (int32_t* token : {&vocabulary.bos, &vocabulary.eos, &vocabulary.unknown}) {
        if (*token < 0 || static_cast<size_t>(*token) >= vocabulary.pieces.size()) *token = -1;
    }
    vocabulary.add_bos = vocabulary.add_bos && vocabulary.bos >= 0;
    if (Status status = build_tokenizer_block(vocabulary, model.tokenizer_block, error); status != Status::ok) return status;
    const ChatTemplate chat_template = detect_chat_template(vocabulary);
    config.chat_template = static_cast<uint32_t>(chat_template);
    set_bos(vocabulary.bos, vocabulary.add_bos, config);
    set_ends(more_ends, config);
    set_ends(reply_end_tokens(vocabulary, chat_template), config);
    size_t usable = vocabulary.pieces.size();
    while (usable > 1 && vocabulary.pieces[usable - 1].kind == Tokenizer::Kind::unused) --usable;
    config.usable_vocabulary = static_cast<uint32_t>(std::max<size_t>(usable, 1));
    return Status::ok;
}

void attach_no_vocabulary(int32_t bos, const std::vector<int32_t>& ends, SourceModel& model) {
    model.config.chat_template = static_cast<uint32_t>(ChatTemplate::none);
    model.config.usable_vocabulary = model.config.vocabulary;
    set_bos(bos, false, model.config);
    set_ends(ends, model.config);
}

uint32_t window_keys(uint32_t sliding_window, uint32_t context, const SourceOptions& options) {
    if (sliding_window == 0) return 0;
    const uint64_t keys = uint64_t{sliding_window} + (options.window_includes_self ? 0 : 1);
    return keys >= context ? 0 : static_cast<uint32_t>(keys);
}

float long_rope_attention_factor(uint32_t context, uint32_t original) {
    if (context <= original || original <= 1) return 1.0f;
    const double stretch = static_cast<double>(context) / original;
    return static_cast<float>(std::sqrt(1.0 + std::log(stretch) / std::log(static_cast<double>(original))));
}

std::vector<float> llama3_rope_factors(uint32_t rotary_dims, double theta, double factor, double low_frequency_factor,
                                       double high_frequency_factor, double original_context) {
    constexpr double two_pi = 6.283185307179586;
    std::vector<float> factors(rotary_dims / 2);
    for (uint32_t i = 0; i < rotary_dims / 2; ++i) {
        const double wavelength = two_pi * std::pow(theta, 2.0 * i / rotary_dims);
        const double turns = original_context / wavelength;  // within the context that the model was trained on first
        double stretch = 1.0;
        if (turns < low_frequency_factor) {
            stretch = factor;
        } else if (turns <= high_frequency_factor) {
            const double share = (turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
            stretch = 1.0 / ((1.0 - share) / factor + share);
        }
        factors[i] = static_cast<float>(stretch);
    }
    return factors;
}

Status read_whole(Input& input, const std::string& name, uint64_t most, std::string& text, Error& error) {
    if (input.size() > most) {
        return error.fail(Status::bad_file) << "The file " << in_quotes(name) << " has " << input.size() << " bytes; at most "
                                            << most << " are expected of it.";
    }
    text.resize(static_cast<size_t>(input.size()));
    return text.empty() ? Status::ok : input.read(0, text.data(), text.size(), error);
}

}  // namespace linnet
