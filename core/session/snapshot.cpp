#include "core/session/snapshot.h"

#include "core/base/crc32c.h"
#include "core/session/session.h"

namespace linnet {

namespace {

uint32_t oldest_kept(const linnet_session& session) {
    const uint32_t oldest = oldest_held(session);
    return oldest < session.cached ? oldest : session.cached;
}

uint32_t position_bytes(const KvCache& cache) {
    const uint32_t scales = cache.format == KvFormat::int8 ? 2 * uint32_t{sizeof(float)} : 0;
    return 2 * cache.head_dim * kv_element_bytes(cache.format) + scales;
}

uint64_t bytes_of(const ModelConfig& config, const KvCache& cache, const SnapshotHeader& header) {
    const uint64_t rows = uint64_t{config.layers} * config.kv_heads * (header.cached - header.first);
    return sizeof header + uint64_t{header.length} * 4 + (header.has_logits != 0 ? uint64_t{config.vocabulary} * 4 : 0) +
           rows * position_bytes(cache) + 4;
}

struct CacheArray {
    uint8_t* at;
    uint64_t row_bytes;
};

// The arrays of a cache in the order of the file; two of them are null where values have no scales.
struct CacheArrays {
    CacheArray of[4];

    explicit CacheArrays(const KvCache& cache) {
        const uint64_t row = uint64_t{cache.head_dim} * kv_element_bytes(cache.format);
        of[0] = {cache.keys, row};
        of[1] = {cache.values, row};
        of[2] = {reinterpret_cast<uint8_t*>(cache.key_scales), sizeof(float)};
        of[3] = {reinterpret_cast<uint8_t*>(cache.value_scales), sizeof(float)};
    }
};

// Calls visit(array, offset, count) for the bytes of positions [first, end) in every array of every head.
template <typename Visit>
Status each_part(const ModelConfig& config, const KvCache& cache, uint32_t first, uint32_t end, const Visit& visit) {
    const CacheArrays arrays(cache);
    for (uint32_t layer = 0; layer < config.layers; ++layer) {
        for (uint32_t head = 0; head < config.kv_heads; ++head) {
            for (uint32_t array = 0; array < 4; ++array) {
                if (arrays.of[array].at == nullptr) continue;
                const uint64_t row_bytes = arrays.of[array].row_bytes;
                // Positions follow one another; so do their slots, up to the ring's end.
                for (uint32_t position = first; position < end;) {
                    const uint32_t slot = position % cache.slots;
                    const uint32_t before_wrap = cache.slots - slot;
                    const uint32_t count = end - position < before_wrap ? end - position : before_wrap;
                    const Status status = visit(array, cache.row(layer, head, slot) * row_bytes, count * row_bytes);
                    if (status != Status::ok) return status;
                    position += count;
                }
            }
        }
    }
    return Status::ok;
}

// What tells one model file from another: the checksum over its weights' checksums.
Status weights_crc(const linnet_model& model, uint32_t& crc, Error& error) {
    const FileHeader& header = model.header;
    const uint64_t offset = header.checksums_offset + chunk_count(header.weights_bytes) * 4;
    return read_bytes(model.platform, offset, &crc, sizeof crc, error);
}

void describe(const linnet_session& session, SnapshotHeader& header) {
    const linnet_model& model = *session.model;
    header = {};
    memcpy(header.magic, snapshot_magic, sizeof snapshot_magic);
    header.version = snapshot_version;
    header.header_bytes = sizeof header;
    header.model_bytes = model.header.file_bytes;
    header.model_header_crc = model.header.header_crc;
    header.kv_format = static_cast<uint32_t>(session.cache.format);
    header.length = session.length;
    header.cached = session.cached;
    header.first = oldest_kept(session);
    header.has_logits = session.has_logits ? 1 : 0;
    header.cached_long = session.cached_long ? 1 : 0;
    const Sampler::State sampler = session.sampler.state();
    memcpy(header.random, sampler.random, sizeof header.random);
    header.seed = sampler.seed;
    header.seeded = sampler.seeded ? 1 : 0;
    header.bytes = bytes_of(model.header.config, session.cache, header);
}

// Pieces no larger than this: a callback may copy them once more.
constexpr size_t piece_bytes = 128 * 1024;

// The two directions: what is moved is also summed.
struct Writer {
    linnet_snapshot_write call;
    void* context;
    Error& error;
    uint32_t crc = 0;

    Status move(const void* from, uint64_t count) {
        const uint8_t* at = static_cast<const uint8_t*>(from);
        while (count != 0) {
            const size_t part = count < piece_bytes ? static_cast<size_t>(count) : piece_bytes;
            crc = crc32c(crc, at, part);
            if (const int32_t code = call(context, at, part); code != 0) {
                return error.fail(Status::io)
                       << "The session could not be saved (platform error " << code << "). Is there room left in the storage?";
            }
            at += part;
            count -= part;
        }
        return Status::ok;
    }
};

struct Reader {
    linnet_snapshot_read call;
    void* context;
    Error& error;
    uint32_t crc = 0;

    Status move(void* to, uint64_t count) {
        uint8_t* at = static_cast<uint8_t*>(to);
        while (count != 0) {
            const size_t part = count < piece_bytes ? static_cast<size_t>(count) : piece_bytes;
            if (const int32_t code = call(context, at, part); code != 0) {
                return error.fail(Status::io) << "The saved session could not be read (platform error " << code << ").";
            }
            crc = crc32c(crc, at, part);
            at += part;
            count -= part;
        }
        return Status::ok;
    }
};

Status damaged(Error& error, const char* what) {
    return error.fail(Status::bad_file) << "The saved session is damaged: " << what << ". Begin the conversation anew.";
}

// Everything that the header says, against this session.
Status check(const linnet_session& session, uint64_t bytes, const SnapshotHeader& header, Error& error) {
    const linnet_model& model = *session.model;
    const ModelConfig& config = model.header.config;
    if (memcmp(header.magic, snapshot_magic, sizeof snapshot_magic) != 0) {
        return error.fail(Status::bad_file) << "This is not a saved session of Linnet (wrong first bytes).";
    }
    if (header.version != snapshot_version || header.header_bytes != sizeof header) {
        return error.fail(Status::bad_file) << "The saved session has format version " << header.version
                                            << "; this program reads version " << snapshot_version << '.';
    }
    if (crc32c(0, &header, sizeof header - 4) != header.header_crc) return damaged(error, "its header's checksum is wrong");
    uint32_t weights = 0;
    if (Status status = weights_crc(model, weights, error); status != Status::ok) return status;
    if (header.model_bytes != model.header.file_bytes || header.model_header_crc != model.header.header_crc ||
        header.model_weights_crc != weights) {
        return error.fail(Status::bad_argument)
               << "The saved session belongs to another model file than the one that is open. Open that one to go on with it.";
    }
    if (header.kv_format != static_cast<uint32_t>(session.cache.format)) {
        return error.fail(Status::bad_argument)
               << "The session was saved with kv_format " << header.kv_format << " and this model is open with "
               << static_cast<uint32_t>(session.cache.format) << " (1: int8, 2: f16, 3: f32). Open it with the same.";
    }
    if (header.length > model.plan.context) {
        return error.fail(Status::does_not_fit)
               << "The saved session has " << header.length << " tokens; the context that this model is open with holds "
               << model.plan.context << ". Open it with a larger one.";
    }
    if (header.cached > header.length || header.first > header.cached) return damaged(error, "its counts do not fit together");
    // What the next token sees must be there.
    const uint32_t window = config.window_keys;
    const uint32_t seen = window != 0 && header.cached + 1 > window ? header.cached + 1 - window : 0;
    if (header.first > seen && header.cached != 0) return damaged(error, "keys that are needed are missing");
    if (header.has_logits > 1 || header.cached_long > 1 || header.seeded > 1 ||
        (header.has_logits != 0 && (header.cached != header.length || header.length == 0)) ||
        (header.cached_long != 0 && (config.flags & long_rope) == 0)) {
        return damaged(error, "its flags do not fit together");
    }
    if (header.bytes != bytes || bytes != bytes_of(config, session.cache, header)) {
        return error.fail(Status::bad_file)
               << "The saved session has " << bytes << " bytes; " << bytes_of(config, session.cache, header)
               << " are needed: it is truncated or damaged.";
    }
    return Status::ok;
}

// Reads what stands behind the header to its places.
Status read_body(linnet_session& session, const SnapshotHeader& header, Reader& reader, Error& error) {
    const linnet_model& model = *session.model;
    const ModelConfig& config = model.header.config;
    const KvCache& cache = session.cache;
    Status status = reader.move(session.tokens, uint64_t{header.length} * 4);
    if (status != Status::ok) return status;
    for (uint32_t i = 0; i < header.length; ++i) {
        if (session.tokens[i] < 0 || static_cast<uint32_t>(session.tokens[i]) >= config.vocabulary) {
            return damaged(error, "a token is outside the vocabulary");
        }
    }
    if (header.has_logits != 0) status = reader.move(session.logits, uint64_t{config.vocabulary} * 4);
    if (status != Status::ok) return status;
    // A ring that is shorter than the one that was saved (another batch) ends up with the last positions: each slot is
    // overwritten in order.
    const CacheArrays arrays(cache);
    status = each_part(config, cache, header.first, header.cached, [&](uint32_t array, uint64_t offset, uint64_t count) {
        return reader.move(arrays.of[array].at + offset, count);
    });
    if (status != Status::ok) return status;
    const uint32_t sum = reader.crc;
    uint32_t expected = 0;
    status = reader.move(&expected, sizeof expected);
    if (status != Status::ok) return status;
    return sum == expected ? Status::ok : damaged(error, "its checksum is wrong");
}

}  // namespace

void copy(linnet_session& to, const linnet_session& from) {
    if (&to == &from) return;
    const linnet_model& model = *to.model;
    forget_ahead(to);
    forget_pass(to);
    to.under_way = false;
    to.length = from.length;
    to.cached = from.cached;
    to.written = from.written;
    to.cached_long = from.cached_long;
    to.has_logits = from.has_logits;
    to.sampler.go_on(from.sampler.state());
    memcpy(to.tokens, from.tokens, size_t{from.length} * sizeof(int32_t));
    if (from.has_logits) memcpy(to.logits, from.logits, size_t{model.header.config.vocabulary} * sizeof(float));
    const CacheArrays a(from.cache), b(to.cache);
    each_part(model.header.config, from.cache, oldest_kept(from), from.cached,
              [&](uint32_t array, uint64_t offset, uint64_t count) {
                  memcpy(b.of[array].at + offset, a.of[array].at + offset, static_cast<size_t>(count));
                  return Status::ok;
              });
}

uint64_t snapshot_bytes(const linnet_session& session) {
    SnapshotHeader header;
    describe(session, header);
    return header.bytes;
}

Status save(const linnet_session& session, linnet_snapshot_write write, void* context, Error& error) {
    const linnet_model& model = *session.model;
    SnapshotHeader header;
    describe(session, header);
    Status status = weights_crc(model, header.model_weights_crc, error);
    if (status != Status::ok) return status;
    header.header_crc = crc32c(0, &header, sizeof header - 4);
    Writer writer{write, context, error};
    status = writer.move(&header, sizeof header);
    if (status == Status::ok) status = writer.move(session.tokens, uint64_t{header.length} * 4);
    if (status == Status::ok && header.has_logits != 0) {
        status = writer.move(session.logits, uint64_t{model.header.config.vocabulary} * 4);
    }
    if (status == Status::ok) {
        const CacheArrays arrays(session.cache);
        status = each_part(
            model.header.config, session.cache, header.first, header.cached,
            [&](uint32_t array, uint64_t offset, uint64_t count) { return writer.move(arrays.of[array].at + offset, count); });
    }
    const uint32_t sum = writer.crc;
    return status == Status::ok ? writer.move(&sum, sizeof sum) : status;
}

Status restore(linnet_session& session, uint64_t bytes, linnet_snapshot_read read, void* context, Error& error) {
    rewind(session, 0);
    session.cached = session.written = 0;
    session.cached_long = session.has_logits = false;
    session.sampler.restart();
    SnapshotHeader header{};
    if (bytes < sizeof header) return damaged(error, "it is shorter than its header");
    Reader reader{read, context, error};
    if (Status status = reader.move(&header, sizeof header); status != Status::ok) return status;
    if (Status status = check(session, bytes, header, error); status != Status::ok) return status;
    if (Status status = read_body(session, header, reader, error); status != Status::ok) return status;
    session.length = header.length;
    session.cached = header.cached;
    // Nothing before `first` may be counted as held: see rewind().
    session.written = header.cached;
    const uint64_t reach = uint64_t{header.first} + session.cache.slots;
    if (header.first != 0 && reach > session.written) session.written = static_cast<uint32_t>(reach);
    session.cached_long = header.cached_long != 0;
    session.has_logits = header.has_logits != 0;
    Sampler::State sampler{};
    memcpy(sampler.random, header.random, sizeof sampler.random);
    sampler.seed = header.seed;
    sampler.seeded = header.seeded != 0;
    session.sampler.go_on(sampler);
    return Status::ok;
}

}  // namespace linnet
