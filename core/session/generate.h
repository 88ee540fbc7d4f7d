// The generation loop: sample, show, evaluate, until something ends it.
#pragma once

#include "core/session/model.h"

namespace linnet {

// The next token by `sampling`, from the logits that the session has.
Status choose_next(linnet_session& session, const linnet_sampling& sampling, int32_t& token, Error& error);

bool is_end(const ModelConfig& config, int32_t token);

// See linnet_generate.
Status generate(linnet_session& session, const linnet_generation& generation, linnet_generated& generated, Error& error);

}  // namespace linnet
