// A tokenizer without a model: out of a .linnet file, or straight from the file that a tokenizer comes in.
#pragma once

#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace linnet {

class TextSource {
public:
    // A .linnet file, tokenizer.model, tokenizer.json, a GGUF file or a model's folder. Throws a Failure.
    explicit TextSource(const std::string& path);
    // A tokenizer block (core/text/tokenizer_block.h), copied.
    explicit TextSource(const std::vector<uint8_t>& block);
    TextSource(const TextSource&) = delete;
    TextSource& operator=(const TextSource&) = delete;

    std::vector<int32_t> encode(const std::string& text, const Tokenizer::Options& options) const;
    // Whole characters; what is invalid becomes U+FFFD.
    std::string decode(const std::vector<int32_t>& tokens, bool special) const;

private:
    void open(const std::vector<uint8_t>& block);

    std::vector<uint64_t> block_;  // 8-aligned
    size_t block_bytes_ = 0;
    Tokenizer tokenizer_;
};

}  // namespace linnet
