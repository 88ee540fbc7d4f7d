// The .linnet file as bytes: everything of it but where the weights come from. Front to back in one pass: all sizes follow from the
// tensors' shapes, so the header is complete before the first weight is known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/format.h"
#include "tools/converter/bytes_io.h"

namespace linnet {

// What stands before the weights. The records' offsets and lengths are filled in by the writer.
struct ContainerHead {
    ModelConfig config{};
    std::string name;
    std::vector<float> rope_short, rope_long;
    std::vector<uint8_t> tokenizer_block;
    std::vector<TensorRecord> tensors;
};

// Weights of one tensor as they stand in the file, 16 rows at a time: a packed block, or 16 plain rows (fewer at the end).
class BlockFiller {
public:
    virtual ~BlockFiller() = default;
    // Fills `to` (which holds zeros) with the blocks [first, first + count). Called from several threads.
    virtual Status fill(uint32_t first, uint32_t count, uint8_t* to, Error& error) = 0;
};

class ContainerWriter {
public:
    ContainerWriter(Output& output, Workers* workers, Progress* progress)
        : output_(output), workers_(workers), progress_(progress) {}

    // Writes header, metadata and tokenizer. What the core would refuse to read is refused here, before a byte is written.
    Status begin(const ContainerHead& head, Error& error);
    // The next tensor, in the order of head.tensors.
    Status write_tensor(BlockFiller& filler, Error& error);
    // The checksums.
    Status finish(Error& error);

    uint64_t file_bytes() const { return header_.file_bytes; }
    // Of the next tensor, offset and length included.
    const TensorRecord& next_tensor() const { return tensors_[next_]; }

private:
    Output& output_;
    Workers* workers_;
    Progress* progress_;
    FileHeader header_{};
    std::vector<TensorRecord> tensors_;
    size_t next_ = 0;
    uint64_t written_ = 0;  // of the whole file
    std::vector<uint32_t> checksums_;
    uint32_t chunk_crc_ = 0;
    std::vector<uint8_t> band_;

    Status write(const uint8_t* bytes, uint64_t count, Error& error);
    Status write_weights(const uint8_t* bytes, uint64_t count, Error& error);
    Status pad_weights(uint64_t to, Error& error);
    Status report_progress(Error& error);
};

}  // namespace linnet
