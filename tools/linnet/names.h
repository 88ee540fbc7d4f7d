// The container's numbers by name.
#pragma once

#include "core/model/format.h"

namespace linnet {

const char* role_name(TensorRole role);
const char* format_name(TensorFormat format);
const char* architecture_name(uint32_t architecture);

}  // namespace linnet
