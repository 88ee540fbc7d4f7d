// What the tests of the text code share: a tokenizer in memory, and a vocabulary small enough to read.
#pragma once

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/format.h"
#include "core/text/chat_template.h"
#include "core/text/text_stream.h"
#include "core/text/tokenizer.h"
#include "tools/converter/vocabulary.h"

namespace linnet::text_tests {

struct TestTokenizer {
    std::vector<uint8_t> block;
    std::vector<uint64_t> workspace;
    Tokenizer tokenizer;
    Error error;

    explicit TestTokenizer(size_t run_bytes = 16384) : workspace(Tokenizer::workspace_bytes(run_bytes) / 8) {}

    bool open(const Vocabulary& vocabulary) {
        return build_tokenizer_block(vocabulary, block, error) == Status::ok &&
               tokenizer.open(block.data(), block.size(), error) == Status::ok;
    }
    // Empty, with `error` set, when it fails.
    std::vector<int32_t> encode(std::string_view text, const Tokenizer::Options& options = {}) {
        std::vector<int32_t> ids(text.size() * 3 + 16);
        size_t count = 0;
        error.clear();
        const Status status =
            tokenizer.encode(text, options, workspace.data(), workspace.size() * 8, ids.data(), ids.size(), count, error);
        ids.resize(status == Status::ok ? count : 0);
        return ids;
    }
    std::vector<int32_t> encode_special(std::string_view text) { return encode(text, {.parse_special = true}); }

    std::string decode(const std::vector<int32_t>& ids, bool special = false) {
        linnet_text_stream stream{};
        std::string text;
        char piece[512];
        size_t bytes = 0;
        for (const int32_t id : ids) {
            if (stream_token(tokenizer, stream, id, special, piece, sizeof piece, bytes, error) != Status::ok)
                return "(failed)";
            text.append(piece, bytes);
        }
        stream_end(stream, piece, sizeof piece, bytes);
        return text.append(piece, bytes);
    }
};

struct Said {
    uint32_t role;
    std::string text;
};
inline Said user(std::string text) { return {LINNET_ROLE_USER, std::move(text)}; }
inline Said assistant(std::string text) { return {LINNET_ROLE_ASSISTANT, std::move(text)}; }
inline Said system_says(std::string text) { return {LINNET_ROLE_SYSTEM, std::move(text)}; }

struct ChatResult {
    Status status;
    std::vector<int32_t> ids;
};
inline ChatResult chat(TestTokenizer& with, ChatTemplate chat_template, const std::vector<Said>& conversation, bool answer,
                       bool continues = false, bool add_bos = false) {
    std::vector<linnet_message> messages;
    messages.reserve(conversation.size());
    for (const Said& said : conversation) messages.push_back({said.role, said.text.data(), said.text.size()});
    ModelConfig config{};
    config.chat_template = static_cast<uint32_t>(chat_template);
    config.add_bos = add_bos ? 1 : 0;
    ChatResult result{Status::ok, std::vector<int32_t>(4096)};
    size_t count = 0;
    const ChatRequest request{messages.data(), messages.size(), answer, continues};
    with.error.clear();
    result.status = chat_tokens(with.tokenizer, config, request, with.workspace.data(), with.workspace.size() * 8,
                                result.ids.data(), result.ids.size(), count, with.error);
    result.ids.resize(result.status == Status::ok ? count : 0);
    return result;
}

inline Piece make_piece(std::string text, Tokenizer::Kind kind, float score = 0) {
    Piece piece;
    piece.text = std::move(text);
    piece.kind = kind;
    piece.score = score;
    return piece;
}

// 0 <unk>, 1 <s>, 2 </s>, 3..258 the bytes, then ordinary pieces whose scores fall by one each, as in Llama-2's vocabulary.
inline Vocabulary small_vocabulary(const std::vector<std::string>& ordinary) {
    using Kind = Tokenizer::Kind;
    Vocabulary vocabulary;
    vocabulary.pieces = {make_piece("<unk>", Kind::unknown), make_piece("<s>", Kind::control),
                         make_piece("</s>", Kind::control)};
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
        vocabulary.pieces.push_back(make_piece(text, Kind::byte));
    }
    float score = 0;
    for (const std::string& text : ordinary) vocabulary.pieces.push_back(make_piece(text, Kind::normal, score--));
    vocabulary.unknown = 0;
    vocabulary.bos = 1;
    vocabulary.eos = 2;
    return vocabulary;
}

inline int32_t add_special(Vocabulary& vocabulary, std::string text, bool rstrip = false, bool lstrip = false) {
    Piece piece = make_piece(std::move(text), Tokenizer::Kind::control);
    piece.added = true;
    piece.rstrip = rstrip;
    piece.lstrip = lstrip;
    vocabulary.pieces.push_back(std::move(piece));
    return static_cast<int32_t>(vocabulary.pieces.size() - 1);
}

inline bool read_file(const std::string& path, std::string& bytes) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return false;
    bytes.assign(std::istreambuf_iterator<char>(file), {});
    return true;
}

}  // namespace linnet::text_tests
