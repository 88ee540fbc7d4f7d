// Tokenizer blocks as a stranger may have made them, and any text through them.
//
// An input: u8 mode, u8 length of a text, the text, and then what the mode says:
//     0  the whole block
//     1  patches to a sound block: { u16 place (modulo its length), u8 value } each
//     2  a vocabulary to build a block of: { u8 length, text, i8 score } each
// Whatever opens is asked for everything: ids of the text with every option, text of the ids, look-ups.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/text/text_stream.h"
#include "core/text/tokenizer.h"
#include "tools/converter/vocabulary.h"

using namespace linnet;

namespace {

Piece piece(std::string text, Tokenizer::Kind kind, float score = 0) {
    Piece made;
    made.text = std::move(text);
    made.kind = kind;
    made.score = score;
    return made;
}

Vocabulary base() {
    using Kind = Tokenizer::Kind;
    Vocabulary vocabulary;
    vocabulary.pieces = {piece("<unk>", Kind::unknown), piece("<s>", Kind::control), piece("</s>", Kind::control)};
    float score = 0;
    for (const char* text : {"▁a", "aa", "ab", "b", "a", "▁", "▁▁", "aab", "aaaa", "é"}) {
        vocabulary.pieces.push_back(piece(text, Kind::normal, score--));
    }
    vocabulary.pieces.push_back(piece("<|user|>", Kind::control));
    vocabulary.pieces.back().added = vocabulary.pieces.back().rstrip = vocabulary.pieces.back().lstrip = true;
    vocabulary.pieces.push_back(piece("bb", Kind::user_defined));
    vocabulary.unknown = 0;
    vocabulary.bos = 1;
    return vocabulary;
}

void use(const std::vector<uint8_t>& block, std::string_view text) {
    // A copy of exactly its size, so that a read past its end is seen.
    std::vector<uint64_t> words((block.size() + 7) / 8);
    if (!block.empty()) memcpy(words.data(), block.data(), block.size());
    Tokenizer tokenizer;
    Error error;
    if (tokenizer.open(reinterpret_cast<const uint8_t*>(words.data()), block.size(), error) != Status::ok) {
        if (error.text()[0] == 0) abort();
        return;
    }
    std::vector<uint64_t> workspace(Tokenizer::workspace_bytes(1) / 8);
    for (int options = 0; options < 8; ++options) {
        std::vector<int32_t> ids(text.size() * 4 + 8);
        size_t count = 0, measured = 0;
        const Tokenizer::Options how{(options & 1) != 0, (options & 2) != 0, (options & 4) != 0};
        const Status status =
            tokenizer.encode(text, how, workspace.data(), workspace.size() * 8, ids.data(), ids.size(), count, error);
        if (status != tokenizer.encode(text, how, workspace.data(), workspace.size() * 8, nullptr, 0, measured, error)) abort();
        if (status != Status::ok) continue;
        if (measured != count || count > ids.size()) abort();
        ids.resize(count);
        linnet_text_stream stream{};
        char out[512];
        size_t bytes = 0;
        for (const int32_t id : ids) {
            if (id < 0 || static_cast<uint32_t>(id) >= tokenizer.vocabulary()) abort();
            (void)tokenizer.kind(id);
            if (stream_token(tokenizer, stream, id, (options & 1) != 0, out, sizeof out, bytes, error) == Status::ok) {
                if (bytes > sizeof out) abort();
            }
        }
        stream_end(stream, out, sizeof out, bytes);
    }
    (void)tokenizer.special(text);
    for (int32_t id = -2; id < 40; ++id) (void)tokenizer.piece(id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const uint8_t mode = data[0] % 3;
    const size_t text_bytes = data[1] < size - 2 ? data[1] : size - 2;
    std::string text(reinterpret_cast<const char*>(data + 2), text_bytes);
    if ((data[0] & 0x80) != 0) {
        // Long enough for the window to be cut.
        while (!text.empty() && text.size() < 600) text += text;
    }
    data += 2 + text_bytes;
    size -= 2 + text_bytes;

    std::vector<uint8_t> block;
    Error error;
    if (mode == 0) {
        block.assign(data, data + size);
    } else if (mode == 1) {
        static const std::vector<uint8_t> sound = [] {
            std::vector<uint8_t> made;
            Error none;
            if (build_tokenizer_block(base(), made, none) != Status::ok) abort();
            return made;
        }();
        block = sound;
        for (; size >= 3; data += 3, size -= 3) block[(data[0] | data[1] << 8) % block.size()] = data[2];
    } else {
        Vocabulary vocabulary = base();
        vocabulary.pieces.resize(3);
        while (size >= 2) {
            const size_t length = data[0] < size - 1 ? data[0] : size - 2;
            if (length + 2 > size) break;
            const auto kind = data[0] % 16 == 15 ? Tokenizer::Kind::user_defined : Tokenizer::Kind::normal;
            vocabulary.pieces.push_back(piece(std::string(reinterpret_cast<const char*>(data + 1), length % 16), kind,
                                              static_cast<int8_t>(data[1 + length])));
            data += 2 + length;
            size -= 2 + length;
        }
        if (build_tokenizer_block(vocabulary, block, error) != Status::ok) return 0;
        Tokenizer check;
        std::vector<uint64_t> words(block.size() / 8);
        memcpy(words.data(), block.data(), block.size());
        if (check.open(reinterpret_cast<const uint8_t*>(words.data()), block.size(), error) != Status::ok) abort();
    }
    use(block, text);
    return 0;
}
