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

// The workspace no longer holds anything of this session's.
void forget_pass(linnet_session& session);

// The oldest position whose keys are in the cache: its slots hold the last `slots` positions written.
inline uint32_t oldest_held(const linnet_session& session) {
    return session.written > session.cache.slots ? session.written - session.cache.slots : 0;
}

// Forgets all but the first `length` tokens; what the cache cannot give back is computed again by the next evaluation.
void rewind(linnet_session& session, uint32_t length);

}  // namespace linnet
