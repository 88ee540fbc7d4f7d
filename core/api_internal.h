// What the parts of the C API share: how an error leaves the core, and what a model must have for text.
#pragma once

#include "core/guarded.h"
#include "core/session/model.h"

namespace linnet {

inline Status need_tokenizer(const linnet_model& model, Error& error) {
    if (model.tokenizer.available()) return Status::ok;
    return error.fail(Status::unsupported)
           << "This model file has no tokenizer that Linnet can use: give token ids instead of text.";
}

}  // namespace linnet
