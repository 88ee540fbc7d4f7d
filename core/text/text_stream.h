// Tokens to text, as they come: whole UTF-8 characters only, what is invalid becomes U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/error.h"
#include "core/linnet.h"
#include "core/text/tokenizer.h"

namespace linnet {

// Appends the text of one token to `text` (capacity at least 512) and sets `text_bytes`. Control and added tokens give nothing
// unless `special`.
Status stream_token(const Tokenizer& tokenizer, linnet_text_stream& stream, int32_t token, bool special, char* text,
                    size_t capacity, size_t& text_bytes, Error& error);
// What was held back: an incomplete character becomes U+FFFD.
void stream_end(linnet_text_stream& stream, char* text, size_t capacity, size_t& text_bytes);

}  // namespace linnet
