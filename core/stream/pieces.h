// The weights cut into pieces: runs of whole blocks of 16 rows, of one matrix or of neighbouring ones of a layer, each of which
// fits into a page of the pool. What a kernel needs is always together in memory: a block is never cut.
//
// A page is filled from storage in units of `read_alignment`, so that reads can go past the system's cache: the bytes of a piece
// begin in its page at (offset mod read_alignment).
#pragma once

#include "core/base/arena.h"
#include "core/model/reader.h"

namespace linnet {

inline constexpr uint64_t read_alignment = 4096;
inline constexpr uint32_t no_page = UINT32_MAX;

// The matrices in the order of the file: four a layer, then the output matrix.
enum MatrixInLayer : uint32_t { matrix_qkv, matrix_attention_output, matrix_gate_up, matrix_down, matrices_in_layer };
constexpr uint32_t matrix_index(uint32_t layer, uint32_t which) { return layer * matrices_in_layer + which; }
constexpr uint32_t matrix_total(uint32_t layers) { return layers * matrices_in_layer + 1; }

struct MatrixPlace {
    uint64_t offset;  // of block 0, from the start of the weights
    uint64_t stride;  // bytes of a block
    uint32_t blocks;
    uint32_t first_piece;  // that has block 0

    uint64_t block_offset(uint32_t block) const { return offset + block * stride; }
};

struct WeightPiece {
    uint64_t offset;  // from the start of the weights; a multiple of tensor_alignment
    uint32_t bytes;
    uint32_t crc;    // CRC-32C of these bytes, once it is known
    uint32_t order;  // how early it is given up: those with order < n are streamed when n pieces find no page
    uint32_t page;   // where it is, or will be when it has been read; no_page
    bool reading;
    bool checked;  // what is in the page has been compared with `crc`, or need not be
};

// The smallest page that can hold any block of these matrices.
struct PageNeed {
    uint64_t bytes = 0;
    void add(const TensorPlace& matrix) {
        const uint64_t stride = block_stride(matrix.format, matrix.columns, matrix.group);
        const uint64_t need = align_up(stride + read_alignment - tensor_alignment, read_alignment);
        if (need > bytes) bytes = need;
    }
};

// Cuts matrix after matrix. With null arrays it only counts.
class Cutter {
public:
    Cutter(uint64_t page_bytes, MatrixPlace* matrices, WeightPiece* pieces)
        : page_bytes_(page_bytes), matrices_(matrices), pieces_(pieces) {}

    // The next matrix of the file; `new_section`: a piece does not go on from the one before.
    void add(const TensorPlace& matrix, bool new_section);
    uint32_t pieces() const { return piece_count_; }
    uint32_t largest_section() const { return largest_section_; }  // pieces of it

private:
    void begin_piece(uint64_t offset);

    uint64_t page_bytes_;
    MatrixPlace* matrices_;
    WeightPiece* pieces_;
    uint64_t start_ = 0;  // of the last piece
    uint32_t matrix_count_ = 0;
    uint32_t piece_count_ = 0;
    uint32_t section_pieces_ = 0;
    uint32_t largest_section_ = 0;
};

// The matrices of one layer.
inline void cut_layer(Cutter& cutter, const LayerPlaces& places) {
    cutter.add(places.qkv, true);
    cutter.add(places.attention_output, false);
    cutter.add(places.gate_up, false);
    cutter.add(places.down, false);
}

// The order in which `count` pieces are given up: the bits of 0, 1, 2, ... turned round, so that the first n of them, whatever n
// is, are spread evenly over all, and giving up one more never brings another one back. Calls visit(piece) for the first `most`.
template <typename Visit>
void each_given_up(uint32_t count, uint32_t most, const Visit& visit) {
    uint32_t bits = 0;
    while (bits < 32 && (uint64_t{1} << bits) < count) ++bits;
    uint32_t done = 0;
    for (uint64_t index = 0; done < most && done < count; ++index) {
        uint64_t turned = 0;
        for (uint32_t bit = 0; bit < bits; ++bit) turned |= ((index >> bit) & 1) << (bits - 1 - bit);
        if (turned >= count) continue;
        visit(static_cast<uint32_t>(turned));
        ++done;
    }
}

}  // namespace linnet
