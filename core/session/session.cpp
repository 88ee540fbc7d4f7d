#include "core/session/session.h"

namespace linnet {

namespace {

bool stop_asked(void* context) {
    linnet_model& model = *static_cast<linnet_model*>(context);
    if (model.stop.load(std::memory_order_relaxed) != 0) return true;
    return model.platform.yield != nullptr && model.platform.yield(model.platform.context) != 0;
}

uint64_t now(const linnet_model& model) {
    return model.platform.ticks != nullptr ? model.platform.ticks(model.platform.context) : 0;
}

// Computes tokens [session.cached, session.length).
Status catch_up(linnet_session& session, uint32_t callbacks_from, linnet_logits_callback each, void* each_context,
                Error& error) {
    linnet_model& model = *session.model;
    Decoder& decoder = model.decoder;
    while (session.cached < session.length) {
        const uint32_t left = session.length - session.cached;
        const uint32_t count = left < decoder.work.batch ? left : decoder.work.batch;
        const uint32_t first = session.cached;
        Status status = stop_asked(&model) ? Status(error.fail(Status::cancelled) << "Stopped.")
                                           : decoder.pass(session.cache, session.tokens + first, first, count,
                                                          session.cached_long, stop_asked, &model, error);
        if (first + count > session.written) session.written = first + count;
        if (status != Status::ok) return status;
        session.cached += count;
        if (each != nullptr) {
            for (uint32_t i = 0; i < count; ++i) {
                if (first + i < callbacks_from) continue;
                decoder.logits(i, session.logits);
                each(each_context, first + i, session.logits);
            }
        }
        if (session.cached == session.length && each == nullptr) decoder.logits(count - 1, session.logits);
    }
    session.has_logits = true;
    return Status::ok;
}

}  // namespace

Status evaluate(linnet_session& session, const int32_t* tokens, size_t count, linnet_logits_callback each, void* each_context,
                Error& error) {
    linnet_model& model = *session.model;
    const ModelConfig& config = model.header.config;
    if (count == 0) return error.fail(Status::bad_argument) << "There are no tokens to evaluate.";
    for (size_t i = 0; i < count; ++i) {
        if (tokens[i] < 0 || static_cast<uint32_t>(tokens[i]) >= config.vocabulary) {
            return error.fail(Status::bad_argument)
                   << "Token " << tokens[i] << " is outside the vocabulary of " << config.vocabulary << '.';
        }
    }
    const uint32_t context = model.plan.context;
    if (count > context - session.length) {
        return error.fail(Status::does_not_fit)
               << "The context is full: it holds " << context << " tokens, " << session.length << " are in use and "
               << static_cast<uint64_t>(count) << " more were given. Ask for a larger context, or forget earlier ones.";
    }
    const uint64_t start = now(model);
    const uint32_t before = session.length;
    const uint32_t length = before + static_cast<uint32_t>(count);
    // A pass uses one table of factors, by the length that it reaches (transformers, modeling_rope_utils.py); keys of the
    // other table are of no use.
    const bool use_long = (config.flags & long_rope) != 0 && length > config.original_context;
    if (use_long != session.cached_long) {
        if (session.cached != 0) {
            session.cached = 0;
            ++session.stats.rebuilds;
        }
        session.cached_long = use_long;
    }
    if (session.cached == 0) session.written = 0;
    memmove(session.tokens + before, tokens, count * sizeof(int32_t));
    session.length = length;
    session.has_logits = false;
    const Status status = catch_up(session, before, each, each_context, error);
    if (status != Status::ok) {
        // Finished batches stay; of the others only what was there before.
        session.length = session.cached > before ? session.cached : before;
        model.stop.store(0, std::memory_order_relaxed);
    }
    const uint64_t microseconds = now(model) - start;
    if (count > 1) {
        session.stats.prefill_tokens += count;
        session.stats.prefill_microseconds += microseconds;
    } else {
        session.stats.decode_tokens += 1;
        session.stats.decode_microseconds += microseconds;
    }
    return status;
}

void rewind(linnet_session& session, uint32_t length) {
    if (length >= session.length) return;
    const ModelConfig& config = session.model->header.config;
    session.length = length;
    session.has_logits = false;
    if (session.cached <= length) return;
    session.cached = length;
    // Slots hold the last `slots` positions written. The next token, at position `length`, sees back to `oldest_seen`.
    const uint32_t oldest_held = session.written > session.cache.slots ? session.written - session.cache.slots : 0;
    const uint32_t oldest_seen =
        config.window_keys != 0 && length + 1 > config.window_keys ? length + 1 - config.window_keys : 0;
    if (oldest_seen < oldest_held) session.cached = 0;
}

}  // namespace linnet
