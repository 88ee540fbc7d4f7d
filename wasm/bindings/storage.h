// What the browser's storage asks of the core before a model is opened: where things lie in a .linnet file, and checksums. The
// format has one reader, the core's, and it is the same one that opens the model.
#pragma once

#include <emscripten/val.h>

namespace linnet {

// From the first 512 bytes of a file, or more: { status, text?, name, fileBytes, weightsOffset, weightsBytes, checksumsOffset,
// chunkBytes, chunks }. The name is '' where it does not lie in the bytes that are given.
emscripten::val file_layout(emscripten::val header);

// Whether `metadata`, bytes [512, weightsOffset) of the file, is what its header says, the tensor table and the tokenizer
// included. '' or a sentence.
emscripten::val metadata_problem(emscripten::val header, emscripten::val metadata);

// CRC-32C of a Uint8Array, or of what `before` is the CRC-32C of with this after it; 0 for nothing before.
unsigned crc32c_of(emscripten::val bytes, unsigned before);

}  // namespace linnet
