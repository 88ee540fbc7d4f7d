#include "core/session/generate.h"

#include "core/session/session.h"
#include "core/text/text_stream.h"

namespace linnet {

namespace {

Status check(const linnet_model& model, const linnet_generation& generation, Error& error) {
    if ((generation.text_flags & ~uint32_t{LINNET_TEXT_SPECIAL}) != 0 || generation.ignore_end > 1) {
        return error.fail(Status::bad_argument)
               << "linnet_generation has unknown text_flags, or an ignore_end that is not 0 or 1.";
    }
    if (generation.speculate > LINNET_SPECULATE_OFF) {
        return error.fail(Status::bad_argument) << "linnet_generation.speculate is not one of LINNET_SPECULATE_*.";
    }
    if (generation.stop_count > LINNET_MAX_STOPS) {
        return error.fail(Status::bad_argument) << "At most " << LINNET_MAX_STOPS << " stop strings can be given.";
    }
    if (generation.stop_count != 0 && !model.tokenizer.available()) {
        return error.fail(Status::unsupported)
               << "This model file has no tokenizer that Linnet can use, so there is no text to "
                  "look for stop strings in.";
    }
    for (uint32_t i = 0; i < generation.stop_count; ++i) {
        size_t bytes = 0;
        while (bytes <= LINNET_MAX_STOP_BYTES && generation.stops[i][bytes] != 0) ++bytes;
        if (bytes == 0 || bytes > LINNET_MAX_STOP_BYTES) {
            return error.fail(Status::bad_argument)
                   << "A stop string must have from 1 to " << LINNET_MAX_STOP_BYTES << " bytes.";
        }
    }
    return Sampler::check(generation.sampling, error);
}

Status check_logits(const linnet_session& session, Error& error) {
    if (session.has_logits) return Status::ok;
    return error.fail(Status::bad_argument) << "There are no logits to sample from: evaluate a token first.";
}

}  // namespace

Status choose_next(linnet_session& session, const linnet_sampling& sampling, int32_t& token, Error& error) {
    if (Status status = check_logits(session, error); status != Status::ok) return status;
    const uint32_t window = sampling.repetition_window;
    const uint32_t recent = window == 0 || window > session.length ? session.length : window;
    return session.sampler.choose(session.logits, session.model->header.config.usable_vocabulary, sampling,
                                  session.tokens + (session.length - recent), recent, token, error);
}

bool is_end(const ModelConfig& config, int32_t token) {
    for (uint32_t i = 0; i < config.eos_count; ++i) {
        if (config.eos_tokens[i] == token) return true;
    }
    return false;
}

Status generate_begin(linnet_session& session, const linnet_generation& generation, Error& error) {
    const linnet_model& model = *session.model;
    GenerationState& state = session.generation;
    state.running = false;
    if (Status status = check(model, generation, error); status != Status::ok) return status;
    if (Status status = check_logits(session, error); status != Status::ok) return status;
    state.running = true;
    state.evaluating = false;
    state.speculate = generation.speculate == LINNET_SPECULATE_ON ||
                      (generation.speculate == LINNET_SPECULATE_AUTO && model.plan.streamed_bytes_per_pass != 0);
    state.settings = generation;
    state.generated = {};
    state.generated.end_token = state.generated.pending_token = -1;
    state.stream = {};
    state.held.begin(generation.stops, generation.stop_count);
    state.given = 0;
    state.draft_length.begin();
    state.drafted = state.taken = 0;
    return Status::ok;
}

namespace {

void give(GenerationState& state, size_t bytes, linnet_step& step) {
    state.given = bytes;
    step.text = state.held.text();
    step.text_bytes = bytes;
}

// The end, with what was held back for a stop string that did not come and for a character that was not completed.
void end(GenerationState& state, linnet_finish finish, linnet_step& step) {
    state.running = false;
    state.generated.finish = finish;
    size_t bytes = 0;
    stream_end(state.stream, state.held.end(), HeldText::token_capacity, bytes);
    state.held.grow(bytes);
    give(state, state.held.length(), step);
}

// Begins to evaluate the pending token, and with it what may come next.
Status evaluate_pending(linnet_session& session, Error& error) {
    const ModelConfig& config = session.model->header.config;
    GenerationState& state = session.generation;
    const linnet_generation& settings = state.settings;
    if (Status status = evaluate_begin(session, &state.generated.pending_token, 1, error); status != Status::ok) return status;
    state.evaluating = true;
    if (!state.speculate) return Status::ok;
    state.draft_length.learn(state.drafted, state.taken);
    state.drafted = state.taken = 0;
    const Repeat repeat = find_repeat(session.tokens, session.length, DraftLength::longest_match);
    uint32_t count = state.draft_length.next(repeat);
    // The last token that is wanted need not be evaluated, nor one that ends the reply.
    if (settings.max_tokens != 0) {
        const uint32_t wanted = settings.max_tokens - state.generated.tokens - 1;
        if (count > wanted) count = wanted;
    }
    for (uint32_t i = 0; settings.ignore_end == 0 && i < count && repeat.at + i < session.length; ++i) {
        if (is_end(config, session.tokens[repeat.at + i])) count = i;
    }
    state.drafted = evaluate_ahead(session, repeat.at, count);
    state.generated.drafted += state.drafted;
    return Status::ok;
}

// The pending token becomes the session's. Not done: there was no time for all of it.
Status take_pending(linnet_session& session, uint32_t microseconds, linnet_progress& progress, bool& done, Error& error) {
    GenerationState& state = session.generation;
    done = true;
    if (!state.evaluating) {
        if (session.ahead != 0 && take_stop(*session.model)) return error.fail(Status::cancelled) << "Stopped.";
        if (take_ahead(session, state.generated.pending_token)) {
            ++state.taken;
            ++state.generated.accepted;
            return Status::ok;
        }
        if (Status status = evaluate_pending(session, error); status != Status::ok) return status;
    }
    const Status status = evaluate_continue(session, microseconds, progress, error);
    done = progress.done != 0;
    state.evaluating = status == Status::ok && !done;
    if (status == Status::ok && done) ++state.generated.passes;
    return status;
}

Status next(linnet_session& session, uint32_t microseconds, linnet_step& step, Error& error) {
    const linnet_model& model = *session.model;
    GenerationState& state = session.generation;
    const linnet_generation& settings = state.settings;
    linnet_generated& generated = state.generated;
    if (settings.max_tokens != 0 && generated.tokens == settings.max_tokens) {
        end(state, LINNET_FINISH_LENGTH, step);
        return Status::ok;
    }
    // The token before is evaluated only now, when another one is wanted.
    if (generated.pending_token >= 0) {
        if (!state.evaluating && session.length == model.plan.context) {
            end(state, LINNET_FINISH_CONTEXT, step);
            return Status::ok;
        }
        bool done = false;
        const Status status = take_pending(session, microseconds, step.progress, done, error);
        if (status == Status::cancelled) {
            end(state, LINNET_FINISH_CANCELLED, step);
            return Status::ok;
        }
        if (status != Status::ok) return status;
        if (!done) {
            step.paused = 1;
            return Status::ok;
        }
        generated.pending_token = -1;
    }
    int32_t token = -1;
    if (Status status = choose_next(session, settings.sampling, token, error); status != Status::ok) return status;
    if (settings.ignore_end == 0 && is_end(model.header.config, token)) {
        generated.end_token = token;
        end(state, LINNET_FINISH_END, step);
        return Status::ok;
    }
    if (model.tokenizer.available()) {
        const bool special = (settings.text_flags & LINNET_TEXT_SPECIAL) != 0;
        size_t bytes = 0;
        Status status = stream_token(model.tokenizer, state.stream, token, special, state.held.end(), HeldText::token_capacity,
                                     bytes, error);
        if (status != Status::ok) return status;
        state.held.grow(bytes);
    }
    step.token = token;
    step.logit = session.logits[token];
    generated.pending_token = token;
    ++generated.tokens;
    const size_t stop = state.held.find_stop();
    if (stop != state.held.length()) {
        generated.finish = LINNET_FINISH_STOP;
        state.running = false;
        give(state, stop, step);
    } else {
        give(state, state.held.certain(), step);
    }
    return Status::ok;
}

// What the last step gave out has been used.
void prepare(GenerationState& state, linnet_step& step) {
    step = {};
    step.token = -1;
    state.held.drop(state.given);
    state.given = 0;
}

}  // namespace

Status generate_continue(linnet_session& session, uint32_t microseconds, linnet_step& step, Error& error) {
    GenerationState& state = session.generation;
    if (!state.running) {
        step = {};
        return error.fail(Status::bad_argument) << "No generation is under way in this session: begin one first.";
    }
    prepare(state, step);
    const Status status = next(session, microseconds, step, error);
    if (status != Status::ok) state.running = false;
    step.generated = state.generated;
    return status;
}

void generate_end(linnet_session& session, linnet_step& step) {
    GenerationState& state = session.generation;
    step = {};
    step.token = -1;
    if (!state.running) return;
    prepare(state, step);
    // A pass that is under way would be the next evaluation's to finish.
    if (state.evaluating) rewind(session, session.begun_length);
    end(state, LINNET_FINISH_CANCELLED, step);
    step.generated = state.generated;
}

Status generate(linnet_session& session, const linnet_generation& generation, linnet_generated& generated, Error& error) {
    generated = {};
    generated.end_token = generated.pending_token = -1;
    if (Status status = generate_begin(session, generation, error); status != Status::ok) return status;
    linnet_step step;
    const auto show = [&] {
        if (generation.piece == nullptr || (step.token < 0 && step.text_bytes == 0)) return true;
        return generation.piece(generation.context, step.token, step.logit, step.text, step.text_bytes) == 0;
    };
    do {
        const Status status = generate_continue(session, no_pause, step, error);
        generated = session.generation.generated;
        if (status != Status::ok) return status;
        if (!show() && generated.finish == 0) {
            generate_end(session, step);
            show();
            generated = step.generated;
        }
    } while (generated.finish == 0);
    return Status::ok;
}

}  // namespace linnet
