// llama2.c's first .bin format: seven int32, then float32 weights in a fixed order, each kind of tensor for all layers in turn.
//
// vocab_size below 0 says that an output matrix of its own follows the weights. What stands between the norm and it are two
// RoPE tables (seq_len x head size / 2 each), which are computed anew and skipped.
#include <algorithm>

#include "core/model/reader.h"
#include "tools/converter/source_build.h"

namespace linnet {

namespace {

constexpr TensorNames llama2c_names = {.suffix = "",
                                       .embedding = "token_embedding_table",
                                       .output_norm = "rms_final",
                                       .output = "wcls",
                                       .layer_prefix = "layer.",
                                       .attention_norm = "rms_att",
                                       .qkv = nullptr,
                                       .query = "wq",
                                       .key = "wk",
                                       .value = "wv",
                                       .attention_output = "wo",
                                       .feed_forward_norm = "rms_ffn",
                                       .gate_up = nullptr,
                                       .gate = "w1",
                                       .up = "w3",
                                       .down = "w2",
                                       .interleaved_rope = true};

struct Field {
    const char* name;
    int64_t high;
};
constexpr Field fields[7] = {{"dim", 1 << 16},     {"hidden_dim", 1 << 19}, {"n_layers", 512},   {"n_heads", 1024},
                             {"n_kv_heads", 1024}, {"vocab_size", 1 << 20}, {"seq_len", 1 << 21}};

// Lays the tensors one after another, as the file has them.
class Layout {
public:
    Layout(Input& input, TensorSet& set, Error& error) : input_(input), set_(set), error_(error) {}

    Status one(const std::string& name, uint32_t rows, uint32_t columns) {
        SourceMatrix matrix;
        matrix.name = name;
        matrix.input = &input_;
        matrix.offset = offset_;
        matrix.rows = rows;
        matrix.columns = columns;
        skip(uint64_t{rows} * columns);
        return set_.add(std::move(matrix), error_);
    }
    Status each_layer(const ModelConfig& config, const char* name, uint32_t rows, uint32_t columns) {
        for (uint32_t layer = 0; layer < config.layers; ++layer) {
            if (Status status = one(llama2c_names.of_layer(layer, name), rows, columns); status != Status::ok) return status;
        }
        return Status::ok;
    }
    // Counts of checked fields stay far below 2^60.
    void skip(uint64_t values) { offset_ += values * 4; }
    uint64_t offset() const { return offset_; }

private:
    Input& input_;
    TensorSet& set_;
    Error& error_;
    uint64_t offset_ = 28;
};

Status lay_out(Input& input, const std::string& name, const ModelConfig& config, TensorSet& set, Error& error) {
    Layout layout(input, set, error);
    const uint32_t kv_rows = config.kv_heads * config.head_dim;
    Status status = layout.one(llama2c_names.embedding, config.vocabulary, config.hidden);
    const auto each = [&](const char* tensor, uint32_t rows, uint32_t columns) {
        if (status == Status::ok) status = layout.each_layer(config, tensor, rows, columns);
    };
    each(llama2c_names.attention_norm, 1, config.hidden);
    each(llama2c_names.query, config.hidden, config.hidden);
    each(llama2c_names.key, kv_rows, config.hidden);
    each(llama2c_names.value, kv_rows, config.hidden);
    each(llama2c_names.attention_output, config.hidden, config.hidden);
    each(llama2c_names.feed_forward_norm, 1, config.hidden);
    each(llama2c_names.gate, config.feed_forward, config.hidden);
    each(llama2c_names.down, config.hidden, config.feed_forward);
    each(llama2c_names.up, config.feed_forward, config.hidden);
    if (status == Status::ok) status = layout.one(llama2c_names.output_norm, 1, config.hidden);
    layout.skip(uint64_t{config.context} * config.head_dim);  // cosines and sines
    if (status == Status::ok && (config.flags & tied_embeddings) == 0) {
        status = layout.one(llama2c_names.output, config.vocabulary, config.hidden);
    }
    if (status != Status::ok) return status;
    if (layout.offset() != input.size()) {
        return error.fail(Status::bad_file)
               << "The file " << in_quotes(name) << " has " << input.size() << " bytes; a llama2.c model of "
               << "dim " << config.hidden << ", " << config.layers << " layers and vocab_size " << config.vocabulary << " has "
               << layout.offset() << ": it is truncated, or not a llama2.c file.";
    }
    return Status::ok;
}

// tokenizer.bin, tokenizer.model, or the tok*.bin beside the model; the first that has as many pieces as the model has rows.
Status find_tokenizer(InputFolder& folder, const std::string& main, Vocabulary& vocabulary, bool& found, SourceModel& model,
                      Error& error) {
    std::vector<std::string> candidates = {"tokenizer.bin", "tokenizer.model"};
    std::vector<std::string> names = folder.names();
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
        const bool is_bin = name.size() > 7 && name.compare(name.size() - 4, 4, ".bin") == 0;
        if (is_bin && name.compare(0, 3, "tok") == 0 && name != main && name != "tokenizer.bin") candidates.push_back(name);
    }
    const uint32_t rows = model.config.vocabulary;
    for (const std::string& name : candidates) {
        Input* input = nullptr;
        if (Status status = folder.open(name, input, error); status != Status::ok) return status;
        if (input == nullptr) continue;
        std::string bytes;
        if (Status status = read_whole(*input, name, uint64_t{64} << 20, bytes, error); status != Status::ok) return status;
        vocabulary = {};
        const Status status = name == "tokenizer.model" ? read_sentencepiece_model(bytes, vocabulary, error)
                                                        : read_llama2c_tokenizer(bytes, rows, vocabulary, error);
        if (status == Status::ok && vocabulary.pieces.size() == rows) {
            found = true;
            return Status::ok;
        }
        model.notes.push_back("The tokenizer in " + in_quotes(name) + " does not fit the model's " + std::to_string(rows) +
                              " tokens" +
                              (status == Status::ok ? ": it has " + std::to_string(vocabulary.pieces.size()) + "."
                                                    : " (" + std::string(error.text()) + ")"));
        error.clear();
    }
    return Status::ok;
}

}  // namespace

Status open_llama2c(InputFolder& folder, const std::string& main, const SourceOptions& options, SourceModel& model,
                    Error& error) {
    static_cast<void>(options);
    model = {};
    Input* input = nullptr;
    if (Status status = folder.open(main, input, error); status != Status::ok) return status;
    if (input == nullptr) return error.fail(Status::bad_file) << "There is no file " << in_quotes(main) << '.';
    int32_t header[7] = {};
    if (input->size() < sizeof header) {
        return error.fail(Status::bad_file)
               << "The file " << in_quotes(main) << " has " << input->size() << " bytes, fewer than a llama2.c header (28).";
    }
    if (Status status = input->read(0, header, sizeof header, error); status != Status::ok) return status;
    if (header[0] == 0x616b3432) {
        return error.fail(Status::unsupported) << "The file " << in_quotes(main) << " is a llama2.c file of version "
                                               << header[1] << "; Linnet reads the first one (export with --version 0).";
    }
    const bool untied = header[5] < 0;
    for (size_t i = 0; i < std::size(fields); ++i) {
        const int64_t value = i == 5 && untied ? -int64_t{header[i]} : header[i];
        if (value < 1 || value > fields[i].high) {
            return error.fail(Status::bad_file) << "The field " << fields[i].name << " of " << in_quotes(main) << " is "
                                                << value << "; in a llama2.c file it is from 1 to " << fields[i].high << '.';
        }
    }
    ModelConfig& config = model.config;
    config.architecture = static_cast<uint32_t>(Architecture::llama);
    config.hidden = static_cast<uint32_t>(header[0]);
    config.feed_forward = static_cast<uint32_t>(header[1]);
    config.layers = static_cast<uint32_t>(header[2]);
    config.heads = static_cast<uint32_t>(header[3]);
    config.kv_heads = static_cast<uint32_t>(header[4]);
    config.vocabulary = config.usable_vocabulary = static_cast<uint32_t>(untied ? -int64_t{header[5]} : header[5]);
    config.context = config.original_context = static_cast<uint32_t>(header[6]);
    if (config.hidden % config.heads != 0 || config.heads % config.kv_heads != 0) {
        return error.fail(Status::bad_file)
               << "The fields n_heads (" << config.heads << ") and n_kv_heads (" << config.kv_heads << ") of "
               << in_quotes(main) << " do not divide dim (" << config.hidden << ") and n_heads.";
    }
    config.head_dim = config.rotary_dims = config.hidden / config.heads;
    config.rms_epsilon = 1e-5f;
    config.rope_attention_factor = 1.0f;
    config.rope_theta = 10000.0;
    if (!untied) config.flags |= tied_embeddings;
    if (Status status = check_config(config, error); status != Status::ok) return status;
    model.name = main.substr(0, main.size() - (main.size() > 4 ? 4 : 0));

    TensorSet set;
    if (Status status = lay_out(*input, main, config, set, error); status != Status::ok) return status;
    if (Status status = assemble_tensors(llama2c_names, set, model, error); status != Status::ok) return status;

    Vocabulary vocabulary;
    bool found = false;
    if (Status status = find_tokenizer(folder, main, vocabulary, found, model, error); status != Status::ok) return status;
    if (found) {
        vocabulary.add_bos = true;  // llama2.c begins every text with BOS, and its models end a story with it or with EOS
        if (vocabulary.bos < 0) vocabulary.bos = 1;
        if (vocabulary.eos < 0) vocabulary.eos = 2;
        vocabulary.chat_template.clear();
        if (Status status = attach_vocabulary(std::move(vocabulary), {2, 1}, model, error); status != Status::ok) return status;
        config.chat_template = static_cast<uint32_t>(ChatTemplate::none);
    } else {
        model.notes.push_back(
            "There is no tokenizer beside the model (tokenizer.bin or tokenizer.model): it runs on token numbers only.");
        attach_no_vocabulary(1, {2, 1}, model);
    }
    return check_config(config, error);
}

}  // namespace linnet
