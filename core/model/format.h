// The .linnet container, version 2. Little-endian; every field has a fixed place, so that a microcontroller reads it
// with a struct copy.
//
//     offset 0        FileHeader (512 bytes)
//     then            metadata:  model name, RoPE factors (see the offsets in the header), tensor table
//     then            tokenizer: one block, used in place (core/text/tokenizer.h says what is in it); may be empty
//     4096-aligned    weights:   tensors in the order in which they execute (see tensor_order below)
//     after weights   checksums: one CRC-32C (u32) for each chunk of `chunk_bytes` of the weights, the last one short,
//                                then one CRC-32C over those
//
// The checksums stand last so that a converter writes the file front to back in one pass. A downloader that can ask
// for ranges fetches them first and verifies chunk by chunk; one that cannot verifies when they arrive.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"

namespace linnet {

inline constexpr char file_magic[8] = {'\x89', 'L', 'I', 'N', 'N', 'E', 'T', '\n'};
inline constexpr uint32_t file_version = 2;  // 1 had the scales of a packed block behind its values
inline constexpr uint32_t chunk_bytes = 256 * 1024;
inline constexpr uint64_t section_alignment = 4096;  // of the weights, and of each layer's first tensor (direct I/O)
inline constexpr uint64_t tensor_alignment = 64;
inline constexpr uint32_t rows_in_block = 16;  // packed matrices: rows are the vector lanes
inline constexpr uint32_t block_columns = 32;  // packed int4/int8: columns an integer dot product spans

enum class Architecture : uint32_t { phi3 = 1, llama = 2 };

enum class ChatTemplate : uint32_t {
    none = 0,
    phi3 = 1,       // <|user|>\n…<|end|>\n<|assistant|>\n   (April 2024: no system turn)
    phi35 = 2,      // the same with <|system|>\n…<|end|>\n  (phi-3 from July 2024, phi-3.5)
    phi4_mini = 3,  // <|user|>…<|end|><|assistant|>
    llama2 = 4,     // [INST] <<SYS>>\n…\n<</SYS>>\n\n… [/INST] … </s>
    zephyr = 5,     // <|user|>\n…</s>\n<|assistant|>\n       (TinyLlama)
    chatml = 6,     // <|im_start|>user\n…<|im_end|>\n<|im_start|>assistant\n
};

enum ConfigFlags : uint32_t {
    tied_embeddings = 1u << 0,  // no embedding tensor: rows are read from the output matrix
    long_rope = 1u << 1,        // short and long factors; the long ones from original_context + 1 tokens on
};

// Fixed-size model description. Sizes are counts of elements.
struct ModelConfig {
    uint32_t architecture;        // Architecture
    uint32_t vocabulary;          // config field vocab_size: rows of the output matrix
    uint32_t hidden;              // hidden_size
    uint32_t layers;              // num_hidden_layers
    uint32_t heads;               // num_attention_heads
    uint32_t kv_heads;            // num_key_value_heads; divides heads
    uint32_t head_dim;            // even; usually hidden / heads
    uint32_t feed_forward;        // intermediate_size
    uint32_t context;             // max_position_embeddings
    uint32_t original_context;    // original_max_position_embeddings; = context without LongRoPE
    uint32_t rotary_dims;         // even, <= head_dim: the first dims of a head that RoPE turns
    uint32_t window_keys;         // keys a query sees, itself included; 0 = all
    float rms_epsilon;            // rms_norm_eps
    float rope_attention_factor;  // multiplies cos and sin (LongRoPE); 1 otherwise
    double rope_theta;            // rope_theta
    uint32_t flags;               // ConfigFlags
    uint32_t chat_template;       // ChatTemplate
    int32_t bos_token;            // -1 = none
    uint32_t add_bos;             // 1: a text begins with bos_token
    uint32_t usable_vocabulary;   // ids at and above are padding rows and are never sampled
    uint32_t eos_count;           // 0..8
    int32_t eos_tokens[8];        // any of these ends a reply
};
static_assert(sizeof(ModelConfig) == 120);

struct FileHeader {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;       // 512
    uint64_t file_bytes;         // the whole file, checksums included
    uint64_t name_offset;        // UTF-8, name_bytes long, not terminated
    uint64_t rope_short_offset;  // f32[rotary_dims/2], or 0: no factors
    uint64_t rope_long_offset;   // f32[rotary_dims/2], or 0
    uint64_t tensors_offset;     // TensorRecord[tensor_count]
    uint64_t tokenizer_offset;   // 64-aligned
    uint64_t tokenizer_bytes;    // 0: the model has no tokenizer that Linnet can use
    uint64_t weights_offset;     // section_alignment-aligned
    uint64_t weights_bytes;
    uint64_t checksums_offset;  // 4-aligned
    uint32_t name_bytes;
    uint32_t tensor_count;
    uint32_t chunk_bytes;
    uint32_t metadata_crc;  // CRC-32C of bytes [header_bytes, weights_offset): metadata and tokenizer
    ModelConfig config;
    uint8_t reserved[512 - 8 - 8 - 80 - 16 - 120 - 4];  // zero
    uint32_t header_crc;                                // CRC-32C of the bytes before it
};
static_assert(sizeof(FileHeader) == 512);

enum class TensorRole : uint32_t {
    embedding = 1,          // [vocabulary, hidden]; absent when tied
    attention_norm = 2,     // [hidden]
    qkv = 3,                // [(heads + 2 kv_heads) head_dim, hidden]: all Q rows, all K rows, all V rows
    attention_output = 4,   // [hidden, heads head_dim]
    feed_forward_norm = 5,  // [hidden]
    gate_up = 6,            // [2 feed_forward, hidden]: gate rows first
    down = 7,               // [hidden, feed_forward]
    output_norm = 8,        // [hidden]
    output = 9,             // [vocabulary, hidden]
};

enum class TensorFormat : uint32_t {
    // Plain arrays.
    f32_vector = 1,  // rows = 1
    f32_rows = 2,    // row-major; embedding only
    int8_rows = 3,   // each row: int8[padded columns], then f16 scale[groups], rounded up to 4 bytes; embedding only
    // Packed matrices, in blocks of rows_in_block rows; the last block is filled up with zero rows.
    // Columns are padded with zeros to a multiple of block_columns (int4, int8).
    //   f32: f32[columns][16]
    //   int4, int8: spans of two groups, one after the other, each: f16 scale[2][16 rows] (64 bytes), then the values of
    //         its columns, 32 columns (a step) at a time. One group is `group` columns; the last may be shorter. Where the
    //         number of groups is odd, the last span has 32 bytes of zeros in place of the second group's scales.
    //   int8: a step is 8 quads of 4 columns: u8[16 rows][4 columns] = value + 128 (512 bytes)
    //   int4: a step is 4 pairs of quads: u8[16 rows][4 columns], low nibble = even quad (columns 8p..8p+3),
    //         high nibble = odd quad (columns 8p+4..8p+7), nibble = value + 8 (256 bytes)
    // So a kernel reads one stream of whole 64-byte lines from the first block to the last (core/kernels/README.md).
    f32_packed = 4,
    int8_packed = 5,
    int4_packed = 6,
};

struct TensorRecord {
    uint32_t role;    // TensorRole
    uint32_t layer;   // 0 for those outside the layers
    uint32_t format;  // TensorFormat
    uint32_t group;   // columns that share a scale: 32, 64 or 128; 0 for f32
    uint32_t rows;
    uint32_t columns;
    uint64_t offset;  // from weights_offset; tensor_alignment-aligned
    uint64_t bytes;
};
static_assert(sizeof(TensorRecord) == 40);

constexpr uint32_t padded_columns(uint32_t columns) { return ceil_div(columns, block_columns) * block_columns; }
constexpr uint32_t group_count(uint32_t columns, uint32_t group) { return ceil_div(padded_columns(columns), group); }
constexpr uint64_t chunk_count(uint64_t weights_bytes) {
    return weights_bytes / chunk_bytes + (weights_bytes % chunk_bytes != 0);
}
constexpr uint32_t block_count(uint32_t rows) { return ceil_div(rows, rows_in_block); }

// Bytes of one row of an embedding.
constexpr uint64_t row_stride(TensorFormat format, uint32_t columns, uint32_t group) {
    if (format == TensorFormat::f32_rows || format == TensorFormat::f32_vector) return uint64_t{columns} * 4;
    return align_up(uint64_t{padded_columns(columns)} + 2 * uint64_t{group_count(columns, group)}, 4);
}

// Packed int4 and int8 blocks: bytes of one step (32 columns of 16 rows), and where in the block the step with a column, and
// the scales of a group, stand.
constexpr uint64_t step_bytes(TensorFormat format) { return format == TensorFormat::int4_packed ? 256 : 512; }
inline constexpr uint64_t span_scale_bytes = 2 * rows_in_block * 2;  // two groups' f16
constexpr uint64_t step_offset(TensorFormat format, uint32_t group, uint32_t column) {
    return (uint64_t{column / (2 * group)} + 1) * span_scale_bytes + column / block_columns * step_bytes(format);
}
constexpr uint64_t scales_offset(TensorFormat format, uint32_t group, uint32_t group_index) {
    const uint64_t span_bytes = span_scale_bytes + 2 * uint64_t{group / block_columns} * step_bytes(format);
    return group_index / 2 * span_bytes + group_index % 2 * (rows_in_block * 2);
}

// Bytes of a whole block of 16 rows.
constexpr uint64_t block_stride(TensorFormat format, uint32_t columns, uint32_t group) {
    if (format == TensorFormat::f32_packed) return uint64_t{columns} * rows_in_block * 4;
    return padded_columns(columns) / block_columns * step_bytes(format) +
           ceil_div(group_count(columns, group), 2) * span_scale_bytes;
}

constexpr uint64_t tensor_bytes(TensorFormat format, uint32_t rows, uint32_t columns, uint32_t group) {
    switch (format) {
        case TensorFormat::f32_vector:
        case TensorFormat::f32_rows:
        case TensorFormat::int8_rows: return rows * row_stride(format, columns, group);
        default: return block_count(rows) * block_stride(format, columns, group);
    }
}

// One value of a packed int4 or int8 block of 16 rows, before its scale.
inline int32_t packed_value(TensorFormat format, uint32_t group, const uint8_t* block, uint32_t row, uint32_t column) {
    const uint8_t* step = block + step_offset(format, group, column);
    const uint32_t quad = column % block_columns / 4;
    if (format == TensorFormat::int8_packed) return step[quad * 64 + row * 4 + column % 4] - 128;
    const uint8_t byte = step[quad / 2 * 64 + row * 4 + column % 4];
    return (quad % 2 == 0 ? byte & 15 : byte >> 4) - 8;
}

// The order of the tensors in the file, which is the order of execution:
//   embedding (unless tied); then for each layer attention_norm, qkv, attention_output, feed_forward_norm, gate_up,
//   down; then output_norm, output.
// Each tensor begins at a multiple of tensor_alignment; each layer, and what follows the last one, at a multiple of
// section_alignment.
inline constexpr uint32_t tensors_in_layer = 6;

}  // namespace linnet
