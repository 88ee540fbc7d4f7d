// Chat templates: a conversation to tokens, the way that the model was trained to see it.
//
// The model file names its template (ModelConfig::chat_template), chosen at conversion from the model's own metadata. What a
// person wrote is tokenised as plain text: the template alone brings special tokens.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/error.h"
#include "core/linnet.h"
#include "core/model/format.h"
#include "core/text/tokenizer.h"

namespace linnet {

const char* chat_template_name(ChatTemplate chat_template);

struct ChatRequest {
    const linnet_message* messages;
    size_t count;
    bool add_answer_start;  // end where the assistant's answer begins
    bool continues;         // begin with what closes the assistant's answer before: an end token, a line break; no BOS
    const linnet_message* system = nullptr;  // a system message that stands before the others; null: none
};

// Writes at most `capacity` ids and sets `count` to the number of them in all. A role that the template has no place for, a
// missing special token or a model without a template is refused with a sentence.
Status chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config, const ChatRequest& request, void* workspace,
                   size_t workspace_bytes, int32_t* ids, size_t capacity, size_t& count, Error& error);

}  // namespace linnet
