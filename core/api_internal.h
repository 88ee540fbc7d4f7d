// What the parts of the C API share: how an error leaves the core, and what a model must have for text.
#pragma once

#include <cstring>

#include "core/base/error.h"
#include "core/linnet.h"
#include "core/session/model.h"

namespace linnet {

static_assert(sizeof(linnet_error{}.text) >= Error::capacity);
static_assert(LINNET_DOES_NOT_FIT == static_cast<int>(Status::does_not_fit));
static_assert(LINNET_UNSUPPORTED == static_cast<int>(Status::unsupported));

inline linnet_status report(const Error& from, linnet_error* to) {
    if (to != nullptr) {
        to->status = static_cast<linnet_status>(from.status());
        memcpy(to->text, from.text(), Error::capacity);
    }
    return static_cast<linnet_status>(from.status());
}

// Runs a piece of the core and reports what it says.
template <typename Work>
linnet_status guarded(linnet_error* error, const Work& work) {
    Error inner;
    const Status status = work(inner);
    if (status == Status::ok) inner.clear();
    return report(inner, error);
}

inline Status need_tokenizer(const linnet_model& model, Error& error) {
    if (model.tokenizer.available()) return Status::ok;
    return error.fail(Status::unsupported)
           << "This model file has no tokenizer that Linnet can use: give token ids instead of text.";
}

}  // namespace linnet
