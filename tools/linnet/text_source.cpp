#include "tools/linnet/text_source.h"

#include <cstring>

#include "core/model/reader.h"
#include "core/text/text_stream.h"
#include "platform/posix/posix.h"
#include "tools/converter/source.h"
#include "tools/converter/vocabulary.h"
#include "tools/linnet/command.h"
#include "tools/linnet/files.h"

namespace linnet {

namespace {

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::string first_bytes(FileFolder& folder, const std::string& name) {
    Input* input = nullptr;
    Error error;
    require(folder.open(name, input, error), error);
    if (input == nullptr) return {};
    std::string bytes(std::min<uint64_t>(input->size(), 8), '\0');
    require(input->read(0, bytes.data(), bytes.size(), error), error);
    return bytes;
}

std::string whole(FileFolder& folder, const std::string& name) {
    Input* input = nullptr;
    Error error;
    require(folder.open(name, input, error), error);
    if (input == nullptr) return {};
    constexpr uint64_t most = uint64_t{1} << 28;
    if (input->size() > most) throw Failure(exit_bad_input, "\"" + name + "\" is too large for a tokenizer.");
    std::string bytes(input->size(), '\0');
    require(input->read(0, bytes.data(), bytes.size(), error), error);
    return bytes;
}

// The block of a .linnet file, its checksum compared.
std::vector<uint8_t> block_of_container(const std::string& path) {
    PosixPlatform posix;
    std::string problem;
    if (!posix.open(path, 1, problem)) throw Failure(exit_bad_input, problem);
    FileHeader header;
    Error error;
    require(read_header(posix.platform(), header, error), error);
    require(verify_metadata(posix.platform(), header, error), error);
    std::vector<uint8_t> block(header.tokenizer_bytes);
    if (block.empty()) {
        throw Failure(exit_bad_input, "This model file has no tokenizer that Linnet can use.");
    }
    require(read_bytes(posix.platform(), header.tokenizer_offset, block.data(), block.size(), error), error);
    return block;
}

std::vector<uint8_t> block_of_source(const std::string& path) {
    const SourcePath source = find_source(path);
    FileFolder folder(source.folder);
    Error error;
    Vocabulary vocabulary;
    if (ends_with(source.main, ".json")) {
        require(read_tokenizer_json(whole(folder, source.main), vocabulary, error), error);
    } else if (!source.main.empty() && first_bytes(folder, source.main).compare(0, 4, "GGUF") != 0) {
        require(read_sentencepiece_model(whole(folder, source.main), vocabulary, error), error);
    } else {
        SourceModel model;
        require(open_source(folder, source.main, {}, model, error), error);
        if (model.tokenizer_block.empty()) {
            throw Failure(exit_bad_input,
                          model.notes.empty() ? "This model has no tokenizer that Linnet can use." : model.notes[0]);
        }
        return std::move(model.tokenizer_block);
    }
    // A model's other file says which tokens were added, and how they treat the spaces around them.
    const std::string config = whole(folder, "tokenizer_config.json");
    if (!config.empty()) require(apply_tokenizer_config(config, vocabulary, error), error);
    std::vector<uint8_t> block;
    require(build_tokenizer_block(vocabulary, block, error), error);
    return block;
}

}  // namespace

TextSource::TextSource(const std::string& path) {
    const SourcePath source = find_source(path);
    bool container = false;
    if (!source.main.empty()) {
        FileFolder folder(source.folder);
        const std::string magic = first_bytes(folder, source.main);
        container = (magic.size() == sizeof file_magic && memcmp(magic.data(), file_magic, sizeof file_magic) == 0) ||
                    ends_with(source.main, ".linnet");
    }
    open(container ? block_of_container(path) : block_of_source(path));
}

TextSource::TextSource(const std::vector<uint8_t>& block) { open(block); }

void TextSource::open(const std::vector<uint8_t>& block) {
    block_bytes_ = block.size();
    block_.resize((block.size() + 7) / 8);
    memcpy(block_.data(), block.data(), block.size());
    Error error;
    require(tokenizer_.open(reinterpret_cast<const uint8_t*>(block_.data()), block_bytes_, error), error);
}

std::vector<int32_t> TextSource::encode(const std::string& text, const Tokenizer::Options& options) const {
    // Memory for the longest run of bytes without a word boundary, which is nearly always short.
    Error error;
    for (size_t run = 16384;; run *= 8) {
        std::vector<uint64_t> workspace((Tokenizer::workspace_bytes(run) + 7) / 8);
        std::vector<int32_t> tokens(text.size() / 3 + 16);
        size_t count = 0;
        Status status = tokenizer_.encode(text, options, workspace.data(), workspace.size() * 8, tokens.data(), tokens.size(),
                                          count, error);
        if (status == Status::ok && count > tokens.size()) {
            tokens.resize(count);
            status = tokenizer_.encode(text, options, workspace.data(), workspace.size() * 8, tokens.data(), tokens.size(),
                                       count, error);
        }
        if (status == Status::does_not_fit && run < text.size() + 16) continue;
        require(status, error);
        tokens.resize(count);
        return tokens;
    }
}

std::string TextSource::decode(const std::vector<int32_t>& tokens, bool special) const {
    std::string text;
    linnet_text_stream stream{};
    char piece[512];
    size_t bytes = 0;
    Error error;
    for (const int32_t token : tokens) {
        require(stream_token(tokenizer_, stream, token, special, piece, sizeof piece, bytes, error), error);
        text.append(piece, bytes);
    }
    stream_end(stream, piece, sizeof piece, bytes);
    text.append(piece, bytes);
    return text;
}

}  // namespace linnet
