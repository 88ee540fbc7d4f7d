// Reads a .linnet file through the platform and checks it, once, against its real length. What passes here is trusted
// by everything after it.
#pragma once

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/kernels/kernels.h"
#include "core/model/format.h"
#include "platform/platform.h"

namespace linnet {

struct LayerWeights {
    const float* attention_norm;
    PackedMatrix qkv;
    PackedMatrix attention_output;
    const float* feed_forward_norm;
    PackedMatrix gate_up;
    PackedMatrix down;
};

// Where one tensor lies: what its record says, checked.
struct TensorPlace {
    TensorFormat format;
    uint32_t group;
    uint32_t rows;
    uint32_t columns;
    uint64_t offset;  // from the start of the weights
    uint64_t bytes;
};

struct LayerPlaces {
    TensorPlace attention_norm, qkv, attention_output, feed_forward_norm, gate_up, down;
};

// Where everything lies; made from the header and the tensor table alone.
struct ModelLayout {
    TensorPlace embedding;  // rows == 0 when tied
    TensorPlace output_norm;
    TensorPlace output;
    uint64_t layers_offset;  // of the first layer's first tensor: what stands before it is the embedding
    uint64_t tail_offset;    // of output_norm
    uint64_t parameters;
    uint64_t bytes_per_token;  // weights that one decoded token reads
};

// One read through the platform; a failure becomes a sentence with the offset.
Status read_bytes(const linnet_platform& platform, uint64_t offset, void* to, uint64_t bytes, Error& error);

// Every field of a configuration in its range and consistent with the others. A converter asks the same question.
Status check_config(const ModelConfig& config, Error& error);

// The header: magic, version, checksum, every count and offset in range.
Status read_header(const linnet_platform& platform, FileHeader& header, Error& error);

// The tensor table against the layout that the configuration demands. `layers` (header.config.layers entries) may be null;
// `each`, which may be null too, sees one layer after the other.
using EachLayer = void (*)(void* context, const LayerPlaces& layer);
Status read_layout(const linnet_platform& platform, const FileHeader& header, ModelLayout& layout, LayerPlaces* layers,
                   Error& error, EachLayer each = nullptr, void* context = nullptr);

// Compares the metadata's checksum (configuration apart: the header's own covers it). Reads in small pieces.
Status verify_metadata(const linnet_platform& platform, const FileHeader& header, Error& error);

// Rows that are read from storage one by one, in groups with a checksum each: a chunk is too much to read for the sake of one.
struct RowGroups {
    uint64_t offset = 0;       // of the first row, from the start of the weights
    uint64_t bytes = 0;        // of all rows
    uint64_t group_bytes = 0;  // the last group may have less
    uint32_t* crc = nullptr;   // [ceil(bytes / group_bytes)], CRC-32C; null: not known

    void learn(uint64_t at, const uint8_t* from, uint64_t count) const;
};

// Says which of the file's chunks it is that came wrong, of those that have some of these bytes of the weights; or where reading
// failed, if `result` is not 0.
Status blame_chunk(const linnet_platform& platform, const FileHeader& header, uint64_t offset, uint64_t bytes, int32_t result,
                   Error& error);

// Compares the weights with the file's checksums, chunk by chunk, as they come in by and by in the order of the file; what is right
// is learned by `rows`.
class ChunkCheck {
public:
    ChunkCheck(const linnet_platform& platform, const FileHeader& header, const RowGroups& rows)
        : platform_(platform), header_(header), rows_(rows) {}
    // The next bytes of the weights.
    Status feed(const uint8_t* bytes, uint64_t count, Error& error);
    // After all of them: the checksum of the checksums.
    Status end(Error& error);

private:
    Status next_checksum(uint32_t& checksum, Error& error);

    static constexpr uint64_t buffered = 64;
    const linnet_platform& platform_;
    const FileHeader& header_;
    const RowGroups& rows_;
    uint64_t offset_ = 0;
    uint32_t crc_ = 0;
    uint32_t table_crc_ = 0;
    uint64_t index_ = 0;
    uint32_t values_[buffered];
};

// Reads weights [from, weights_bytes) into `memory` in chunks, comparing every chunk's checksum when `verify` is set; with it
// the bytes before `from` are read (into `scratch`) and compared too, and `rows` learned. `scratch` holds `scratch_bytes` (at least 1).
Status load_weights(const linnet_platform& platform, const FileHeader& header, uint64_t from, uint8_t* memory, bool verify,
                    const RowGroups& rows, uint8_t* scratch, uint64_t scratch_bytes, uint64_t& bytes_read, Error& error);

}  // namespace linnet
