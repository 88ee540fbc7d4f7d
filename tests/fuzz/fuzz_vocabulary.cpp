// Hostile vocabularies, of every format, up to the tokenizer's block.
//
// Layout of an input: u8 kind (kind % 3, below); u16 the length of the first file, where a format has two; then the bytes.
#include <algorithm>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"
#include "tools/converter/vocabulary.h"

using namespace linnet;

namespace {

// No failure without a sentence.
bool read(Status status, const Error& error) {
    if (status != Status::ok && error.text()[0] == 0) __builtin_trap();
    return status == Status::ok;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    const size_t split = std::min<size_t>(data[1] | data[2] << 8, size - 3);
    const std::string_view all(reinterpret_cast<const char*>(data) + 3, size - 3);
    Vocabulary vocabulary;
    Error error;
    bool sound = false;
    switch (data[0] % 3) {
        case 0: sound = read(read_sentencepiece_model(all, vocabulary, error), error); break;
        case 1:
            sound = read(read_tokenizer_json(all.substr(0, split), vocabulary, error), error) &&
                    read(apply_tokenizer_config(all.substr(split), vocabulary, error), error);
            break;
        case 2: sound = read(read_llama2c_tokenizer(all, 300, vocabulary, error), error); break;
    }
    if (!sound) return 0;
    std::vector<uint8_t> block;
    if (!read(build_tokenizer_block(vocabulary, block, error), error)) return 0;
    // What the converter writes, the core opens.
    Tokenizer tokenizer;
    if (!read(tokenizer.open(block.data(), block.size(), error), error)) {
        __builtin_trap();
    }
    reply_end_tokens(vocabulary, detect_chat_template(vocabulary));
    return 0;
}
