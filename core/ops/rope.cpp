#include "core/ops/rope.h"

#include "core/ops/math.h"

namespace linnet {

void RopeFrequencies::create(const ModelConfig& config, const float* short_factors, const float* long_factors, Arena& arena) {
    half_ = config.rotary_dims / 2;
    attention_factor_ = static_cast<double>(config.rope_attention_factor);
    short_ = arena.take<double>(half_);
    const bool has_long = (config.flags & long_rope) != 0;
    long_ = has_long ? arena.take<double>(half_) : short_;
    if (arena.measuring() || arena.overflowed()) return;
    const double log_theta = log_double(config.rope_theta);
    for (uint32_t i = 0; i < half_; ++i) {
        const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.rotary_dims);
        const double frequency = exp_double(-exponent * log_theta);
        short_[i] = frequency / (short_factors != nullptr ? static_cast<double>(short_factors[i]) : 1.0);
        if (has_long) long_[i] = frequency / (long_factors != nullptr ? static_cast<double>(long_factors[i]) : 1.0);
    }
}

void RopeFrequencies::table(uint32_t position, bool use_long, float* cosine, float* sine) const {
    const double* frequencies = use_long ? long_ : short_;
    for (uint32_t i = 0; i < half_; ++i) {
        const SineCosine value = sine_cosine(static_cast<double>(position) * frequencies[i]);
        cosine[i] = static_cast<float>(value.cosine * attention_factor_);
        sine[i] = static_cast<float>(value.sine * attention_factor_);
    }
}

}  // namespace linnet
