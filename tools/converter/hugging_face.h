// A Hugging Face folder: the parts of its reader.
#pragma once

#include <string>

#include "tools/converter/json_fields.h"
#include "tools/converter/source.h"

namespace linnet {

// Sizes, RoPE and window of config.json into model.config; `kind` is its model_type.
Status read_hugging_face_config(const JsonFields& fields, const SourceOptions& options, SourceModel& model, std::string& kind,
                                Error& error);

}  // namespace linnet
