#include "tools/converter/container_writer.h"

#include <algorithm>

#include "core/base/crc32c.h"
#include "core/model/reader.h"

namespace linnet {

namespace {

constexpr uint64_t longest_name = 255;

// UTF-8 cut at a character's beginning.
std::string shortened(const std::string& name) {
    if (name.size() <= longest_name) return name;
    size_t end = longest_name;
    while (end > 0 && (static_cast<uint8_t>(name[end]) & 0xc0) == 0x80) --end;
    return name.substr(0, end);
}

// Gives the records their places and returns the bytes of them all.
uint64_t lay_out(std::vector<TensorRecord>& tensors) {
    uint64_t offset = 0;
    for (TensorRecord& tensor : tensors) {
        const TensorRole role = static_cast<TensorRole>(tensor.role);
        const bool new_section =
            role == TensorRole::embedding || role == TensorRole::attention_norm || role == TensorRole::output_norm;
        tensor.offset = align_up(offset, new_section ? section_alignment : tensor_alignment);
        tensor.bytes = tensor_bytes(static_cast<TensorFormat>(tensor.format), tensor.rows, tensor.columns, tensor.group);
        offset = tensor.offset + tensor.bytes;
    }
    return offset;
}

// The core's own checks, over the head in memory.
Status check_with_core(const std::vector<uint8_t>& head, uint64_t file_bytes, Error& error) {
    linnet_platform platform{};
    platform.version = LINNET_PLATFORM_VERSION;
    platform.context = const_cast<std::vector<uint8_t>*>(&head);
    platform.file_bytes = file_bytes;
    platform.read = [](void* context, uint64_t offset, void* to, size_t bytes) -> int32_t {
        const auto& bytes_of_head = *static_cast<const std::vector<uint8_t>*>(context);
        if (offset > bytes_of_head.size() || bytes > bytes_of_head.size() - offset) return 1;
        memcpy(to, bytes_of_head.data() + offset, bytes);
        return 0;
    };
    Error inner;
    FileHeader header;
    ModelLayout layout;
    Status status = read_header(platform, header, inner);
    if (status == Status::ok) status = read_layout(platform, header, layout, nullptr, inner);
    if (status == Status::ok) return Status::ok;
    return error.fail(Status::unsupported) << "This model does not fit the .linnet format: " << inner.text();
}

}  // namespace

Status ContainerWriter::begin(const ContainerHead& head, Error& error) {
    const std::string name = shortened(head.name);
    tensors_ = head.tensors;
    header_ = {};
    FileHeader& header = header_;
    memcpy(header.magic, file_magic, sizeof file_magic);
    header.version = file_version;
    header.header_bytes = sizeof header;
    header.chunk_bytes = chunk_bytes;
    header.config = head.config;
    header.weights_bytes = lay_out(tensors_);
    header.tensor_count = static_cast<uint32_t>(tensors_.size());

    std::vector<uint8_t> bytes(sizeof header);
    const auto append = [&](const void* from, size_t count, uint64_t alignment) {
        bytes.resize(align_up(bytes.size(), alignment));
        const uint64_t offset = bytes.size();
        bytes.resize(offset + count);
        if (count != 0) memcpy(bytes.data() + offset, from, count);
        return offset;
    };
    header.name_bytes = static_cast<uint32_t>(name.size());
    header.name_offset = append(name.data(), name.size(), 1);
    for (const std::vector<float>* factors : {&head.rope_short, &head.rope_long}) {
        if (factors->empty()) continue;
        if (factors->size() != head.config.rotary_dims / 2) {
            return error.fail(Status::bad_file)
                   << "The model has " << factors->size() << " RoPE factors; with " << head.config.rotary_dims
                   << " rotary dims it must have " << head.config.rotary_dims / 2 << '.';
        }
        for (float factor : *factors) {
            if (!(factor >= 1e-3f && factor <= 1e6f)) {
                return error.fail(Status::bad_file) << "A RoPE factor of the model is not between 0.001 and 1000000.";
            }
        }
        const uint64_t offset = append(factors->data(), factors->size() * sizeof(float), 4);
        (factors == &head.rope_short ? header.rope_short_offset : header.rope_long_offset) = offset;
    }
    header.tensors_offset = append(tensors_.data(), tensors_.size() * sizeof(TensorRecord), 8);
    header.tokenizer_bytes = head.tokenizer_block.size();
    header.tokenizer_offset = append(head.tokenizer_block.data(), head.tokenizer_block.size(), 64);
    bytes.resize(align_up(bytes.size(), section_alignment));
    header.weights_offset = bytes.size();
    header.checksums_offset = align_up(header.weights_offset + header.weights_bytes, 4);
    const uint64_t chunks = chunk_count(header.weights_bytes);
    header.file_bytes = header.checksums_offset + chunks * 4 + 4;
    header.metadata_crc = crc32c(0, bytes.data() + sizeof header, bytes.size() - sizeof header);
    header.header_crc = crc32c(0, &header, sizeof header - sizeof header.header_crc);
    memcpy(bytes.data(), &header, sizeof header);
    if (Status status = check_with_core(bytes, header.file_bytes, error); status != Status::ok) return status;
    checksums_.reserve(chunks + 1);
    return write(bytes.data(), bytes.size(), error);
}

Status ContainerWriter::write(const uint8_t* bytes, uint64_t count, Error& error) {
    if (Status status = output_.write(bytes, static_cast<size_t>(count), error); status != Status::ok) return status;
    written_ += count;
    return Status::ok;
}

Status ContainerWriter::write_weights(const uint8_t* bytes, uint64_t count, Error& error) {
    for (uint64_t done = 0; done < count;) {
        const uint64_t in_chunk = (written_ - header_.weights_offset + done) % chunk_bytes;
        const uint64_t piece = std::min(count - done, chunk_bytes - in_chunk);
        chunk_crc_ = crc32c(chunk_crc_, bytes + done, static_cast<size_t>(piece));
        if (in_chunk + piece == chunk_bytes) {
            checksums_.push_back(chunk_crc_);
            chunk_crc_ = 0;
        }
        done += piece;
    }
    return write(bytes, count, error);
}

Status ContainerWriter::pad_weights(uint64_t to, Error& error) {
    const uint8_t zeros[section_alignment] = {};
    const uint64_t count = header_.weights_offset + to - written_;  // below an alignment
    return write_weights(zeros, count, error);
}

Status ContainerWriter::report_progress(Error& error) {
    if (progress_ == nullptr || progress_->update(written_, header_.file_bytes)) return Status::ok;
    return error.fail(Status::cancelled) << "Writing the model was stopped.";
}

namespace {

// A band of a tensor: tasks of `blocks_in_task` blocks each, side by side in one buffer.
struct Band {
    BlockFiller* filler;
    uint32_t first, end;  // blocks
    uint32_t blocks_in_task;
    uint64_t stride;  // bytes of a block
    uint8_t* to;
    std::vector<Error> errors;

    static void run(void* context, uint32_t index) {
        Band& band = *static_cast<Band*>(context);
        const uint32_t begin = band.first + index * band.blocks_in_task;
        const uint32_t count = std::min(band.blocks_in_task, band.end - begin);
        band.filler->fill(begin, count, band.to + uint64_t{index} * band.blocks_in_task * band.stride, band.errors[index]);
    }
};

}  // namespace

Status ContainerWriter::write_tensor(BlockFiller& filler, Error& error) {
    const TensorRecord& tensor = tensors_[next_++];
    if (Status status = pad_weights(tensor.offset, error); status != Status::ok) return status;
    const TensorFormat format = static_cast<TensorFormat>(tensor.format);
    const bool packed =
        format == TensorFormat::f32_packed || format == TensorFormat::int8_packed || format == TensorFormat::int4_packed;
    const uint64_t stride = packed ? block_stride(format, tensor.columns, tensor.group)
                                   : rows_in_block * row_stride(format, tensor.columns, tensor.group);
    const uint32_t blocks = block_count(tensor.rows);

    // A task holds about a megabyte of floats; a band is a few tasks a thread, so that none waits long for the last.
    constexpr uint64_t task_bytes = 1024 * 1024;
    const uint32_t threads = workers_ == nullptr ? 1 : std::clamp(workers_->threads(), 1u, 64u);
    const uint32_t blocks_in_task =
        static_cast<uint32_t>(std::max<uint64_t>(1, task_bytes / (uint64_t{tensor.columns} * rows_in_block * sizeof(float))));
    const uint32_t tasks_in_band = threads == 1 ? 1 : threads * 4;
    uint64_t left = tensor.bytes;
    for (uint32_t first = 0; first < blocks;) {
        const uint32_t end = std::min<uint64_t>(blocks, first + uint64_t{blocks_in_task} * tasks_in_band);
        const uint32_t tasks = ceil_div(end - first, blocks_in_task);
        band_.assign((end - first) * stride, 0);
        Band band{&filler, first, end, blocks_in_task, stride, band_.data(), std::vector<Error>(tasks)};
        if (workers_ != nullptr && tasks > 1) {
            workers_->run(Band::run, &band, tasks);
        } else {
            for (uint32_t task = 0; task < tasks; ++task) Band::run(&band, task);
        }
        for (const Error& failed : band.errors) {
            if (!failed.failed()) continue;
            error = failed;
            return failed.status();
        }
        const uint64_t bytes = std::min<uint64_t>(left, band_.size());  // plain rows end before the last block does
        if (Status status = write_weights(band_.data(), bytes, error); status != Status::ok) return status;
        if (Status status = report_progress(error); status != Status::ok) return status;
        left -= bytes;
        first = end;
    }
    return Status::ok;
}

Status ContainerWriter::finish(Error& error) {
    const uint64_t weights_end = header_.weights_offset + header_.weights_bytes;
    if (header_.weights_bytes % chunk_bytes != 0) checksums_.push_back(chunk_crc_);
    checksums_.push_back(crc32c(0, checksums_.data(), checksums_.size() * sizeof(uint32_t)));
    const uint8_t zeros[4] = {};
    if (Status status = write(zeros, header_.checksums_offset - weights_end, error); status != Status::ok) return status;
    const uint8_t* table = reinterpret_cast<const uint8_t*>(checksums_.data());
    if (Status status = write(table, checksums_.size() * sizeof(uint32_t), error); status != Status::ok) return status;
    return report_progress(error);
}

}  // namespace linnet
