// Weights of a source tensor, as floats: reads runs of rows in large blocks, through a buffer of bounded size.
#include <algorithm>
#include <bit>
#include <vector>

#include "tools/converter/source.h"

namespace linnet {

namespace {

// Bytes that one read takes at most, unless a single row is longer.
constexpr uint64_t buffer_bytes = uint64_t{4} << 20;

Status refuse_not_finite(const SourceMatrix& matrix, uint32_t row, const float* values, Error& error) {
    uint32_t column = 0;
    while (column + 1 < matrix.columns && (std::bit_cast<uint32_t>(values[column]) & 0x7f800000u) != 0x7f800000u) ++column;
    return error.fail(Status::bad_file) << "The tensor \"" << matrix.name
                                        << "\" holds a value that is not a finite number (row " << row << ", column " << column
                                        << "). The file is damaged, or the model was saved after a failed training.";
}

Status check_finite(const SourceMatrix& matrix, uint32_t first, uint32_t count, const float* values, Error& error) {
    for (uint32_t row = 0; row < count; ++row) {
        const float* from = values + uint64_t{row} * matrix.columns;
        uint32_t found = 0;
        for (uint32_t column = 0; column < matrix.columns; ++column) {
            found |= (std::bit_cast<uint32_t>(from[column]) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
        }
        if (found != 0) return refuse_not_finite(matrix, first + row, from, error);
    }
    return Status::ok;
}

Status read_source_bytes(const SourceMatrix& matrix, uint64_t first_row, uint64_t rows, void* to, Error& error) {
    const uint64_t offset = matrix.offset + first_row * matrix.row_bytes();
    return matrix.input->read(offset, to, static_cast<size_t>(rows * matrix.row_bytes()), error);
}

// Rows [first, first + count) of one matrix, in its output order. A run of source rows that holds them is read whole: the rows
// themselves, or the heads that they lie in.
Status read_matrix(const SourceMatrix& matrix, uint32_t first, uint32_t count, float* to, Error& error) {
    const uint64_t row_bytes = matrix.row_bytes();
    if (matrix.rotary == 0 && matrix.type == SourceType::f32) {
        if (Status status = read_source_bytes(matrix, first, count, to, error); status != Status::ok) return status;
        return check_finite(matrix, first, count, to, error);
    }
    std::vector<uint8_t> buffer;
    const uint32_t end = first + count;
    const bool by_head = matrix.rotary != 0 && row_bytes * matrix.head_rows <= buffer_bytes;
    const uint32_t unit = by_head ? matrix.head_rows : 1;
    const uint64_t most = matrix.rotary != 0 && !by_head ? 1 : std::max<uint64_t>(1, buffer_bytes / row_bytes / unit);
    for (uint32_t row = first; row < end;) {
        const uint32_t run_first = row / unit * unit;
        const uint64_t run_limit = std::min<uint64_t>(matrix.rows, run_first + most * unit);
        const uint32_t run_end = static_cast<uint32_t>(std::min<uint64_t>(run_limit, uint64_t{(end + unit - 1) / unit} * unit));
        const uint32_t source_first = matrix.rotary != 0 && !by_head ? matrix.source_row(row) : run_first;
        buffer.resize(static_cast<size_t>((run_end - run_first) * row_bytes));
        if (Status status = read_source_bytes(matrix, source_first, run_end - run_first, buffer.data(), error);
            status != Status::ok) {
            return status;
        }
        const uint32_t begin = row;
        float* const run_to = to + uint64_t{begin - first} * matrix.columns;
        if (matrix.rotary == 0) {
            row = std::min(run_end, end);
            dequantize(matrix.type, buffer.data(), uint64_t{row - begin} * matrix.columns, run_to);
        } else {
            for (; row < std::min(run_end, end); ++row) {
                const uint8_t* from = buffer.data() + (matrix.source_row(row) - source_first) * row_bytes;
                dequantize(matrix.type, from, matrix.columns, to + uint64_t{row - first} * matrix.columns);
            }
        }
        if (Status status = check_finite(matrix, begin, row - begin, run_to, error); status != Status::ok) return status;
    }
    return Status::ok;
}

}  // namespace

Status read_rows(const SourceTensor& tensor, uint32_t first, uint32_t count, float* to, Error& error) {
    if (first > tensor.rows || count > tensor.rows - first) {
        return error.fail(Status::bad_argument) << "Rows " << first << " to " << uint64_t{first} + count
                                                << " were asked of a tensor of " << tensor.rows << " rows.";
    }
    uint32_t part_first = 0;  // the tensor's row at which the part begins
    for (const SourceMatrix& part : tensor.parts) {
        const uint32_t from = std::max(first, part_first);
        const uint32_t until = std::min(first + count, part_first + part.rows);
        if (from < until) {
            float* part_to = to + uint64_t{from - first} * tensor.columns;
            if (Status status = read_matrix(part, from - part_first, until - from, part_to, error); status != Status::ok) {
                return status;
            }
        }
        part_first += part.rows;
    }
    return Status::ok;
}

}  // namespace linnet
