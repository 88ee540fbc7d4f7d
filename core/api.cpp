// The C API: checks what the caller gives, and turns the core's errors into linnet_error.
#include "core/linnet.h"

#include "core/api_internal.h"
#include "core/session/generate.h"
#include "core/session/session.h"
#include "core/session/snapshot.h"
#include "core/text/chat_template.h"

using linnet::Arena;
using linnet::Error;
using linnet::FileHeader;
using linnet::guarded;
using linnet::ModelLayout;
using linnet::Settings;
using linnet::Status;

namespace {

Status prepare(const linnet_platform& platform, const linnet_options& options, FileHeader& header, ModelLayout& layout,
               Settings& settings, linnet_plan& plan, Error& error) {
    // First of all: of another version's table nothing else may be looked at or called.
    if (platform.version != LINNET_PLATFORM_VERSION || platform.read == nullptr) {
        return error.fail(Status::bad_argument) << "The platform has the wrong version or no read function.";
    }
    if (Status status = linnet::read_header(platform, header, error); status != Status::ok) return status;
    if (Status status = linnet::settle(platform, options, header, settings, error); status != Status::ok) return status;
    if (Status status = linnet::read_layout(platform, header, layout, nullptr, error); status != Status::ok) return status;
    if (Status status = linnet::make_plan(platform, options, header, layout, settings, plan, error); status != Status::ok) {
        return status;
    }
    return linnet::count_layers(platform, header, plan, error);
}

// A session whose tokens change: a generation that is under way in it ends.
linnet_session& changing(linnet_session* session) {
    session->generation.running = false;
    return *session;
}

}  // namespace

linnet_options linnet_default_options(void) {
    linnet_options options{};
    options.version = LINNET_API_VERSION;
    options.kv_format = LINNET_KV_INT8;
    options.verify = 1;
    return options;
}

linnet_sampling linnet_default_sampling(void) {
    linnet_sampling sampling{};
    sampling.temperature = 0.7f;
    sampling.top_k = 40;
    sampling.top_p = 0.95f;
    sampling.min_p = 0.05f;
    sampling.repetition_penalty = 1.0f;
    sampling.repetition_window = 64;
    return sampling;
}

linnet_status linnet_make_plan(const linnet_platform* platform, const linnet_options* options, linnet_plan* plan,
                               linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        FileHeader header;
        ModelLayout layout;
        Settings settings{};
        return prepare(*platform, *options, header, layout, settings, *plan, inner);
    });
}

linnet_status linnet_open(const linnet_platform* platform, const linnet_options* options, void* memory, size_t arena_bytes,
                          linnet_model** model, linnet_error* error) {
    *model = nullptr;
    return guarded(error, [&](Error& inner) -> Status {
        FileHeader header;
        ModelLayout layout;
        Settings settings{};
        linnet_plan plan{};
        if (Status status = prepare(*platform, *options, header, layout, settings, plan, inner); status != Status::ok) {
            return status;
        }
        if (reinterpret_cast<uintptr_t>(memory) % LINNET_ARENA_ALIGNMENT != 0 || memory == nullptr) {
            return inner.fail(Status::bad_argument) << "The arena must be aligned to " << LINNET_ARENA_ALIGNMENT << " bytes.";
        }
        if (arena_bytes < plan.total_bytes) {
            return inner.fail(Status::does_not_fit) << "The arena has " << static_cast<uint64_t>(arena_bytes)
                                                    << " bytes; the plan needs " << plan.total_bytes << '.';
        }
        if (Status status = linnet::verify_metadata(*platform, header, inner); status != Status::ok) return status;
        Arena arena(memory, arena_bytes);
        return linnet::divide(*platform, header, layout, settings, arena, plan, model, inner);
    });
}

void linnet_settle(linnet_model* model) {
    if (model->decoder.residency != nullptr) model->residency.settle();
}

void linnet_close(linnet_model* model) {
    if (model != nullptr) linnet_settle(model);
}

void linnet_get_info(const linnet_model* model, linnet_info* info) {
    const linnet::ModelConfig& config = model->header.config;
    *info = {};
    info->name = model->name;
    info->name_bytes = model->header.name_bytes;
    info->vocabulary = config.vocabulary;
    info->hidden = config.hidden;
    info->layers = config.layers;
    info->heads = config.heads;
    info->kv_heads = config.kv_heads;
    info->head_dim = config.head_dim;
    info->feed_forward = config.feed_forward;
    info->context = model->plan.context;
    info->model_context = config.context;
    info->window_keys = config.window_keys;
    info->has_tokenizer = model->tokenizer.available() ? 1 : 0;
    info->chat_template = config.chat_template;
    info->chat_template_name = linnet::chat_template_name(static_cast<linnet::ChatTemplate>(config.chat_template));
    info->kernels = model->text_only ? "none" : model->decoder.kernels->name;
    info->bos_token = config.bos_token;
    info->eos_count = config.eos_count;
    memcpy(info->eos_tokens, config.eos_tokens, sizeof info->eos_tokens);
    info->parameters = model->layout.parameters;
}

linnet_status linnet_session_open(linnet_model* model, linnet_session** session, linnet_error* error) {
    *session = nullptr;
    return guarded(error, [&](Error& inner) -> Status {
        if (model->text_only) return inner.fail(Status::bad_argument) << "The model was opened with text_only.";
        for (uint32_t i = 0; i < model->session_count; ++i) {
            linnet_session& slot = model->sessions[i];
            if (slot.open) continue;
            slot.open = true;
            slot.length = slot.cached = slot.written = 0;
            linnet::forget_ahead(changing(&slot));
            slot.cached_long = slot.has_logits = slot.under_way = false;
            slot.stats = {};
            slot.cache.lost = false;
            slot.sampler.restart();
            *session = &slot;
            return Status::ok;
        }
        return inner.fail(Status::does_not_fit) << "All " << model->session_count
                                                << " sessions are open. Close one, or ask for more in linnet_options.sessions.";
    });
}

void linnet_session_close(linnet_session* session) {
    linnet::forget_pass(*session);
    linnet::release_cache(*session, 0);
    session->open = false;
}

linnet_status linnet_session_copy(linnet_session* to, const linnet_session* from, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (to->model != from->model) return inner.fail(Status::bad_argument) << "The two sessions belong to different models.";
        return linnet::copy(changing(to), *from, inner);
    });
}

uint64_t linnet_snapshot_bytes(const linnet_session* session) { return linnet::snapshot_bytes(*session); }

linnet_status linnet_snapshot_save(const linnet_session* session, linnet_snapshot_write write, void* context,
                                   linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::save(*session, write, context, inner); });
}

linnet_status linnet_snapshot_restore(linnet_session* session, uint64_t bytes, linnet_snapshot_read read, void* context,
                                      linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::restore(changing(session), bytes, read, context, inner); });
}

uint32_t linnet_length(const linnet_session* session) { return session->length; }

const int32_t* linnet_tokens(const linnet_session* session) { return session->tokens; }

linnet_status linnet_rewind(linnet_session* session, uint32_t length, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (length > session->length) {
            return inner.fail(Status::bad_argument)
                   << "Cannot rewind to " << length << " tokens: there are " << session->length << '.';
        }
        linnet::rewind(changing(session), length);
        return Status::ok;
    });
}

linnet_status linnet_evaluate(linnet_session* session, const int32_t* tokens, size_t count, linnet_error* error) {
    return guarded(error,
                   [&](Error& inner) { return linnet::evaluate(changing(session), tokens, count, nullptr, nullptr, inner); });
}

linnet_status linnet_evaluate_all(linnet_session* session, const int32_t* tokens, size_t count, linnet_logits_callback each,
                                  void* context, linnet_error* error) {
    return guarded(error,
                   [&](Error& inner) { return linnet::evaluate(changing(session), tokens, count, each, context, inner); });
}

linnet_status linnet_evaluate_begin(linnet_session* session, const int32_t* tokens, size_t count, linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::evaluate_begin(changing(session), tokens, count, inner); });
}

linnet_status linnet_evaluate_continue(linnet_session* session, uint32_t microseconds, linnet_progress* progress,
                                       linnet_error* error) {
    linnet_progress unused;
    return guarded(error, [&](Error& inner) {
        return linnet::evaluate_continue(changing(session), microseconds, progress != nullptr ? *progress : unused, inner);
    });
}

linnet_status linnet_set_tokens(linnet_session* session, const int32_t* tokens, size_t count, size_t* evaluated,
                                linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (evaluated != nullptr) *evaluated = 0;
        if (count == 0) {
            linnet::rewind(changing(session), 0);
            return Status::ok;
        }
        if (count > session->model->plan.context) {
            return inner.fail(Status::does_not_fit) << "The context holds " << session->model->plan.context << " tokens; "
                                                    << static_cast<uint64_t>(count) << " were given.";
        }
        uint32_t same = 0;
        while (same < session->length && same + 1 < count && session->tokens[same] == tokens[same]) ++same;
        linnet::rewind(changing(session), same);
        if (evaluated != nullptr) *evaluated = count - session->cached;
        return linnet::evaluate(*session, tokens + same, count - same, nullptr, nullptr, inner);
    });
}

const float* linnet_logits(const linnet_session* session) { return session->has_logits ? session->logits : nullptr; }

void linnet_stop(linnet_model* model) { model->stop.store(1, std::memory_order_relaxed); }

linnet_status linnet_sample(linnet_session* session, const linnet_sampling* sampling, int32_t* token, linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::choose_next(*session, *sampling, *token, inner); });
}

void linnet_restart_sampling(linnet_session* session) { session->sampler.restart(); }

int32_t linnet_is_end(const linnet_model* model, int32_t token) { return linnet::is_end(model->header.config, token) ? 1 : 0; }

linnet_generation linnet_default_generation(void) {
    linnet_generation generation{};
    generation.sampling = linnet_default_sampling();
    return generation;
}

linnet_status linnet_generate(linnet_session* session, const linnet_generation* generation, linnet_generated* generated,
                              linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::generate(*session, *generation, *generated, inner); });
}

linnet_status linnet_generate_begin(linnet_session* session, const linnet_generation* generation, linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::generate_begin(*session, *generation, inner); });
}

linnet_status linnet_generate_continue(linnet_session* session, uint32_t microseconds, linnet_step* step, linnet_error* error) {
    return guarded(error, [&](Error& inner) { return linnet::generate_continue(*session, microseconds, *step, inner); });
}

void linnet_generate_end(linnet_session* session, linnet_step* step) { linnet::generate_end(*session, *step); }

void linnet_get_stats(const linnet_session* session, linnet_stats* stats) {
    *stats = session->stats;
    const linnet_model& model = *session->model;
    const linnet::Residency::Counts& counts = model.residency.counts;
    stats->bytes_read = model.decoder.bytes_read + counts.read;
    stats->bytes_streamed = counts.streamed;
    stats->scratch_bytes_read = counts.scratch_read;
    stats->scratch_bytes_written = counts.scratch_written;
    stats->passes = model.passes;
    stats->arena_bytes = session->model->plan.total_bytes;
}

const char* linnet_status_name(linnet_status status) {
    switch (status) {
        case LINNET_OK: return "ok";
        case LINNET_BAD_ARGUMENT: return "bad argument";
        case LINNET_BAD_FILE: return "bad file";
        case LINNET_DOES_NOT_FIT: return "does not fit";
        case LINNET_IO: return "input/output";
        case LINNET_CANCELLED: return "cancelled";
        case LINNET_UNSUPPORTED: return "unsupported";
        default: return "unknown";
    }
}
