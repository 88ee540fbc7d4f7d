// The safetensors format: a JSON header that says where each tensor lies, then the tensors. Checked against the file's length.
#pragma once

#include <string>
#include <vector>

#include "tools/converter/bytes_io.h"

namespace linnet {

struct SafetensorsEntry {
    std::string name, dtype;
    std::vector<uint64_t> shape;
    uint64_t begin = 0, end = 0;     // in the file
    uint32_t rows = 0, columns = 0;  // the last dimension is a row
};

// Every entry: known dtype, 1 to 4 dimensions, as many bytes as its shape needs, inside the file, none overlapping another.
Status read_safetensors(Input& input, const std::string& file, std::vector<SafetensorsEntry>& entries, Error& error);

}  // namespace linnet
