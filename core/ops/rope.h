// Rotary position embedding: frequencies (with LongRoPE's factors) and the tables of one batch.
#pragma once

#include <cstdint>

#include "core/base/arena.h"
#include "core/model/format.h"

namespace linnet {

// inverse frequency i = 1 / (factor[i] * theta^(2i / rotary_dims)); cosine and sine are multiplied by
// rope_attention_factor (LongRoPE, arXiv 2402.13753; config field rope_scaling).
class RopeFrequencies {
public:
    // short_factors and long_factors are f32[rotary_dims/2], or null for ones.
    void create(const ModelConfig& config, const float* short_factors, const float* long_factors, Arena& arena);

    // cosine and sine of `position`, each float[rotary_dims/2]. use_long: the long factors.
    void table(uint32_t position, bool use_long, float* cosine, float* sine) const;

private:
    double* short_ = nullptr;
    double* long_ = nullptr;
    double attention_factor_ = 1.0;
    uint32_t half_ = 0;
};

}  // namespace linnet
