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

// Multiply-adds of a piece of work, for each thread: some milliseconds at most, on a slow core too.
constexpr uint64_t piece_work = uint64_t{1} << 26;

struct EachLogits {
    linnet_logits_callback call;
    void* context;
    uint32_t from;  // position
};

// One piece of the way from session.cached to session.length. `each` may be null.
Status advance(linnet_session& session, uint64_t most, const EachLogits* each, Error& error) {
    linnet_model& model = *session.model;
    Decoder& decoder = model.decoder;
    Pass& pass = model.pass;
    if (stop_asked(&model)) return error.fail(Status::cancelled) << "Stopped.";
    if (model.pass_of != &session) {
        const uint32_t left = session.length - session.cached;
        pass = Pass{};
        pass.tokens = session.tokens + session.cached;
        pass.first = session.cached;
        pass.count = left < decoder.work.batch ? left : decoder.work.batch;
        pass.use_long = session.cached_long;
        model.pass_of = &session;
        const uint32_t end = pass.first + pass.count;
        if (end > session.written) session.written = end;
    }
    if (!decoder.finished(pass)) return decoder.advance(pass, session.cache, most, error);
    // The last row of logits belongs to the work of the last batch: it is not done before that is there.
    const uint32_t end = pass.first + pass.count;
    if (each != nullptr) {
        for (uint32_t i = 0; i < pass.count; ++i) {
            if (pass.first + i < each->from) continue;
            decoder.logits(i, session.logits);
            each->call(each->context, pass.first + i, session.logits);
        }
    } else if (end == session.length && !decoder.logits_piece(pass, pass.count - 1, session.logits, most)) {
        return Status::ok;
    }
    session.cached = end;
    session.has_logits = end == session.length;
    model.pass_of = nullptr;
    return Status::ok;
}

// Ends the evaluation that is under way: done, failed or stopped.
void finish(linnet_session& session, Status status) {
    const uint32_t count = session.length - session.begun_length;
    linnet_stats& stats = session.stats;
    if (count > 1) {
        stats.prefill_tokens += count;
        stats.prefill_microseconds += session.spent;
    } else {
        stats.decode_tokens += 1;
        stats.decode_microseconds += session.spent;
    }
    session.under_way = false;
    if (status == Status::ok) return;
    // Finished batches stay; of the others only what was there before.
    const uint32_t before = session.begun_length;
    session.length = session.cached > before ? session.cached : before;
    session.model->stop.store(0, std::memory_order_relaxed);
    forget_pass(session);
}

}  // namespace

void forget_pass(linnet_session& session) {
    if (session.model->pass_of == &session) session.model->pass_of = nullptr;
}

Status evaluate_begin(linnet_session& session, const int32_t* tokens, size_t count, Error& error) {
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
    const uint32_t before = session.length;
    const uint32_t length = before + static_cast<uint32_t>(count);
    // A pass uses one table of factors, by the length that it reaches (transformers, modeling_rope_utils.py); keys of the
    // other table are of no use.
    const bool use_long = (config.flags & long_rope) != 0 && length > config.original_context;
    if (use_long != session.cached_long) {
        forget_pass(session);
        if (session.cached != 0) {
            session.cached = 0;
            ++session.stats.rebuilds;
        }
        session.cached_long = use_long;
    }
    if (session.cached == 0 && model.pass_of != &session) session.written = 0;
    memmove(session.tokens + before, tokens, count * sizeof(int32_t));
    session.length = length;
    session.has_logits = false;
    session.under_way = true;
    session.begun_length = before;
    session.begun_cached = session.cached;
    session.spent = 0;
    return Status::ok;
}

Status evaluate_continue(linnet_session& session, uint32_t microseconds, linnet_progress& progress, Error& error) {
    linnet_model& model = *session.model;
    progress = {};
    if (!session.under_way) {
        return error.fail(Status::bad_argument) << "No evaluation is under way in this session: begin one first.";
    }
    const uint32_t threads = model.decoder.work.tasks > 4 ? model.decoder.work.tasks / 4 : 1;
    const uint64_t start = now(model);
    uint64_t passed = 0;
    Status status = Status::ok;
    while (status == Status::ok && session.cached < session.length) {
        status = advance(session, piece_work * threads, nullptr, error);
        passed = now(model) - start;
        if (model.platform.ticks == nullptr || passed >= microseconds) break;
    }
    session.spent += passed;
    progress.tokens = session.length - session.begun_cached;
    progress.tokens_done = static_cast<float>(session.cached - session.begun_cached);
    if (model.pass_of == &session) {
        progress.tokens_done += static_cast<float>(model.pass.count) * model.decoder.share_done(model.pass);
    }
    progress.done = session.cached == session.length ? 1 : 0;
    if (status != Status::ok || progress.done != 0) finish(session, status);
    return status;
}

Status evaluate(linnet_session& session, const int32_t* tokens, size_t count, linnet_logits_callback each, void* each_context,
                Error& error) {
    const uint64_t start = now(*session.model);
    if (Status status = evaluate_begin(session, tokens, count, error); status != Status::ok) return status;
    const EachLogits callback = {each, each_context, session.begun_length};
    Status status = Status::ok;
    while (status == Status::ok && session.cached < session.length) {
        status = advance(session, Decoder::no_limit, each != nullptr ? &callback : nullptr, error);
    }
    session.spent = now(*session.model) - start;
    finish(session, status);
    return status;
}

void rewind(linnet_session& session, uint32_t length) {
    if (length >= session.length) return;
    const ModelConfig& config = session.model->header.config;
    session.length = length;
    session.has_logits = false;
    session.under_way = false;
    forget_pass(session);
    if (session.cached <= length) return;
    session.cached = length;
    // The next token, at position `length`, sees back to `oldest_seen`.
    const uint32_t oldest_seen =
        config.window_keys != 0 && length + 1 > config.window_keys ? length + 1 - config.window_keys : 0;
    if (oldest_seen < oldest_held(session)) session.cached = 0;
}

}  // namespace linnet
