// A SentencePiece-BPE vocabulary, from whatever file holds one, and the tokenizer block that the core reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/model/format.h"
#include "core/text/tokenizer.h"

namespace linnet {

struct Piece {
    std::string text;  // "▁the", "<0x0A>", "<|user|>"
    float score = 0;   // the higher, the earlier two symbols merge into it
    Tokenizer::Kind kind = Tokenizer::Kind::normal;
    bool added = false;   // an added token: found in text only on request, before anything is merged
    bool rstrip = false;  // swallows the whitespace after it
    bool lstrip = false;
};

struct Vocabulary {
    std::vector<Piece> pieces;       // by id
    bool dummy_prefix = true;        // a text begins with a space of its own, and so does what follows a special token
    bool prefix_first_only = false;  // ... but only the text does
    int32_t bos = -1, eos = -1, unknown = -1;
    bool add_bos = false;
    std::string chat_template;  // Jinja, as the model's metadata has it; empty: none
};

// SentencePiece's own tokenizer.model (a ModelProto). Only BPE with the identity normaliser can be read.
Status read_sentencepiece_model(std::string_view bytes, Vocabulary& vocabulary, Error& error);
// Hugging Face's tokenizer.json of such a vocabulary (BPE with byte_fallback). Byte-level BPE is Status::unsupported.
Status read_tokenizer_json(std::string_view bytes, Vocabulary& vocabulary, Error& error);
// What tokenizer_config.json (or added_tokens.json) adds: added tokens, their strips, add_bos_token, chat_template.
Status apply_tokenizer_config(std::string_view bytes, Vocabulary& vocabulary, Error& error);
// llama2.c's tokenizer.bin: `vocabulary_size` pieces.
Status read_llama2c_tokenizer(std::string_view bytes, uint32_t vocabulary_size, Vocabulary& vocabulary, Error& error);
// GGUF's arrays tokenizer.ggml.tokens, .scores, .token_type (llama.cpp's numbers are Tokenizer::Kind's). `model_name` is
// general.name: llama.cpp gives phi-3's added tokens rstrip by it. `model` is tokenizer.ggml.model: "llama" can be read.
struct GgufVocabulary {
    std::string model;
    std::string model_name;
    std::vector<std::string> tokens;
    std::vector<float> scores;
    std::vector<int32_t> types;
    int32_t bos = -1, eos = -1, unknown = -1;
    int32_t add_bos = -1;           // -1: the key is not there
    int32_t add_space_prefix = -1;  // -1: the key is not there
    std::string chat_template;
};
Status read_gguf_vocabulary(GgufVocabulary&& arrays, Vocabulary& vocabulary, Error& error);

// The block that Tokenizer::open() reads.
Status build_tokenizer_block(const Vocabulary& vocabulary, std::vector<uint8_t>& block, Error& error);

// The template that a model wants, from its Jinja text and the tokens that it has.
ChatTemplate detect_chat_template(const Vocabulary& vocabulary);
// Tokens that end a reply: eos, and those that the chat template closes an answer with. At most 8.
std::vector<int32_t> reply_end_tokens(const Vocabulary& vocabulary, ChatTemplate chat_template);

}  // namespace linnet
