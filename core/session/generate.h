// Generation: sample, show, evaluate, until something ends it; step by step, and as a whole.
#pragma once

#include "core/session/model.h"

namespace linnet {

// The next token by `sampling`, from the logits that the session has.
Status choose_next(linnet_session& session, const linnet_sampling& sampling, int32_t& token, Error& error);

bool is_end(const ModelConfig& config, int32_t token);

// See linnet_generate_begin, linnet_generate_continue, linnet_generate_end.
Status generate_begin(linnet_session& session, const linnet_generation& generation, Error& error);
Status generate_continue(linnet_session& session, uint32_t microseconds, linnet_step& step, Error& error);
void generate_end(linnet_session& session, linnet_step& step);

// See linnet_generate.
Status generate(linnet_session& session, const linnet_generation& generation, linnet_generated& generated, Error& error);

}  // namespace linnet
