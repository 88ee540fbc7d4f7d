// A source model into a .linnet file: which format each tensor gets, and its rows from the source into packed blocks.
#include <algorithm>
#include <bit>

#include "tools/converter/container_writer.h"
#include "tools/converter/convert.h"
#include "tools/converter/importance.h"
#include "tools/converter/pack.h"
#include "tools/converter/quantize.h"

namespace linnet {

namespace {

// A source's own blocks that are exactly one of our groups of 32 with its f16 scale: they are copied and not computed anew.
bool is_exact(SourceType source, TensorFormat format, uint32_t group) {
    if (group != 32) return false;
    if (source == SourceType::q4_0) return true;
    return source == SourceType::q8_0 && format != TensorFormat::int4_packed;
}

// One such block: the values into `values[0..32)[lane]`, the scale's bits.
uint16_t copy_exact(SourceType type, const uint8_t* block, int8_t (*values)[rows_in_block], uint32_t lane) {
    const uint8_t* data = block + 2;
    for (uint32_t i = 0; i < 32; ++i) {
        if (type == SourceType::q4_0) {
            values[i][lane] = static_cast<int8_t>((i < 16 ? data[i] & 15 : data[i - 16] >> 4) - 8);
        } else {
            values[i][lane] = static_cast<int8_t>(data[i]);
        }
    }
    return load<uint16_t>(block);
}

// Of finite numbers: without their signs they are in the order of their bits, and whole numbers can be compared side by side.
float largest_magnitude(const float* values, size_t count) {
    uint32_t largest = 0;
    for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7fffffffu);
    return std::bit_cast<float>(largest);
}

struct BlockErrors {
    uint64_t weights = 0, exact_weights = 0;
    double squares = 0, error = 0, rounding_error = 0;
};

class TensorFiller : public BlockFiller {
public:
    // `importance`: float[padded columns], or null.
    TensorFiller(const SourceTensor& source, const TensorRecord& record, bool search, const float* importance)
        : source_(source),
          format_(static_cast<TensorFormat>(record.format)),
          group_(record.group),
          search_(search),
          importance_(importance),
          errors_(block_count(record.rows)) {}

    Status fill(uint32_t first, uint32_t count, uint8_t* to, Error& error) override {
        const uint32_t first_row = first * rows_in_block;
        const uint32_t rows =
            static_cast<uint32_t>(std::min<uint64_t>(source_.rows - first_row, uint64_t{count} * rows_in_block));
        Rows loaded;
        if (Status status = read(first_row, rows, loaded, error); status != Status::ok) return status;
        if (format_ == TensorFormat::f32_vector || format_ == TensorFormat::f32_rows) {
            memcpy(to, loaded.floats.data(), loaded.floats.size() * sizeof(float));
            return Status::ok;
        }
        const uint64_t stride = format_ == TensorFormat::int8_rows
                                    ? rows_in_block * row_stride(format_, source_.columns, group_)
                                    : block_stride(format_, source_.columns, group_);
        for (uint32_t block = 0; block < count; ++block, to += stride) {
            const uint32_t row = block * rows_in_block;
            const uint32_t rows_here = std::min(rows - row, rows_in_block);
            if (format_ == TensorFormat::f32_packed) {
                pack_f32(loaded.floats.data() + size_t{row} * source_.columns, rows_here, source_.columns, to);
            } else {
                quantize_block(loaded, row, rows_here, to, errors_[first + block]);
            }
        }
        return Status::ok;
    }

    void add_errors(ConvertReport& report) const {
        if (group_ == 0) return;
        auto role = std::find_if(report.errors.begin(), report.errors.end(),
                                 [&](const RoleError& known) { return known.role == source_.role; });
        if (role == report.errors.end()) {
            RoleError fresh{};
            fresh.role = source_.role;
            role = report.errors.insert(report.errors.end(), fresh);
        }
        for (const BlockErrors& block : errors_) {
            role->weights += block.weights;
            role->squares += block.squares;
            role->squared_error += block.error;
            role->squared_error_rounding += block.rounding_error;
            report.exact_weights += block.exact_weights;
        }
    }

private:
    // Rows as floats; and those that are copied exactly, as they stand in the source too.
    struct Rows {
        std::vector<float> floats;               // [rows][columns]
        std::vector<std::vector<uint8_t>> raw;   // [rows]; empty: not exact
        std::vector<const SourceMatrix*> parts;  // [rows]
    };

    const SourceTensor& source_;
    const TensorFormat format_;
    const uint32_t group_;
    const bool search_;
    const float* const importance_;
    std::vector<BlockErrors> errors_;  // by block, so that their sum does not depend on the threads

    Status read(uint32_t first, uint32_t count, Rows& rows, Error& error) {
        rows.floats.resize(size_t{count} * source_.columns);
        rows.raw.resize(count);
        rows.parts.resize(count);
        uint32_t part_first = 0;
        for (const SourceMatrix& part : source_.parts) {
            const uint32_t begin = std::max(first, part_first);
            const uint32_t end = std::min(first + count, part_first + part.rows);
            if (begin < end) {
                for (uint32_t row = begin; row < end; ++row) rows.parts[row - first] = &part;
                float* to = rows.floats.data() + size_t{begin - first} * source_.columns;
                const Status status = is_exact(part.type, format_, group_)
                                          ? read_exact(part, begin - part_first, end - begin, begin - first, rows, to, error)
                                          : read_floats(part, begin, end - begin, to, error);
                if (status != Status::ok) return status;
            }
            part_first += part.rows;
        }
        return Status::ok;
    }

    Status read_floats(const SourceMatrix& part, uint32_t first, uint32_t count, float* to, Error& error) {
        if (Status status = read_rows(source_, first, count, to, error); status != Status::ok || group_ == 0) return status;
        const float limit = largest_weight(levels_of(format_));
        if (largest_magnitude(to, size_t{count} * source_.columns) <= limit) return Status::ok;
        return error.fail(Status::unsupported) << "The tensor \"" << part.name << "\" has a weight above "
                                               << static_cast<uint32_t>(limit) << ", which no 16-bit scale reaches. "
                                               << "Convert with --weights f32.";
    }

    Status read_exact(const SourceMatrix& part, uint32_t first, uint32_t count, uint32_t index, Rows& rows, float* to,
                      Error& error) {
        const size_t row_bytes = static_cast<size_t>(part.row_bytes());
        // Rows in their own order come in one read.
        std::vector<uint8_t> together;
        if (part.rotary == 0) {
            together.resize(row_bytes * count);
            const Status status =
                part.input->read(part.offset + first * part.row_bytes(), together.data(), together.size(), error);
            if (status != Status::ok) return status;
        }
        for (uint32_t i = 0; i < count; ++i) {
            std::vector<uint8_t>& raw = rows.raw[index + i];
            raw.resize(row_bytes);
            if (part.rotary == 0) {
                memcpy(raw.data(), together.data() + row_bytes * i, row_bytes);
            } else {
                const uint64_t offset = part.offset + part.source_row(first + i) * part.row_bytes();
                if (Status status = part.input->read(offset, raw.data(), row_bytes, error); status != Status::ok) return status;
            }
            for (size_t block = 0; block < row_bytes; block += source_block_bytes(part.type)) {
                if ((load<uint16_t>(raw.data() + block) & 0x7c00u) == 0x7c00u) {
                    return error.fail(Status::bad_file) << "The tensor \"" << part.name << "\" has a scale in row " << first + i
                                                        << " that is not a finite number: the file is damaged.";
                }
            }
            dequantize(part.type, raw.data(), part.columns, to + size_t{i} * part.columns);
        }
        return Status::ok;
    }

    // A function of its own: in the browser the function that reads is one that can wait, which makes its loops slow.
    [[gnu::noinline]] void quantize_block(const Rows& rows, uint32_t first, uint32_t count, uint8_t* to,
                                          BlockErrors& errors) const {
        const uint32_t columns = source_.columns, padded = padded_columns(columns);
        bool all_exact = true;
        for (uint32_t lane = 0; lane < count; ++lane) {
            const bool exact = !rows.raw[first + lane].empty();
            all_exact = all_exact && exact;
            errors.exact_weights += exact ? columns : 0;
        }
        errors.weights = uint64_t{count} * columns;
        GroupWeights group;
        QuantizedGroup quantized;
        for (uint32_t begin = 0, index = 0; begin < padded; begin += group_, ++index) {
            const uint32_t real = std::min(columns - begin, group_);
            group.count = std::min(padded - begin, group_);
            group.importance = importance_ != nullptr ? importance_ + begin : nullptr;
            memset(group.weights, 0, group.count * sizeof group.weights[0]);
            for (uint32_t lane = 0; lane < count; ++lane) {
                const float* row = rows.floats.data() + size_t{first + lane} * columns + begin;
                for (uint32_t i = 0; i < real; ++i) group.weights[i][lane] = row[i];
            }
            quantize_group(group, levels_of(format_), search_ && !all_exact, quantized);
            for (uint32_t lane = 0; lane < count; ++lane) {
                const std::vector<uint8_t>& raw = rows.raw[first + lane];
                if (!raw.empty()) {
                    const SourceType type = rows.parts[first + lane]->type;
                    quantized.scales[lane] =
                        copy_exact(type, raw.data() + size_t{index} * source_block_bytes(type), quantized.values, lane);
                    quantized.error[lane] = 0;
                }
                errors.squares += static_cast<double>(quantized.squares[lane]);
                errors.error += static_cast<double>(quantized.error[lane]);
                errors.rounding_error += static_cast<double>(quantized.rounding_error[lane]);
            }
            store_group(quantized, begin, group.count, index, count, to);
        }
    }

    void store_group(const QuantizedGroup& group, uint32_t begin, uint32_t count, uint32_t index, uint32_t rows,
                     uint8_t* to) const {
        switch (format_) {
            case TensorFormat::int4_packed: pack_int4(group.values, group_, begin, count, to); break;
            case TensorFormat::int8_packed: pack_int8(group.values, group_, begin, count, to); break;
            default: {
                const uint64_t stride = row_stride(format_, source_.columns, group_);
                for (uint32_t row = 0; row < rows; ++row, to += stride) {
                    for (uint32_t i = 0; i < count; ++i) to[begin + i] = static_cast<uint8_t>(group.values[i][row]);
                    store(to + padded_columns(source_.columns) + size_t{index} * 2, group.scales[row]);
                }
                return;
            }
        }
        pack_scales(format_, group.scales, group_, index, to);
    }
};

TensorFormat format_of(TensorRole role, const ConvertOptions& options) {
    const WeightFormat weights =
        role == TensorRole::output && options.weights == WeightFormat::int4 ? options.output : options.weights;
    switch (role) {
        case TensorRole::attention_norm:
        case TensorRole::feed_forward_norm:
        case TensorRole::output_norm: return TensorFormat::f32_vector;
        case TensorRole::embedding:
            return options.weights == WeightFormat::f32 ? TensorFormat::f32_rows : TensorFormat::int8_rows;
        default: break;
    }
    switch (weights) {
        case WeightFormat::int4: return TensorFormat::int4_packed;
        case WeightFormat::int8: return TensorFormat::int8_packed;
        default: return TensorFormat::f32_packed;
    }
}

Status check_parts(const SourceTensor& tensor, Error& error) {
    uint64_t rows = 0;
    for (const SourceMatrix& part : tensor.parts) {
        rows += part.rows;
        if (part.columns != tensor.columns) {
            return error.fail(Status::bad_file) << "The tensor \"" << part.name << "\" has " << part.columns
                                                << " columns; expected " << tensor.columns << '.';
        }
    }
    if (rows == tensor.rows && rows != 0 && tensor.columns != 0) return Status::ok;
    return error.fail(Status::bad_file) << "The tensor \"" << (tensor.parts.empty() ? "" : tensor.parts[0].name)
                                        << "\" and those that belong to it have " << rows << " rows; expected " << tensor.rows
                                        << '.';
}

// What an error in each column of qkv costs, as far as the model tells without a text: the square of what the attention norm
// multiplies that column by, relative to the mean. float[padded columns].
Status norm_costs(const SourceModel& model, uint32_t layer, std::vector<float>& costs, Error& error) {
    const auto norm = std::find_if(model.tensors.begin(), model.tensors.end(), [&](const SourceTensor& tensor) {
        return tensor.role == TensorRole::attention_norm && tensor.layer == layer;
    });
    if (norm == model.tensors.end()) {
        return error.fail(Status::bad_file) << "Layer " << layer << " of the model has no attention norm.";
    }
    costs.assign(padded_columns(norm->columns), 0);
    if (Status status = read_rows(*norm, 0, 1, costs.data(), error); status != Status::ok) return status;
    double mean = 0;
    for (const float factor : costs) mean += static_cast<double>(factor) * static_cast<double>(factor) / norm->columns;
    for (uint32_t column = 0; column < norm->columns; ++column) {
        const double square = static_cast<double>(costs[column]) * static_cast<double>(costs[column]);
        costs[column] = mean > 0 ? std::max(static_cast<float>(square / mean), Importance::least) : 1;
    }
    return Status::ok;
}

// Only qkv: behind the other norm of TinyLlama, the columns of gate_up that matter are not those with large factors. And only groups
// above 32: stories15M gains nothing with less (README.md).
bool weighs_by_norm(const ConvertOptions& options, const TensorRecord& record) {
    return options.importance == nullptr && options.search_scales && record.group > 32 &&
           record.format == static_cast<uint32_t>(TensorFormat::int4_packed) &&
           record.role == static_cast<uint32_t>(TensorRole::qkv);
}

}  // namespace

bool keeps_all_int4(const SourceModel& model, const ConvertOptions& options) {
    bool any = false;
    for (const SourceTensor& tensor : model.tensors) {
        const TensorFormat format = format_of(tensor.role, options);
        if (format != TensorFormat::int4_packed) continue;
        any = true;
        for (const SourceMatrix& part : tensor.parts) {
            if (!is_exact(part.type, format, options.group)) return false;
        }
    }
    return any;
}

Status write_container(const SourceModel& model, const ConvertOptions& options, Output& output, Workers* workers,
                       Progress* progress, ConvertReport& report, Error& error) {
    report = {};
    if (options.group != 32 && options.group != 64 && options.group != 128) {
        return error.fail(Status::bad_argument) << "The group is " << options.group << "; it must be 32, 64 or 128.";
    }
    ContainerHead head;
    head.config = model.config;
    head.name = model.name;
    head.rope_short = model.rope_short;
    head.rope_long = model.rope_long;
    head.tokenizer_block = model.tokenizer_block;
    for (const SourceTensor& tensor : model.tensors) {
        if (Status status = check_parts(tensor, error); status != Status::ok) return status;
        TensorRecord record{};
        record.role = static_cast<uint32_t>(tensor.role);
        record.layer = tensor.layer;
        const TensorFormat format = format_of(tensor.role, options);
        record.format = static_cast<uint32_t>(format);
        record.group =
            format == TensorFormat::int8_rows || format == TensorFormat::int8_packed || format == TensorFormat::int4_packed
                ? options.group
                : 0;
        record.rows = tensor.rows;
        record.columns = tensor.columns;
        head.tensors.push_back(record);
        report.parameters += uint64_t{tensor.rows} * tensor.columns;
    }
    ContainerWriter writer(output, workers, progress);
    if (Status status = writer.begin(head, error); status != Status::ok) return status;
    report.file_bytes = writer.file_bytes();
    for (const SourceTensor& tensor : model.tensors) {
        const TensorRecord& record = writer.next_tensor();
        const float* importance = options.importance != nullptr ? options.importance->of(tensor.role, tensor.layer) : nullptr;
        std::vector<float> costs;
        if (weighs_by_norm(options, record)) {
            if (Status status = norm_costs(model, tensor.layer, costs, error); status != Status::ok) return status;
            importance = costs.data();
        }
        TensorFiller filler(tensor, record, options.search_scales, importance);
        if (Status status = writer.write_tensor(filler, error); status != Status::ok) return status;
        filler.add_errors(report);
    }
    return writer.finish(error);
}

}  // namespace linnet
