// How fast this machine reads a model's weights from its storage, and how fast it computes with them: what the time of a token is
// predicted from.
#pragma once

#include "core/base/error.h"
#include "core/linnet.h"

namespace linnet {

// Measures in `memory`, which is the caller's again afterwards. `page_bytes`: of one read, as streaming does it.
Status measure(const linnet_platform& platform, const linnet_options& options, const linnet_plan& plan, void* memory,
               size_t bytes, linnet_rates& rates, Error& error);

// Seconds a token by these rates; 0 where one is needed that is not known.
double predict_token_seconds(const linnet_plan& plan, const linnet_rates& rates, bool full_context);

}  // namespace linnet
