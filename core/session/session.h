// Evaluates tokens of a session: batches, the KV cache's reach, and LongRoPE's boundary.
#pragma once

#include "core/session/model.h"

namespace linnet {

// Appends `count` tokens and computes everything up to them. `each` may be null.
Status evaluate(linnet_session& session, const int32_t* tokens, size_t count, linnet_logits_callback each, void* each_context,
                Error& error);

// The same in pieces: checks and takes the tokens; then computes for about `microseconds`, at least one piece of work.
Status evaluate_begin(linnet_session& session, const int32_t* tokens, size_t count, Error& error);
Status evaluate_continue(linnet_session& session, uint32_t microseconds, linnet_progress& progress, Error& error);

// As evaluate_continue's microseconds: all that is left, without looking at the clock.
inline constexpr uint32_t no_pause = UINT32_MAX;

// Behind evaluate_begin of one token: up to `count` tokens that may follow it are computed in the same pass, those that stand in
// the session at `from` and after it. (That may reach into the copy itself: a text that repeats.) They do not become the
// session's before take_ahead; every other call forgets them. Returns how many there are: fewer where the batch, the context's end
// or a LongRoPE boundary is near.
uint32_t evaluate_ahead(linnet_session& session, uint32_t from, uint32_t count);

// Appends `token`, if it has been computed ahead: the session then is as if it had been evaluated. False: it was not, and what
// was computed ahead is forgotten.
bool take_ahead(linnet_session& session, int32_t token);
void forget_ahead(linnet_session& session);

// Whether the work is to stop now; asked once, answered once.
bool take_stop(linnet_model& model);

// The workspace no longer holds anything of this session's.
void forget_pass(linnet_session& session);

// Gives back the pages of its cache from this position on; where everything has its place, nothing.
void release_cache(linnet_session& session, uint32_t from);

// The oldest position whose keys are in the cache: its slots hold the last `slots` positions written.
inline uint32_t oldest_held(const linnet_session& session) {
    return session.written > session.cache.slots ? session.written - session.cache.slots : 0;
}

// Forgets all but the first `length` tokens; what the cache cannot give back is computed again by the next evaluation.
void rewind(linnet_session& session, uint32_t length);

}  // namespace linnet
