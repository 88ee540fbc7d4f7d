#include "core/session/session.h"

namespace linnet {

namespace {

bool stop_asked(const linnet_model& model) {
    if (model.stop.load(std::memory_order_relaxed) != 0) return true;
    return model.platform.yield != nullptr && model.platform.yield(model.platform.context) != 0;
}

uint64_t now(const linnet_model& model) {
    return model.platform.ticks != nullptr ? model.platform.ticks(model.platform.context) : 0;
}

// Multiply-adds of a piece of work, for each thread: some milliseconds at most, on a slow core too.
constexpr uint64_t piece_work = uint64_t{1} << 26;

// Microseconds that some steps may take together, so that more of them go between two looks at the clock.
constexpr uint64_t short_steps = 50;

struct EachLogits {
    linnet_logits_callback call;
    void* context;
    uint32_t from;  // position
};

// The oldest position that the token at this one sees.
uint32_t oldest_seen(const linnet_session& session, uint32_t position) {
    const uint32_t window = session.model->header.config.window_keys;
    return window != 0 && position + 1 > window ? position + 1 - window : 0;
}

// Begins anew where the cache no longer has what the next token sees: lost with the scratch storage, or overwritten by a pass
// through several batches that was left in the middle.
void drop_lost(linnet_session& session) {
    if (!session.cache.lost && oldest_seen(session, session.cached) >= oldest_held(session)) return;
    session.cache.lost = false;
    session.cached = session.written = 0;
    if (session.begun_cached != 0) session.begun_cached = 0;
    release_cache(session, 0);
}

// The logits of a finished pass, as many rows in one go as there is room for.
Status give_rows(linnet_session& session, const EachLogits& each, Error& error) {
    linnet_model& model = *session.model;
    const Workspace& work = model.decoder.work;
    const uint32_t vocabulary = model.header.config.vocabulary;
    const uint32_t most = work.row_count < 1 ? 1 : work.row_count;
    uint32_t row = each.from > model.pass.first ? each.from - model.pass.first : 0;
    while (row < model.pass.count) {
        const uint32_t count = most < model.pass.count - row ? most : model.pass.count - row;
        float* rows = count == 1 ? session.logits : work.rows;
        Pass own;
        bool done = false;
        Status status = model.decoder.logits(own, row, count, rows, Decoder::no_limit, done, error);
        if (status != Status::ok) return status;
        for (uint32_t i = 0; i < count; ++i) {
            each.call(each.context, model.pass.first + row + i, rows + size_t{i} * vocabulary);
        }
        row += count;
        if (rows != session.logits) {
            memcpy(session.logits, rows + size_t{count - 1} * vocabulary, size_t{vocabulary} * sizeof(float));
        }
    }
    return Status::ok;
}

// One piece of the way from session.cached to session.length and to the end of its draft. `each` may be null.
Status advance(linnet_session& session, uint64_t most, const EachLogits* each, Error& error) {
    linnet_model& model = *session.model;
    Decoder& decoder = model.decoder;
    Pass& pass = model.pass;
    if (stop_asked(model)) return error.fail(Status::cancelled) << "Stopped.";
    const uint32_t goal = session.length + session.draft;
    if (model.pass_of != &session) {
        drop_lost(session);
        const uint32_t left = goal - session.cached;
        pass = Pass{};
        pass.tokens = session.tokens + session.cached;
        pass.first = session.cached;
        pass.count = left < decoder.work.batch ? left : decoder.work.batch;
        pass.use_long = session.cached_long;
        const uint32_t span = left < decoder.work.span ? left : decoder.work.span;
        if (span > pass.count && model.residency.can_hold(session.cache, pass.first, span)) pass.count = span;
        if (Status status = decoder.begin(pass, session.cache, error); status != Status::ok) return status;
        model.pass_of = &session;
        model.rows_of = nullptr;
        ++model.passes;
        const uint32_t end = pass.first + pass.count;
        if (end > session.written) session.written = end;
    }
    if (!decoder.finished(pass)) return decoder.advance(pass, session.cache, most, error);
    // The last row of logits belongs to the work of the last batch: it is not done before that is there.
    const uint32_t end = pass.first + pass.count;
    if (each != nullptr) {
        if (Status status = give_rows(session, *each, error); status != Status::ok) return status;
    } else if (end == goal) {
        float* rows = session.draft == 0 ? session.logits : decoder.work.rows;
        bool done = false;
        const uint32_t first = pass.count - 1 - session.draft;
        const Status status = decoder.logits(pass, first, session.draft + 1, rows, most, done, error);
        if (status != Status::ok || !done) return status;
        if (session.draft != 0) {
            memcpy(session.logits, rows, size_t{model.header.config.vocabulary} * sizeof(float));
            model.rows_of = &session;
            session.ahead = session.draft;
            session.row = 0;
        }
    }
    session.has_logits = end == goal;
    session.cached = end < session.length ? end : session.length;
    session.draft = 0;
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
    forget_ahead(session);
    // Finished batches stay; of the others only what was there before.
    const uint32_t before = session.begun_length;
    session.length = session.cached > before ? session.cached : before;
    session.model->stop.store(0, std::memory_order_relaxed);
    forget_pass(session);
}

}  // namespace

bool take_stop(linnet_model& model) {
    if (!stop_asked(model)) return false;
    model.stop.store(0, std::memory_order_relaxed);
    return true;
}

void release_cache(linnet_session& session, uint32_t from) {
    Residency* residency = session.model->decoder.residency;
    if (residency != nullptr) residency->kv_release(session.cache, ceil_div(from, session.cache.page_slots));
}

void forget_pass(linnet_session& session) {
    if (session.model->pass_of == &session) session.model->pass_of = nullptr;
}

void forget_ahead(linnet_session& session) {
    // A pass that computes it counts on it.
    if (session.draft != 0) forget_pass(session);
    session.draft = session.ahead = 0;
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
    forget_ahead(session);
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
    if (session.cached == 0 && model.pass_of != &session) {
        session.written = 0;
        release_cache(session, 0);
    }
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
    const uint64_t start = now(model);
    uint64_t passed = 0;
    // To ask for the time takes a browser as long as a small model for a part of a layer: of steps that short some are not timed,
    // where they are short beside the time that is given.
    const bool long_call = microseconds >= 20 * short_steps;
    uint32_t untimed = 0;
    uint32_t most_untimed = 0;
    Status status = Status::ok;
    while (status == Status::ok && session.cached < session.length) {
        status = advance(session, microseconds == no_pause ? Decoder::no_limit : piece_work * model.decoder.work.threads,
                         nullptr, error);
        if (untimed < most_untimed && status == Status::ok && session.cached < session.length) {
            ++untimed;
            continue;
        }
        const uint64_t before = passed;
        passed = now(model) - start;
        const bool quick = long_call && passed - before <= short_steps;
        most_untimed = !quick ? 0 : most_untimed < 4 ? 2 * most_untimed + 1 : 7;
        untimed = 0;
        if (microseconds != no_pause && (model.platform.ticks == nullptr || passed >= microseconds)) break;
    }
    session.spent += passed;
    progress.tokens = session.length - session.begun_cached;
    progress.tokens_done = static_cast<float>(session.cached - session.begun_cached);
    if (model.pass_of == &session) {
        progress.tokens_done += static_cast<float>(model.pass.count - session.draft) * model.decoder.share_done(model.pass);
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

uint32_t evaluate_ahead(linnet_session& session, uint32_t from, uint32_t count) {
    const linnet_model& model = *session.model;
    const ModelConfig& config = model.header.config;
    const Workspace& work = model.decoder.work;
    const auto limit = [&](uint32_t most) { count = count < most ? count : most; };
    // One batch computes all of them, or none: then those that are refused cost no keys that are still seen (KvCache).
    if (!session.under_way || session.cached + 1 != session.length || model.pass_of == &session) return 0;
    if (work.row_count == 0) return 0;
    limit(work.row_count - 1);
    limit(model.plan.context - session.length);
    // They must be computed with the factors of the token before.
    if ((config.flags & long_rope) != 0 && !session.cached_long) limit(config.original_context - session.length);
    for (uint32_t i = 0; i < count; ++i) session.tokens[session.length + i] = session.tokens[from + i];
    session.draft = count;
    return count;
}

bool take_ahead(linnet_session& session, int32_t token) {
    const linnet_model& model = *session.model;
    if (session.ahead == 0 || model.rows_of != &session || session.tokens[session.length] != token) {
        session.ahead = 0;
        return false;
    }
    const size_t vocabulary = model.header.config.vocabulary;
    --session.ahead;
    ++session.row;
    ++session.length;
    ++session.cached;
    memcpy(session.logits, model.decoder.work.rows + session.row * vocabulary, vocabulary * sizeof(float));
    ++session.stats.decode_tokens;
    return true;
}

void rewind(linnet_session& session, uint32_t length) {
    forget_ahead(session);
    if (length >= session.length) return;
    session.length = length;
    session.has_logits = false;
    session.under_way = false;
    forget_pass(session);
    if (session.cached <= length) return;
    session.cached = length;
    // The next token, at position `length`, sees back to `oldest_seen`.
    if (oldest_seen(session, length) < oldest_held(session)) session.cached = 0;
    if (session.cached == 0) session.written = 0;
    if (session.written <= session.cache.slots) release_cache(session, session.cached);
}

}  // namespace linnet
