// linnet inspect: what a .linnet file holds, and whether all of it is as it was written.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/crc32c.h"
#include "core/model/reader.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "platform/posix/posix.h"
#include "tools/linnet/command.h"
#include "tools/linnet/names.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct InspectChoices {
    std::string file;
    bool tensors = false;
    bool no_verify = false;
    bool progress = false;
    bool json = false;
};

struct Tensor {
    TensorRecord record;
    std::string title() const {
        const auto role = static_cast<TensorRole>(record.role);
        const bool outside = role == TensorRole::embedding || role == TensorRole::output_norm || role == TensorRole::output;
        return (outside ? "" : "layer " + std::to_string(record.layer) + " ") + role_name(role);
    }
    std::string format() const {
        const std::string name = format_name(static_cast<TensorFormat>(record.format));
        return record.group == 0 ? name : name + " group " + std::to_string(record.group);
    }
};

struct Contents {
    FileHeader header;
    ModelLayout layout;
    std::string name;
    std::vector<Tensor> tensors;
    uint32_t tokenizer_pieces = 0;
};

Contents read_contents(const linnet_platform& platform) {
    Contents contents;
    Error error;
    FileHeader& header = contents.header;
    require(read_header(platform, header, error), error);
    require(read_layout(platform, header, contents.layout, nullptr, error), error);
    require(verify_metadata(platform, header, error), error);
    contents.name.resize(header.name_bytes);
    require(read_bytes(platform, header.name_offset, contents.name.data(), contents.name.size(), error), error);
    contents.tensors.resize(header.tensor_count);
    for (uint32_t i = 0; i < header.tensor_count; ++i) {
        require(read_bytes(platform, header.tensors_offset + uint64_t{i} * sizeof(TensorRecord), &contents.tensors[i].record,
                           sizeof(TensorRecord), error),
                error);
    }
    if (header.tokenizer_bytes != 0) {
        std::vector<uint64_t> block(header.tokenizer_bytes / 8 + 1);
        require(read_bytes(platform, header.tokenizer_offset, block.data(), header.tokenizer_bytes, error), error);
        Tokenizer tokenizer;
        require(
            tokenizer.open(reinterpret_cast<const uint8_t*>(block.data()), static_cast<size_t>(header.tokenizer_bytes), error),
            error);
        contents.tokenizer_pieces = tokenizer.vocabulary();
    }
    return contents;
}

// Every chunk of the weights against its checksum. All the damaged ones are found, not only the first.
struct Verification {
    uint64_t chunks = 0;
    std::vector<uint64_t> damaged;
    bool table_damaged = false;
};

Verification verify_weights(const linnet_platform& platform, const FileHeader& header, bool progress) {
    Verification result;
    result.chunks = chunk_count(header.weights_bytes);
    std::vector<uint32_t> checksums(result.chunks + 1);
    Error error;
    require(read_bytes(platform, header.checksums_offset, checksums.data(), checksums.size() * 4, error), error);
    result.table_damaged = crc32c(0, checksums.data(), result.chunks * 4) != checksums.back();
    std::vector<uint8_t> chunk(header.chunk_bytes);
    ProgressLine line("verifying", progress);
    for (uint64_t i = 0; i < result.chunks; ++i) {
        const uint64_t offset = i * header.chunk_bytes;
        const uint64_t bytes = std::min<uint64_t>(header.chunk_bytes, header.weights_bytes - offset);
        require(read_bytes(platform, header.weights_offset + offset, chunk.data(), bytes, error), error);
        if (crc32c(0, chunk.data(), static_cast<size_t>(bytes)) != checksums[i]) result.damaged.push_back(i);
        line.update(offset + bytes, header.weights_bytes);
    }
    return result;
}

std::string special_tokens(const ModelConfig& config) {
    std::string text = "begin " + (config.bos_token < 0 ? "none" : std::to_string(config.bos_token));
    if (config.bos_token >= 0) text += config.add_bos != 0 ? " (put before a text)" : " (not put before a text)";
    text += ", end";
    for (uint32_t i = 0; i < config.eos_count; ++i) text += " " + std::to_string(config.eos_tokens[i]);
    return config.eos_count == 0 ? text + " none" : text;
}

Rows model_rows(const Contents& contents) {
    const FileHeader& header = contents.header;
    const ModelConfig& config = header.config;
    std::string context = format_number(config.context) + " tokens";
    if ((config.flags & long_rope) != 0) context += ", LongRoPE above " + format_number(config.original_context);
    std::string rope = "theta " + format_fixed(config.rope_theta, 0) + ", " + std::to_string(config.rotary_dims) + " of " +
                       std::to_string(config.head_dim) + " dimensions";
    if ((config.flags & long_rope) != 0) rope += ", attention factor " + format_fixed(config.rope_attention_factor, 6);
    return {
        {"architecture", architecture_name(config.architecture)},
        {"parameters", format_parameters(contents.layout.parameters)},
        {"layers", std::to_string(config.layers)},
        {"hidden", format_number(config.hidden) + ", feed-forward " + format_number(config.feed_forward)},
        {"heads", std::to_string(config.heads) + " of " + std::to_string(config.head_dim) + " dimensions, " +
                      std::to_string(config.kv_heads) + " for keys and values"},
        {"vocabulary", format_number(config.vocabulary) + ((config.flags & tied_embeddings) != 0 ? ", tied embeddings" : "")},
        {"context", context},
        {"sliding window", config.window_keys == 0 ? "none" : format_number(config.window_keys) + " keys"},
        {"RoPE", rope},
        {"tokenizer",
         header.tokenizer_bytes == 0 ? "none that Linnet can use" : format_number(contents.tokenizer_pieces) + " pieces"},
        {"chat template", chat_template_name(static_cast<ChatTemplate>(config.chat_template))},
        {"special tokens", special_tokens(config)}};
}

struct Kind {
    uint64_t tensors = 0;
    uint64_t bytes = 0;
};

std::map<std::string, Kind> kinds(const Contents& contents) {
    std::map<std::string, Kind> found;
    for (const Tensor& tensor : contents.tensors) {
        Kind& kind = found[tensor.format()];
        ++kind.tensors;
        kind.bytes += tensor.record.bytes;
    }
    return found;
}

std::string tensor_table(const Contents& contents) {
    std::string table;
    for (const Tensor& tensor : contents.tensors) {
        char line[160];
        snprintf(line, sizeof line, "  %-28s %7u x %-7u %-16s %15s %10s\n", tensor.title().c_str(), tensor.record.rows,
                 tensor.record.columns, tensor.format().c_str(), format_number(tensor.record.offset).c_str(),
                 format_bytes(tensor.record.bytes).c_str());
        table += line;
    }
    return table;
}

nlohmann::ordered_json json_of(const Contents& contents, const Verification* verification, bool tensors) {
    const FileHeader& header = contents.header;
    const ModelConfig& config = header.config;
    nlohmann::ordered_json out = {
        {"name", contents.name},
        {"version", header.version},
        {"file_bytes", header.file_bytes},
        {"parameters", contents.layout.parameters},
        {"weights_offset", header.weights_offset},
        {"weights_bytes", header.weights_bytes},
        {"weight_bytes_per_token", contents.layout.bytes_per_token},
        {"tokenizer_bytes", header.tokenizer_bytes},
        {"tokenizer_pieces", contents.tokenizer_pieces},
    };
    out["config"] = {
        {"architecture", architecture_name(config.architecture)},
        {"vocabulary", config.vocabulary},
        {"usable_vocabulary", config.usable_vocabulary},
        {"hidden", config.hidden},
        {"layers", config.layers},
        {"heads", config.heads},
        {"kv_heads", config.kv_heads},
        {"head_dim", config.head_dim},
        {"feed_forward", config.feed_forward},
        {"context", config.context},
        {"original_context", config.original_context},
        {"rotary_dims", config.rotary_dims},
        {"window_keys", config.window_keys},
        {"rms_epsilon", config.rms_epsilon},
        {"rope_theta", config.rope_theta},
        {"rope_attention_factor", config.rope_attention_factor},
        {"tied_embeddings", (config.flags & tied_embeddings) != 0},
        {"long_rope", (config.flags & long_rope) != 0},
        {"chat_template", chat_template_name(static_cast<ChatTemplate>(config.chat_template))},
        {"bos_token", config.bos_token},
        {"add_bos", config.add_bos != 0},
        {"eos_tokens", std::vector<int32_t>(config.eos_tokens, config.eos_tokens + config.eos_count)},
    };
    for (const auto& [name, kind] : kinds(contents)) out["kinds"][name] = {{"tensors", kind.tensors}, {"bytes", kind.bytes}};
    if (tensors) {
        out["tensors"] = nlohmann::ordered_json::array();
        for (const Tensor& tensor : contents.tensors) {
            out["tensors"].push_back({{"role", role_name(static_cast<TensorRole>(tensor.record.role))},
                                      {"layer", tensor.record.layer},
                                      {"format", format_name(static_cast<TensorFormat>(tensor.record.format))},
                                      {"group", tensor.record.group},
                                      {"rows", tensor.record.rows},
                                      {"columns", tensor.record.columns},
                                      {"offset", tensor.record.offset},
                                      {"bytes", tensor.record.bytes}});
        }
    }
    if (verification != nullptr) {
        out["chunks"] = verification->chunks;
        out["damaged_chunks"] = verification->damaged;
        out["verified"] = verification->damaged.empty() && !verification->table_damaged;
    }
    return out;
}

void inspect(const InspectChoices& choices) {
    PosixPlatform posix;
    std::string problem;
    if (!posix.open(choices.file, 1, problem)) throw Failure(exit_bad_input, problem);
    const Contents contents = read_contents(posix.platform());
    const FileHeader& header = contents.header;
    if (!choices.json) {
        print(for_terminal(contents.name.empty() ? choices.file : contents.name) + "\n\n");
        print(aligned(model_rows(contents)) + "\n");
        Rows rows;
        for (const auto& [name, kind] : kinds(contents)) {
            rows.emplace_back(name, format_bytes(kind.bytes) + " in " + format_number(kind.tensors) +
                                        (kind.tensors == 1 ? " tensor" : " tensors"));
        }
        if (header.tokenizer_bytes != 0) rows.emplace_back("tokenizer", format_bytes(header.tokenizer_bytes));
        rows.emplace_back("file", format_bytes(header.file_bytes) + " (" + format_number(header.file_bytes) + " bytes)");
        rows.emplace_back("read for a token", format_bytes(contents.layout.bytes_per_token));
        print(aligned(rows));
        if (choices.tensors) print("\n" + tensor_table(contents));
        flush_output();
    }
    Verification verification;
    if (!choices.no_verify) verification = verify_weights(posix.platform(), header, choices.progress);
    const bool sound = verification.damaged.empty() && !verification.table_damaged;
    if (choices.json) {
        print(json_of(contents, choices.no_verify ? nullptr : &verification, choices.tensors)
                  .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
              "\n");
    } else if (!choices.no_verify && sound) {
        print(aligned({{"checksums", "all " + format_number(verification.chunks + 2) + " are right"}}));
    }
    if (sound) return;
    flush_output();
    std::string which = verification.damaged.empty() ? "the checksum of its checksums is wrong" : "the checksum of chunk";
    if (!verification.damaged.empty()) {
        const size_t shown = std::min<size_t>(verification.damaged.size(), 8);
        if (verification.damaged.size() > 1) which = "the checksums of chunks";
        for (size_t i = 0; i < shown; ++i) which += (i == 0 ? " " : ", ") + std::to_string(verification.damaged[i]);
        if (shown < verification.damaged.size()) which += ", …";
        which += verification.damaged.size() == 1 ? " is wrong" : " are wrong";
        which += " (" + format_number(verification.damaged.size()) + " of " + format_number(verification.chunks) + ")";
    }
    throw Failure(exit_bad_input, "The model file is damaged: " + which + ". Convert or download it again.");
}

}  // namespace

void add_inspect(CLI::App& app) {
    auto choices = std::make_shared<InspectChoices>();
    CLI::App& command = *app.add_subcommand("inspect", "Show what a .linnet file holds, and verify it");
    command.add_option("FILE", choices->file, "The model, a .linnet file")->type_name("")->required();
    command.add_flag("--tensors", choices->tensors, "List every tensor: shape, format, place in the weights, size");
    command.add_flag("--no-verify", choices->no_verify, "Do not read the weights to compare their checksums");
    command.add_flag("--progress", choices->progress, "Show progress even where stderr is no terminal");
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer("Example:\n  linnet inspect model.linnet --tensors");
    command.callback([choices] { inspect(*choices); });
}

}  // namespace linnet
