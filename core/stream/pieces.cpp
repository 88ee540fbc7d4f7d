#include "core/stream/pieces.h"

namespace linnet {

void Cutter::begin_piece(uint64_t offset) {
    start_ = offset;
    if (pieces_ != nullptr) pieces_[piece_count_] = {offset, 0, 0, 0, no_page, false, false};
    ++piece_count_;
    if (++section_pieces_ > largest_section_) largest_section_ = section_pieces_;
}

void Cutter::add(const TensorPlace& matrix, bool new_section) {
    const uint64_t stride = block_stride(matrix.format, matrix.columns, matrix.group);
    const uint32_t blocks = block_count(matrix.rows);
    if (new_section) section_pieces_ = 0;
    uint32_t first_piece = 0;
    for (uint32_t block = 0; block < blocks;) {
        const uint64_t offset = matrix.offset + block * stride;
        uint64_t page_end = start_ / read_alignment * read_alignment + page_bytes_;
        if (section_pieces_ == 0 || offset + stride > page_end) {
            begin_piece(offset);
            page_end = start_ / read_alignment * read_alignment + page_bytes_;
        }
        if (block == 0) first_piece = piece_count_ - 1;
        const uint64_t fit = (page_end - offset) / stride;
        const uint32_t left = blocks - block;
        const uint32_t taken = fit < left ? static_cast<uint32_t>(fit) : left;
        block += taken;
        if (pieces_ != nullptr) {
            WeightPiece& piece = pieces_[piece_count_ - 1];
            piece.bytes = static_cast<uint32_t>(offset + taken * stride - piece.offset);
        }
    }
    if (matrices_ != nullptr) matrices_[matrix_count_] = {matrix.offset, stride, blocks, first_piece};
    ++matrix_count_;
}

}  // namespace linnet
