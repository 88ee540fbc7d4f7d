// The named shapes of synthetic models: everything of a container but its weights.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"
#include "tools/converter/container_writer.h"

namespace linnet {

std::vector<std::string> synth_shape_names();
// Configuration, RoPE factors, tokenizer and the tensors' formats and sizes. Columns are multiples of 32 in all shapes.
Status synth_head(const std::string& shape, uint32_t group, ContainerHead& head, Error& error);

}  // namespace linnet
