#include "tools/converter/pack.h"

namespace linnet {

namespace {

constexpr uint32_t quad = 4;  // columns of one row that stand side by side

}  // namespace

void pack_int4(const int8_t (*values)[rows_in_block], uint32_t group, uint32_t first_column, uint32_t columns, uint8_t* block) {
    uint8_t* to = block + step_offset(TensorFormat::int4_packed, group, first_column);
    for (uint32_t column = 0; column < columns; column += 2 * quad) {
        for (uint32_t row = 0; row < rows_in_block; ++row) {
            for (uint32_t i = 0; i < quad; ++i) {
                const int32_t low = values[column + i][row] + 8;
                const int32_t high = values[column + quad + i][row] + 8;
                *to++ = static_cast<uint8_t>(low | (high << 4));
            }
        }
    }
}

void pack_int8(const int8_t (*values)[rows_in_block], uint32_t group, uint32_t first_column, uint32_t columns, uint8_t* block) {
    uint8_t* to = block + step_offset(TensorFormat::int8_packed, group, first_column);
    for (uint32_t column = 0; column < columns; column += quad) {
        for (uint32_t row = 0; row < rows_in_block; ++row) {
            for (uint32_t i = 0; i < quad; ++i) *to++ = static_cast<uint8_t>(values[column + i][row] + 128);
        }
    }
}

void pack_scales(TensorFormat format, const uint16_t* scales, uint32_t group, uint32_t group_index, uint8_t* block) {
    memcpy(block + scales_offset(format, group, group_index), scales, rows_in_block * 2);
}

void pack_f32(const float* from, uint32_t rows, uint32_t columns, uint8_t* block) {
    for (uint32_t column = 0; column < columns; ++column) {
        float lanes[rows_in_block] = {};
        for (uint32_t row = 0; row < rows; ++row) lanes[row] = from[size_t{row} * columns + column];
        memcpy(block + size_t{column} * sizeof lanes, lanes, sizeof lanes);
    }
}

}  // namespace linnet
