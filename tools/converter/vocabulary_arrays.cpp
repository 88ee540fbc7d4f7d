// Vocabularies that come as plain arrays: GGUF's metadata and llama2.c's tokenizer.bin.
#include <algorithm>
#include <cmath>

#include "core/base/bytes.h"
#include "core/text/tokenizer_block.h"
#include "core/text/utf8.h"
#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

using Kind = Tokenizer::Kind;

bool byte_name(std::string_view text) {
    const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); };
    return text.size() == 6 && text.starts_with("<0x") && hex(text[3]) && hex(text[4]) && text[5] == '>';
}

// "Phi-3-mini", "phi3", "Phi 3.5 Mini": lower case, letters and digits alone.
bool is_phi3(std::string_view name) {
    std::string plain;
    for (const char c : name) {
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) plain += c;
        if (c >= 'A' && c <= 'Z') plain += static_cast<char>(c - 'A' + 'a');
    }
    return plain.find("phi3") != std::string::npos;
}

}  // namespace

Status read_gguf_vocabulary(GgufVocabulary&& arrays, Vocabulary& vocabulary, Error& error) {
    vocabulary = {};
    const size_t count = arrays.tokens.size();
    if (arrays.model != "llama") {
        return error.fail(Status::unsupported)
               << "The tokenizer is of the kind \"" << arrays.model
               << "\" (tokenizer.ggml.model); Linnet reads \"llama\", which is SentencePiece BPE.";
    }
    if (count == 0) return error.fail(Status::bad_file) << "tokenizer.ggml.tokens is empty.";
    if (count > max_pieces) {
        return error.fail(Status::unsupported)
               << "tokenizer.ggml.tokens has " << count << " entries; Linnet reads up to " << max_pieces << '.';
    }
    if (arrays.scores.size() != count) {
        return error.fail(Status::bad_file)
               << "tokenizer.ggml.scores has " << arrays.scores.size() << " entries and tokenizer.ggml.tokens " << count << '.';
    }
    if (!arrays.types.empty() && arrays.types.size() != count) {
        return error.fail(Status::bad_file) << "tokenizer.ggml.token_type has " << arrays.types.size()
                                            << " entries and tokenizer.ggml.tokens " << count << '.';
    }
    // llama.cpp's ids for a SentencePiece vocabulary that names none.
    const auto or_default = [count](int32_t id, int32_t otherwise) {
        return id >= 0 ? id : static_cast<size_t>(otherwise) < count ? otherwise : -1;
    };
    vocabulary.unknown = or_default(arrays.unknown, 0);
    vocabulary.bos = or_default(arrays.bos, 1);
    vocabulary.eos = or_default(arrays.eos, 2);
    for (const auto& [key, id] : {std::pair{"unknown_token_id", vocabulary.unknown}, std::pair{"bos_token_id", vocabulary.bos},
                                  std::pair{"eos_token_id", vocabulary.eos}}) {
        if (id >= static_cast<int64_t>(count)) {
            return error.fail(Status::bad_file)
                   << "tokenizer.ggml." << key << " is " << id << "; there are " << count << " tokens.";
        }
    }
    vocabulary.dummy_prefix = arrays.add_space_prefix != 0;
    vocabulary.chat_template = std::move(arrays.chat_template);
    const bool phi3 = is_phi3(arrays.model_name);
    vocabulary.pieces.resize(count);
    for (size_t id = 0; id < count; ++id) {
        Piece& piece = vocabulary.pieces[id];
        const auto index = static_cast<int32_t>(id);
        piece.text = std::move(arrays.tokens[id]);
        piece.score = arrays.scores[id];
        if (std::isnan(piece.score))
            return error.fail(Status::bad_file) << "tokenizer.ggml.scores[" << id << "] is not a number.";
        int32_t type = 1;
        if (!arrays.types.empty()) {
            type = arrays.types[id];
        } else if (byte_name(piece.text)) {
            type = static_cast<int32_t>(Kind::byte);
        } else if (index == vocabulary.bos || index == vocabulary.eos) {
            type = static_cast<int32_t>(Kind::control);
        }
        if (type < 1 || type > 6) {
            return error.fail(Status::bad_file)
                   << "tokenizer.ggml.token_type[" << id << "] is " << type << "; it must be 1 to 6.";
        }
        piece.kind = static_cast<Kind>(type);
        // Padding rows come as further unknown tokens; phi-3's one unknown token comes as a control token.
        if (piece.kind == Kind::unknown && index != vocabulary.unknown) piece.kind = Kind::unused;
        if (index == vocabulary.unknown && piece.kind != Kind::byte) piece.kind = Kind::unknown;
        if (piece.text.empty()) piece.kind = Kind::unused;
        // A user-defined token that is written like a tag is a chat template's: it is not to be found in what a person types.
        const bool tag = piece.text.starts_with('<') && piece.text.ends_with('>');
        piece.added = piece.kind == Kind::control || (piece.kind == Kind::user_defined && tag);
        // The files do not say which tokens swallow the white space after them. For phi-3 that is known.
        piece.rstrip = phi3 && piece.added && piece.text != "<s>" && piece.text != "<|endoftext|>";
    }
    vocabulary.add_bos = vocabulary.bos >= 0 && arrays.add_bos != 0;
    if (arrays.add_bos < 0 && detect_chat_template(vocabulary) == ChatTemplate::phi35) vocabulary.add_bos = false;
    return Status::ok;
}

// u32 length of the longest piece; then for each piece f32 score, i32 length and the text, with spaces in place of U+2581.
Status read_llama2c_tokenizer(std::string_view bytes, uint32_t vocabulary_size, Vocabulary& vocabulary, Error& error) {
    vocabulary = {};
    if (vocabulary_size < 3 || vocabulary_size > max_pieces) {
        return error.fail(Status::bad_file) << "A vocabulary of " << vocabulary_size << " pieces cannot be right.";
    }
    const auto cut_off = [&](uint32_t id) -> Status {
        return error.fail(Status::bad_file) << "tokenizer.bin is cut off at piece " << id << " of " << vocabulary_size << '.';
    };
    if (bytes.size() < 4) return cut_off(0);
    size_t at = 4;
    for (uint32_t id = 0; id < vocabulary_size; ++id) {
        if (bytes.size() - at < 8) return cut_off(id);
        Piece piece;
        piece.score = load<float>(bytes.data() + at);
        const auto length = load<int32_t>(bytes.data() + at + 4);
        at += 8;
        if (length < 0 || static_cast<uint64_t>(length) > bytes.size() - at) return cut_off(id);
        if (std::isnan(piece.score)) {
            return error.fail(Status::bad_file) << "In tokenizer.bin the score of piece " << id << " is not a number.";
        }
        const std::string_view text = bytes.substr(at, static_cast<size_t>(length));
        at += static_cast<size_t>(length);
        if (id < 3) {
            // Written as "<unk>", "\n<s>\n", "\n</s>\n".
            piece.text = id == 0 ? "<unk>" : id == 1 ? "<s>" : "</s>";
            piece.kind = id == 0 ? Kind::unknown : Kind::control;
        } else if (byte_name(text)) {
            piece.text = text;
            piece.kind = Kind::byte;
        } else {
            for (const char c : text) {
                if (c == ' ') {
                    piece.text += word_space;
                } else {
                    piece.text += c;
                }
            }
            if (text.empty()) piece.kind = Kind::unused;
        }
        vocabulary.pieces.push_back(std::move(piece));
    }
    vocabulary.unknown = 0;
    vocabulary.bos = 1;
    vocabulary.eos = 2;
    vocabulary.add_bos = true;
    return Status::ok;
}

}  // namespace linnet
