#include "core/session/snapshot.h"

#include "core/base/crc32c.h"
#include "core/session/session.h"

namespace linnet {

namespace {

uint32_t oldest_kept(const linnet_session& session) {
    const uint32_t oldest = oldest_held(session);
    return oldest < session.cached ? oldest : session.cached;
}

uint64_t bytes_of(const ModelConfig& config, const KvCache& cache, const SnapshotHeader& header) {
    const uint64_t positions = header.cached - header.first;
    return sizeof header + uint64_t{header.length} * 4 + (header.has_logits != 0 ? uint64_t{config.vocabulary} * 4 : 0) +
           uint64_t{config.layers} * 2 * positions * cache.slot_bytes() + 4;
}

// Calls visit(layer, kind, head, slot, count) for neighbouring positions of one head: spans of at most 16 positions that begin at a
// multiple of 16, so that the order does not depend on the size of a page, and a page is visited from its beginning to its end.
// Before and after a page: enter(layer, kind, page), leave(layer, kind, page).
template <typename Enter, typename Leave, typename Visit>
Status each_span(const KvCache& cache, uint32_t first, uint32_t end, const Enter& enter, const Leave& leave,
                 const Visit& visit) {
    for (uint32_t layer = 0; layer < cache.layers; ++layer) {
        for (uint32_t kind = kv_keys; kind <= kv_values; ++kind) {
            uint32_t page = UINT32_MAX;
            Status status = Status::ok;
            for (uint32_t position = first; position < end && status == Status::ok;) {
                const uint32_t slot = position % cache.slots;
                if (slot / cache.page_slots != page) {
                    if (page != UINT32_MAX) leave(layer, kind, page);
                    page = slot / cache.page_slots;
                    if (status = enter(layer, kind, page); status != Status::ok) return status;
                }
                const uint32_t to_next = 16 - position % 16;
                const uint32_t count = to_next < end - position ? to_next : end - position;
                for (uint32_t head = 0; head < cache.kv_heads && status == Status::ok; ++head) {
                    status = visit(layer, kind, head, slot, count);
                }
                position += count;
            }
            if (page != UINT32_MAX) leave(layer, kind, page);
            if (status != Status::ok) return status;
        }
    }
    return Status::ok;
}

// Pages that are brought into memory to be read or written; where everything has its place there is nothing to do.
struct Pages {
    const linnet_session& session;
    bool write;
    Error& error;

    Status enter(uint32_t layer, uint32_t kind, uint32_t page) const {
        Residency* residency = session.model->decoder.residency;
        if (residency == nullptr) return Status::ok;
        bool ready = true;
        return write ? residency->kv_write(session.cache, layer, kind, page, error)
                     : residency->kv_read(session.cache, layer, kind, page, true, ready, error);
    }
    void leave(uint32_t layer, uint32_t kind, uint32_t page) const {
        Residency* residency = session.model->decoder.residency;
        if (residency != nullptr) residency->kv_done(session.cache, layer, kind, page);
    }
};

// The same for one cache.
template <typename Visit>
Status each_span(const linnet_session& session, bool write, uint32_t first, uint32_t end, Error& error, const Visit& visit) {
    const Pages pages{session, write, error};
    return each_span(
        session.cache, first, end, [&](uint32_t layer, uint32_t kind, uint32_t page) { return pages.enter(layer, kind, page); },
        [&](uint32_t layer, uint32_t kind, uint32_t page) { pages.leave(layer, kind, page); }, visit);
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
               << static_cast<uint32_t>(session.cache.format) << " (1: int8, 2: f16, 3: f32, 4: int4). Open it with the same.";
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
    status = each_span(session, true, header.first, header.cached, error,
                       [&](uint32_t layer, uint32_t kind, uint32_t head, uint32_t slot, uint32_t count) {
                           const KvRows to = cache.rows(layer, kind, head, slot);
                           const Status moved = reader.move(to.rows, uint64_t{count} * cache.row_bytes);
                           if (moved != Status::ok || cache.row_scales == 0) return moved;
                           return reader.move(to.scales, uint64_t{count} * cache.row_scales * sizeof(float));
                       });
    if (status != Status::ok) return status;
    const uint32_t sum = reader.crc;
    uint32_t expected = 0;
    status = reader.move(&expected, sizeof expected);
    if (status != Status::ok) return status;
    return sum == expected ? Status::ok : damaged(error, "its checksum is wrong");
}

}  // namespace

Status copy(linnet_session& to, const linnet_session& from, Error& error) {
    if (&to == &from) return Status::ok;
    rewind(to, 0);
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
    const KvCache& cache = from.cache;
    const Pages sources{from, false, error};
    const Pages targets{to, true, error};
    const Status status = each_span(
        cache, oldest_kept(from), from.cached,
        [&](uint32_t layer, uint32_t kind, uint32_t page) {
            const Status read = sources.enter(layer, kind, page);
            return read == Status::ok ? targets.enter(layer, kind, page) : read;
        },
        [&](uint32_t layer, uint32_t kind, uint32_t page) {
            sources.leave(layer, kind, page);
            targets.leave(layer, kind, page);
        },
        [&](uint32_t layer, uint32_t kind, uint32_t head, uint32_t slot, uint32_t count) {
            const KvRows source = cache.rows(layer, kind, head, slot);
            const KvRows target = to.cache.rows(layer, kind, head, slot);
            memcpy(target.rows, source.rows, size_t{count} * cache.row_bytes);
            memcpy(target.scales, source.scales, size_t{count} * cache.row_scales * sizeof(float));
            return Status::ok;
        });
    // What could not be copied is computed again.
    if (status != Status::ok) rewind(to, 0);
    return status;
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
        const KvCache& cache = session.cache;
        status = each_span(session, false, header.first, header.cached, error,
                           [&](uint32_t layer, uint32_t kind, uint32_t head, uint32_t slot, uint32_t count) {
                               const KvRows from = cache.rows(layer, kind, head, slot);
                               const Status moved = writer.move(from.rows, uint64_t{count} * cache.row_bytes);
                               if (moved != Status::ok || cache.row_scales == 0) return moved;
                               return writer.move(from.scales, uint64_t{count} * cache.row_scales * sizeof(float));
                           });
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
