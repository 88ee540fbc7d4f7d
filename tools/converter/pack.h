// Quantised and float weights into the container's layouts (core/model/format.h has them in words). The unpacking that tests
// compare with is the core's packed_value().
#pragma once

#include <cstdint>

#include "core/model/format.h"
#include "tools/converter/quantize.h"

namespace linnet {

// Values [columns][16 rows] of one group, beginning at `first_column`, into a block of 16 rows whose groups have `group`
// columns. `columns` is a multiple of block_columns (padding is zeros).
void pack_int4(const int8_t (*values)[rows_in_block], uint32_t group, uint32_t first_column, uint32_t columns, uint8_t* block);
void pack_int8(const int8_t (*values)[rows_in_block], uint32_t group, uint32_t first_column, uint32_t columns, uint8_t* block);
// The scales of a group of a block.
void pack_scales(TensorFormat format, const uint16_t* scales, uint32_t group, uint32_t group_index, uint8_t* block);

// `rows` (1..16) rows of floats, float[rows][columns], into a whole block; the missing rows are zeros.
void pack_f32(const float* from, uint32_t rows, uint32_t columns, uint8_t* block);

}  // namespace linnet
