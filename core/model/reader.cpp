#include "core/model/reader.h"

#include <initializer_list>

#include "core/base/crc32c.h"

namespace linnet {

Status read_bytes(const linnet_platform& platform, uint64_t offset, void* to, uint64_t bytes, Error& error) {
    if (bytes > SIZE_MAX) return error.fail(Status::does_not_fit) << "A read of " << bytes << " bytes is too large here.";
    const int32_t result = platform.read(platform.context, offset, to, static_cast<size_t>(bytes));
    if (result == 0) return Status::ok;
    return error.fail(Status::io) << "Reading " << bytes << " bytes of the model file at offset " << offset
                                  << " failed (platform error " << result
                                  << "). Check the storage and that the file is still there.";
}

namespace {

Status damaged(Error& error, const char* what) {
    return error.fail(Status::bad_file) << "The model file is damaged: " << what << ". Convert or download it again.";
}

struct Range {
    const char* name;
    uint64_t value, low, high;
};

}  // namespace

Status check_config(const ModelConfig& config, Error& error) {
    const Range ranges[] = {
        {"architecture", config.architecture, 1, 2},
        {"vocabulary", config.vocabulary, 1, 1u << 20},
        {"hidden", config.hidden, 1, 1u << 16},
        {"layers", config.layers, 1, 512},
        {"heads", config.heads, 1, 1024},
        {"kv_heads", config.kv_heads, 1, config.heads},
        {"head_dim", config.head_dim, 2, 512},
        {"feed_forward", config.feed_forward, 1, 1u << 19},
        {"context", config.context, 1, 1u << 21},
        {"original_context", config.original_context, 1, 1u << 21},
        {"rotary_dims", config.rotary_dims, 2, config.head_dim},
        {"window_keys", config.window_keys, 0, 1u << 21},
        {"flags", config.flags, 0, 3},
        {"chat_template", config.chat_template, 0, 6},
        {"add_bos", config.add_bos, 0, 1},
        {"usable_vocabulary", config.usable_vocabulary, 1, config.vocabulary},
        {"eos_count", config.eos_count, 0, 8},
    };
    for (const Range& range : ranges) {
        if (range.value < range.low || range.value > range.high) {
            return error.fail(Status::bad_file) << "The model file's field " << range.name << " is " << range.value
                                                << "; it must be from " << range.low << " to " << range.high << '.';
        }
    }
    if (config.heads % config.kv_heads != 0) return damaged(error, "kv_heads does not divide heads");
    if (config.head_dim % 2 != 0 || config.rotary_dims % 2 != 0) return damaged(error, "an odd head_dim or rotary_dims");
    if (uint64_t{config.heads} * config.head_dim > (1u << 18)) return damaged(error, "heads times head_dim is too large");
    // Written so that a NaN is refused.
    if (!(config.rms_epsilon >= 0.0f && config.rms_epsilon <= 1.0f)) return damaged(error, "rms_epsilon out of range");
    if (!(config.rope_theta >= 1.0 && config.rope_theta <= 1e12)) return damaged(error, "rope_theta out of range");
    if (!(config.rope_attention_factor > 0.0f && config.rope_attention_factor <= 100.0f)) {
        return damaged(error, "rope_attention_factor out of range");
    }
    const auto token_in_range = [&](int32_t token) { return token >= 0 && static_cast<uint32_t>(token) < config.vocabulary; };
    if (config.bos_token != -1 && !token_in_range(config.bos_token)) return damaged(error, "bos_token outside the vocabulary");
    if (config.add_bos != 0 && config.bos_token == -1) return damaged(error, "add_bos without a bos_token");
    for (uint32_t i = 0; i < config.eos_count; ++i) {
        if (!token_in_range(config.eos_tokens[i])) return damaged(error, "an eos_token outside the vocabulary");
    }
    return Status::ok;
}

namespace {

bool inside(uint64_t offset, uint64_t bytes, uint64_t low, uint64_t high) {
    return offset >= low && offset <= high && bytes <= high - offset;
}

}  // namespace

Status read_header(const linnet_platform& platform, FileHeader& header, Error& error) {
    if (platform.file_bytes < sizeof header) {
        return error.fail(Status::bad_file)
               << "The model file has " << platform.file_bytes
               << " bytes, fewer than a .linnet header (512): it is truncated or not a .linnet file.";
    }
    if (Status status = read_bytes(platform, 0, &header, sizeof header, error); status != Status::ok) return status;
    if (memcmp(header.magic, file_magic, sizeof file_magic) != 0) {
        return error.fail(Status::bad_file)
               << "This is not a .linnet file (wrong first bytes). Make one with: linnet convert IN OUT.linnet";
    }
    if (header.version != file_version || header.header_bytes != sizeof header) {
        return error.fail(Status::bad_file) << "The model file has format version " << header.version
                                            << "; this program reads version " << file_version << ". Convert it again.";
    }
    if (crc32c(0, &header, sizeof header - 4) != header.header_crc) return damaged(error, "the header's checksum is wrong");
    for (uint8_t byte : header.reserved) {
        if (byte != 0) return damaged(error, "reserved bytes of the header are not zero");
    }
    if (header.file_bytes != platform.file_bytes) {
        return error.fail(Status::bad_file) << "The model file has " << platform.file_bytes << " bytes; its header says "
                                            << header.file_bytes << ": it is truncated or something was appended.";
    }
    if (Status status = check_config(header.config, error); status != Status::ok) return status;
    const ModelConfig& config = header.config;
    const uint64_t metadata_end = header.weights_offset;
    const uint64_t factors = uint64_t{config.rotary_dims} / 2 * 4;
    if (header.chunk_bytes != chunk_bytes) return damaged(error, "an unknown chunk size");
    if (header.weights_offset % section_alignment != 0 ||
        !inside(header.weights_offset, header.weights_bytes, sizeof header, header.file_bytes)) {
        return damaged(error, "the weights lie outside the file");
    }
    const uint64_t chunks = chunk_count(header.weights_bytes);
    if (header.checksums_offset % 4 != 0 || header.checksums_offset < header.weights_offset + header.weights_bytes ||
        !inside(header.checksums_offset, chunks * 4 + 4, sizeof header, header.file_bytes)) {
        return damaged(error, "the checksums lie outside the file");
    }
    if (!inside(header.name_offset, header.name_bytes, sizeof header, metadata_end))
        return damaged(error, "the name lies outside the file");
    for (uint64_t offset : {header.rope_short_offset, header.rope_long_offset}) {
        if (offset != 0 && (offset % 4 != 0 || !inside(offset, factors, sizeof header, metadata_end))) {
            return damaged(error, "the RoPE factors lie outside the file");
        }
    }
    if ((config.flags & long_rope) != 0 && (header.rope_short_offset == 0 || header.rope_long_offset == 0)) {
        return damaged(error, "a LongRoPE model without its factors");
    }
    const uint32_t tied = (config.flags & tied_embeddings) != 0 ? 1 : 0;
    if (header.tensor_count != config.layers * tensors_in_layer + 3 - tied) return damaged(error, "a wrong number of tensors");
    if (header.tensors_offset % 8 != 0 ||
        !inside(header.tensors_offset, uint64_t{header.tensor_count} * sizeof(TensorRecord), sizeof header, metadata_end)) {
        return damaged(error, "the tensor table lies outside the file");
    }
    if (header.tokenizer_bytes != 0 &&
        (header.tokenizer_offset % 64 != 0 ||
         !inside(header.tokenizer_offset, header.tokenizer_bytes, sizeof header, metadata_end))) {
        return damaged(error, "the tokenizer lies outside the file");
    }
    return Status::ok;
}

namespace {

// Walks the tensor table in the order of format.h and checks each record against what the configuration demands.
class TableWalk {
public:
    TableWalk(const linnet_platform& platform, const FileHeader& header) : platform_(platform), header_(header) {}

    Status next(TensorRole role, uint32_t layer, uint32_t rows, uint32_t columns, bool new_section, TensorPlace& place,
                Error& error) {
        if (index_ % buffered == 0) {
            const uint32_t left = header_.tensor_count - index_;
            const uint32_t count = left < buffered ? left : buffered;
            if (Status status = read_bytes(platform_, header_.tensors_offset + uint64_t{index_} * sizeof(TensorRecord),
                                           records_, count * sizeof(TensorRecord), error);
                status != Status::ok) {
                return status;
            }
        }
        const TensorRecord& record = records_[index_ % buffered];
        const auto wrong = [&](const char* what) -> Status {
            return error.fail(Status::bad_file)
                   << "The model file is damaged: tensor " << index_ << " (role " << record.role << ", layer " << record.layer
                   << ") has " << what << ". Convert or download it again.";
        };
        if (record.role != static_cast<uint32_t>(role) || record.layer != layer) return wrong("the wrong role or layer");
        if (record.rows != rows || record.columns != columns) return wrong("the wrong shape");
        if (!format_fits(role, record)) return wrong("a format or group that does not fit its role");
        offset_ = align_up(offset_, new_section ? section_alignment : tensor_alignment);
        const TensorFormat format = static_cast<TensorFormat>(record.format);
        const uint64_t bytes = tensor_bytes(format, rows, columns, record.group);
        if (record.offset != offset_ || record.bytes != bytes) return wrong("the wrong offset or length");
        if (!inside(offset_, bytes, 0, header_.weights_bytes)) return wrong("bytes outside the file");
        place = {format, record.group, rows, columns, offset_, bytes};
        offset_ += bytes;
        ++index_;
        return Status::ok;
    }

    uint64_t end() const { return offset_; }

private:
    static constexpr uint32_t buffered = 16;

    static bool format_fits(TensorRole role, const TensorRecord& record) {
        const bool grouped = record.group == 32 || record.group == 64 || record.group == 128;
        switch (static_cast<TensorFormat>(record.format)) {
            case TensorFormat::f32_vector:
                return record.group == 0 && (role == TensorRole::attention_norm || role == TensorRole::feed_forward_norm ||
                                             role == TensorRole::output_norm);
            case TensorFormat::f32_rows: return record.group == 0 && role == TensorRole::embedding;
            case TensorFormat::int8_rows: return grouped && role == TensorRole::embedding;
            case TensorFormat::f32_packed: return record.group == 0 && is_matrix(role);
            case TensorFormat::int8_packed:
            case TensorFormat::int4_packed: return grouped && is_matrix(role);
        }
        return false;
    }

    static bool is_matrix(TensorRole role) {
        return role == TensorRole::qkv || role == TensorRole::attention_output || role == TensorRole::gate_up ||
               role == TensorRole::down || role == TensorRole::output;
    }

    const linnet_platform& platform_;
    const FileHeader& header_;
    uint32_t index_ = 0;
    uint64_t offset_ = 0;
    TensorRecord records_[buffered];
};

}  // namespace

Status read_layout(const linnet_platform& platform, const FileHeader& header, ModelLayout& layout, LayerPlaces* layers,
                   Error& error, EachLayer each, void* context) {
    const ModelConfig& config = header.config;
    const uint32_t attention = config.heads * config.head_dim;
    const uint32_t qkv_rows = attention + 2 * config.kv_heads * config.head_dim;
    const bool tied = (config.flags & tied_embeddings) != 0;
    TableWalk walk(platform, header);
    layout = {};
    Status status = Status::ok;
    if (!tied) {
        status = walk.next(TensorRole::embedding, 0, config.vocabulary, config.hidden, true, layout.embedding, error);
        if (status != Status::ok) return status;
        layout.parameters += uint64_t{config.vocabulary} * config.hidden;
    }
    for (uint32_t layer = 0; layer < config.layers; ++layer) {
        LayerPlaces places{};
        struct Expected {
            TensorRole role;
            uint32_t rows, columns;
            TensorPlace* place;
        };
        const Expected expected[tensors_in_layer] = {
            {TensorRole::attention_norm, 1, config.hidden, &places.attention_norm},
            {TensorRole::qkv, qkv_rows, config.hidden, &places.qkv},
            {TensorRole::attention_output, config.hidden, attention, &places.attention_output},
            {TensorRole::feed_forward_norm, 1, config.hidden, &places.feed_forward_norm},
            {TensorRole::gate_up, 2 * config.feed_forward, config.hidden, &places.gate_up},
            {TensorRole::down, config.hidden, config.feed_forward, &places.down},
        };
        for (uint32_t i = 0; i < tensors_in_layer; ++i) {
            const Expected& item = expected[i];
            status = walk.next(item.role, layer, item.rows, item.columns, i == 0, *item.place, error);
            if (status != Status::ok) return status;
            layout.parameters += uint64_t{item.rows} * item.columns;
            layout.bytes_per_token += item.place->bytes;
        }
        if (layer == 0) layout.layers_offset = places.attention_norm.offset;
        if (layers != nullptr) layers[layer] = places;
        if (each != nullptr) each(context, places);
    }
    status = walk.next(TensorRole::output_norm, 0, 1, config.hidden, true, layout.output_norm, error);
    if (status != Status::ok) return status;
    layout.tail_offset = layout.output_norm.offset;
    status = walk.next(TensorRole::output, 0, config.vocabulary, config.hidden, false, layout.output, error);
    if (status != Status::ok) return status;
    if (walk.end() != header.weights_bytes) return damaged(error, "the weights end where they should not");
    layout.parameters += config.hidden + uint64_t{config.vocabulary} * config.hidden;
    layout.bytes_per_token += layout.output_norm.bytes + layout.output.bytes;
    return Status::ok;
}

Status verify_metadata(const linnet_platform& platform, const FileHeader& header, Error& error) {
    uint8_t piece[1024];
    uint32_t crc = 0;
    for (uint64_t offset = sizeof header; offset < header.weights_offset;) {
        const uint64_t left = header.weights_offset - offset;
        const uint64_t count = left < sizeof piece ? left : sizeof piece;
        if (Status status = read_bytes(platform, offset, piece, count, error); status != Status::ok) return status;
        crc = crc32c(crc, piece, static_cast<size_t>(count));
        offset += count;
    }
    if (crc != header.metadata_crc) return damaged(error, "the checksum of its metadata is wrong");
    return Status::ok;
}

void RowGroups::learn(uint64_t at, const uint8_t* from, uint64_t count) const {
    if (crc == nullptr || at >= offset + bytes || at + count <= offset) return;
    const uint64_t skipped = at < offset ? offset - at : 0;
    from += skipped;
    uint64_t place = at + skipped - offset;
    uint64_t left = count - skipped < bytes - place ? count - skipped : bytes - place;
    while (left != 0) {
        const uint64_t inside = place % group_bytes;
        const uint64_t part = left < group_bytes - inside ? left : group_bytes - inside;
        uint32_t& sum = crc[place / group_bytes];
        sum = crc32c(inside == 0 ? 0 : sum, from, static_cast<size_t>(part));
        from += part;
        place += part;
        left -= part;
    }
}

Status blame_chunk(const linnet_platform& platform, const FileHeader& header, uint64_t offset, uint64_t bytes, int32_t result,
                   Error& error) {
    if (result != 0) {
        return error.fail(Status::io) << "Reading " << bytes << " bytes of the model file at offset "
                                      << header.weights_offset + offset << " failed twice (platform error " << result
                                      << "). Check the storage and that the file is still there; what has been said is kept.";
    }
    uint64_t blamed = offset / chunk_bytes;
    for (uint64_t chunk = blamed; chunk * chunk_bytes < offset + bytes; ++chunk) {
        uint32_t expected = 0;
        if (read_bytes(platform, header.checksums_offset + chunk * 4, &expected, 4, error) != Status::ok) break;
        uint8_t part[1024];
        uint32_t crc = 0;
        const uint64_t end =
            (chunk + 1) * chunk_bytes < header.weights_bytes ? (chunk + 1) * chunk_bytes : header.weights_bytes;
        for (uint64_t at = chunk * chunk_bytes; at < end;) {
            const uint64_t count = end - at < sizeof part ? end - at : sizeof part;
            if (read_bytes(platform, header.weights_offset + at, part, count, error) != Status::ok) break;
            crc = crc32c(crc, part, static_cast<size_t>(count));
            at += count;
        }
        if (crc != expected) {
            blamed = chunk;
            break;
        }
    }
    return error.fail(Status::bad_file) << "Chunk " << blamed << " of the model file (" << chunk_bytes << " bytes at offset "
                                        << header.weights_offset + blamed * chunk_bytes
                                        << ") was read with a wrong checksum twice. Convert or download it again; what has "
                                           "been said is kept.";
}

Status ChunkCheck::next_checksum(uint32_t& checksum, Error& error) {
    if (index_ % buffered == 0) {
        const uint64_t left = chunk_count(header_.weights_bytes) + 1 - index_;
        const uint64_t count = left < buffered ? left : buffered;
        Status status = read_bytes(platform_, header_.checksums_offset + index_ * 4, values_, count * 4, error);
        if (status != Status::ok) return status;
    }
    checksum = values_[index_++ % buffered];
    return Status::ok;
}

Status ChunkCheck::feed(const uint8_t* bytes, uint64_t count, Error& error) {
    rows_.learn(offset_, bytes, count);
    while (count != 0) {
        const uint64_t chunk = offset_ / chunk_bytes;
        const uint64_t chunk_end = (chunk + 1) * chunk_bytes;
        const uint64_t end = chunk_end < header_.weights_bytes ? chunk_end : header_.weights_bytes;
        const uint64_t part = count < end - offset_ ? count : end - offset_;
        crc_ = crc32c(crc_, bytes, static_cast<size_t>(part));
        bytes += part;
        count -= part;
        offset_ += part;
        if (offset_ != end) return Status::ok;
        uint32_t expected = 0;
        if (Status status = next_checksum(expected, error); status != Status::ok) return status;
        table_crc_ = crc32c(table_crc_, &expected, 4);
        if (crc_ != expected) {
            return error.fail(Status::bad_file)
                   << "The model file is damaged: chunk " << chunk << " (" << chunk_bytes << " bytes at offset "
                   << header_.weights_offset + chunk * chunk_bytes << ") has a wrong checksum. Convert or download it again.";
        }
        crc_ = 0;
    }
    return Status::ok;
}

Status ChunkCheck::end(Error& error) {
    uint32_t expected = 0;
    if (Status status = next_checksum(expected, error); status != Status::ok) return status;
    if (table_crc_ != expected) return damaged(error, "the checksum of its checksums is wrong");
    return Status::ok;
}

Status load_weights(const linnet_platform& platform, const FileHeader& header, uint64_t from, uint8_t* memory, bool verify,
                    const RowGroups& rows, uint8_t* scratch, uint64_t scratch_bytes, uint64_t& bytes_read, Error& error) {
    ChunkCheck check(platform, header, rows);
    const uint64_t total = header.weights_bytes;
    for (uint64_t offset = verify ? 0 : from; offset < total;) {
        // What stands before `from` is only compared; the rest goes straight to its place.
        const bool passing = offset < from;
        const uint64_t chunk_end = (offset / chunk_bytes + 1) * chunk_bytes;
        uint64_t end = chunk_end < total ? chunk_end : total;
        if (passing && from < end) end = from;
        uint64_t count = end - offset;
        if (passing && count > scratch_bytes) count = scratch_bytes;
        uint8_t* to = passing ? scratch : memory + (offset - from);
        Status status = read_bytes(platform, header.weights_offset + offset, to, count, error);
        if (status == Status::ok && verify) status = check.feed(to, count, error);
        if (status != Status::ok) return status;
        bytes_read += count;
        offset += count;
        if (platform.yield != nullptr && platform.yield(platform.context) != 0) {
            return error.fail(Status::cancelled) << "Loading the model was stopped.";
        }
    }
    return verify ? check.end(error) : Status::ok;
}

}  // namespace linnet
