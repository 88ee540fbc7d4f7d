// How an error leaves through a C API: the core's own, and that of embedded/update.
#pragma once

#include <cstring>

#include "core/base/error.h"
#include "core/linnet.h"

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

}  // namespace linnet
