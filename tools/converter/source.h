// A model as it comes in: its configuration, its tokenizer, and where each of its matrices lies, whatever the file format.
//
// open_source() reads headers only. Weights are read row by row, while the container is written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/model/format.h"
#include "tools/converter/bytes_io.h"

namespace linnet {

// Number formats of source tensors. Values are ggml's type numbers where there is one.
enum class SourceType : uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    iq2_xxs = 16,
    iq4_nl = 20,
    bf16 = 30,
};
const char* source_type_name(SourceType type);
// Values in one block of the type, and bytes of it. f32: 1 and 4. q4_0: 32 and 18.
uint32_t source_block_values(SourceType type);
uint32_t source_block_bytes(SourceType type);
// `count` values (a multiple of the block's) from their bytes, exactly as the format defines them.
void dequantize(SourceType type, const uint8_t* from, uint64_t count, float* to);

// A matrix in a source file: row-major, rows without gaps.
struct SourceMatrix {
    std::string name;  // as the file names it, for messages
    Input* input = nullptr;
    uint64_t offset = 0;
    SourceType type = SourceType::f32;
    uint32_t rows = 0, columns = 0;
    // Rows come in RoPE's interleaved order (GGUF's llama, llama2.c) and are to be read in half-split order: within each head
    // of head_rows rows, the first `rotary` rows: output row i < rotary/2 is row 2i, and rotary/2 + i is row 2i + 1. 0: as they
    // are.
    uint32_t head_rows = 0, rotary = 0;

    uint64_t row_bytes() const { return uint64_t{columns} / source_block_values(type) * source_block_bytes(type); }
    uint32_t source_row(uint32_t row) const {
        if (rotary == 0) return row;
        const uint32_t in_head = row % head_rows;
        if (in_head >= rotary) return row;
        return row - in_head + (in_head < rotary / 2 ? 2 * in_head : 2 * (in_head - rotary / 2) + 1);
    }
};

// One tensor of the container: the source matrices whose rows follow one another in it (q, k, v; gate, up).
struct SourceTensor {
    TensorRole role = TensorRole::embedding;
    uint32_t layer = 0;
    uint32_t rows = 0, columns = 0;
    std::vector<SourceMatrix> parts;
};

struct SourceModel {
    ModelConfig config{};
    std::string name;
    std::vector<float> rope_short, rope_long;  // empty, or rotary_dims/2 factors
    std::vector<uint8_t> tokenizer_block;      // empty: none that Linnet can use
    std::vector<SourceTensor> tensors;         // in the container's order (format.h), all of them, shapes checked
    std::vector<std::string> notes;            // what a person should know: no tokenizer, a key that was not there
};

struct SourceOptions {
    // Keys that a query sees, itself included, where the config has sliding_window = w. Phi-3's authors mean w + 1
    // (flash attention's window_size (w, w)); transformers' eager attention takes w.
    bool window_includes_self = false;  // true: w keys; false: w + 1
};

// Looks at what is there and opens it: a GGUF file (with its other parts, when it is split), a llama2.c .bin (with
// tokenizer.bin or tokenizer.model beside it), or a folder with config.json. `main` names the file; empty: a folder.
Status open_source(InputFolder& folder, const std::string& main, const SourceOptions& options, SourceModel& model,
                   Error& error);

// The formats, for open_source alone.
Status open_gguf(InputFolder& folder, const std::string& main, const SourceOptions& options, SourceModel& model, Error& error);
Status open_hugging_face(InputFolder& folder, const SourceOptions& options, SourceModel& model, Error& error);
Status open_llama2c(InputFolder& folder, const std::string& main, const SourceOptions& options, SourceModel& model,
                    Error& error);

// Rows [first, first + count) of a tensor of the container, float[count][columns]. Not finite values are refused, naming the
// tensor.
Status read_rows(const SourceTensor& tensor, uint32_t first, uint32_t count, float* to, Error& error);

}  // namespace linnet
