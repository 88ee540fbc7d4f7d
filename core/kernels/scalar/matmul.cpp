#include "core/kernels/lanes.h"
#include "core/kernels/scalar/scalar.h"

namespace linnet::scalar {

namespace {

// dot[row] = sum over 32 columns of weight * activation, for the 16 rows of a block: exact.
void dot_int4(const uint8_t* weights, const int8_t* a, int32_t* dot) {
    for (uint32_t row = 0; row < rows_in_block; ++row) dot[row] = 0;
    for (uint32_t pair = 0; pair < 4; ++pair) {
        const int8_t* even = a + pair * 8;
        const int8_t* odd = even + 4;
        for (uint32_t row = 0; row < rows_in_block; ++row) {
            const uint8_t* bytes = weights + pair * 64 + row * 4;
            for (uint32_t i = 0; i < 4; ++i) {
                dot[row] += ((bytes[i] & 15) - 8) * even[i] + ((bytes[i] >> 4) - 8) * odd[i];
            }
        }
    }
}

void dot_int8(const uint8_t* weights, const int8_t* a, int32_t* dot) {
    for (uint32_t row = 0; row < rows_in_block; ++row) dot[row] = 0;
    for (uint32_t quad = 0; quad < 8; ++quad) {
        for (uint32_t row = 0; row < rows_in_block; ++row) {
            const uint8_t* bytes = weights + quad * 64 + row * 4;
            for (uint32_t i = 0; i < 4; ++i) dot[row] += (bytes[i] - 128) * a[quad * 4 + i];
        }
    }
}

// The 16 rows of one block for one token.
void block_quantised(const PackedMatrix& matrix, const uint8_t* block, const int8_t* a, const float* a_scales, float* total) {
    const bool int4 = matrix.format == TensorFormat::int4_packed;
    const uint32_t steps = padded_columns(matrix.columns) / block_columns;
    const uint32_t steps_in_group = matrix.group / block_columns;
    for (uint32_t row = 0; row < rows_in_block; ++row) total[row] = 0.0f;
    for (uint32_t first = 0; first < steps; first += steps_in_group) {
        float part[rows_in_block] = {};
        const uint32_t end = steps - first < steps_in_group ? steps : first + steps_in_group;
        for (uint32_t step = first; step < end; ++step) {
            int32_t dot[rows_in_block];
            const uint8_t* weights = block + step_offset(matrix.format, matrix.group, step * block_columns);
            if (int4) {
                dot_int4(weights, a + step * block_columns, dot);
            } else {
                dot_int8(weights, a + step * block_columns, dot);
            }
            for (uint32_t row = 0; row < rows_in_block; ++row) {
                part[row] = part[row] + static_cast<float>(dot[row]) * a_scales[step];
            }
        }
        const uint8_t* scales = block + scales_offset(matrix.format, matrix.group, first / steps_in_group);
        for (uint32_t row = 0; row < rows_in_block; ++row) {
            total[row] = total[row] + part[row] * half_to_float(load<uint16_t>(scales + row * 2));
        }
    }
}

void block_f32(const PackedMatrix& matrix, const uint8_t* block, const float* x, float* total) {
    for (uint32_t row = 0; row < rows_in_block; ++row) total[row] = 0.0f;
    for (uint32_t column = 0; column < matrix.columns; ++column) {
        const uint8_t* weights = block + size_t{column} * rows_in_block * 4;
        for (uint32_t row = 0; row < rows_in_block; ++row) {
            total[row] = total[row] + load<float>(weights + row * 4) * x[column];
        }
    }
}

}  // namespace

void matmul(const PackedMatrix& matrix, const Activations& x, uint32_t tokens, float* y, size_t y_stride, uint32_t first_block,
            uint32_t last_block) {
    for (uint32_t index = first_block; index < last_block; ++index) {
        const uint8_t* block = matrix.data + index * matrix.stride;
        const uint32_t first_row = index * rows_in_block;
        const uint32_t rows = matrix.rows - first_row < rows_in_block ? matrix.rows - first_row : rows_in_block;
        for (uint32_t token = 0; token < tokens; ++token) {
            float total[rows_in_block];
            if (matrix.format == TensorFormat::f32_packed) {
                block_f32(matrix, block, x.f32 + token * x.f32_stride, total);
            } else {
                block_quantised(matrix, block, x.values + size_t{token} * x.padded,
                                x.scales + size_t{token} * (x.padded / block_columns), total);
            }
            for (uint32_t row = 0; row < rows; ++row) y[token * y_stride + first_row + row] = total[row];
        }
    }
}

}  // namespace linnet::scalar
