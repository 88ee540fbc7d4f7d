#include "core/session/sampler.h"

#include <cstring>

#include "core/ops/math.h"

namespace linnet {

void Random::seed(uint64_t value) {
    for (uint64_t& word : state_) {
        value += 0x9e3779b97f4a7c15ull;
        uint64_t mixed = value;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
        word = mixed ^ (mixed >> 31);
    }
}

double Random::uniform() {
    const auto rotate = [](uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); };
    const uint64_t result = rotate(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return static_cast<double>(result >> 11) * 0x1p-53;
}

void Sampler::create(uint32_t vocabulary, Arena& arena) {
    vocabulary_ = vocabulary;
    candidates_ = arena.take<Candidate>(vocabulary);
    weights_ = arena.take<double>(vocabulary);
    penalised_ = arena.take<uint32_t>((uint64_t{vocabulary} + 31) / 32);
}

Status Sampler::check(const linnet_sampling& s, Error& error) {
    // Written so that a NaN is refused.
    if (!(s.temperature >= 0.0f && s.temperature <= 10.0f)) {
        return error.fail(Status::bad_argument) << "temperature must be from 0 to 10.";
    }
    if (!(s.top_p > 0.0f && s.top_p <= 1.0f)) {
        return error.fail(Status::bad_argument) << "top_p must be above 0 and at most 1.";
    }
    if (!(s.min_p >= 0.0f && s.min_p <= 1.0f)) {
        return error.fail(Status::bad_argument) << "min_p must be from 0 to 1.";
    }
    if (!(s.repetition_penalty > 0.0f && s.repetition_penalty <= 10.0f)) {
        return error.fail(Status::bad_argument) << "repetition_penalty must be above 0 and at most 10.";
    }
    return Status::ok;
}

// Restores the heap property below `root`: the best candidate on top.
void Sampler::sift_down(uint32_t root, uint32_t count) {
    const Candidate moving = candidates_[root];
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) break;
        if (child + 1 < count && better(candidates_[child + 1], candidates_[child])) ++child;
        if (!better(candidates_[child], moving)) break;
        candidates_[root] = candidates_[child];
        root = child;
    }
    candidates_[root] = moving;
}

namespace {

Status not_numbers(Error& error) {
    return error.fail(Status::bad_file) << "The model's logits are not numbers: its weights are damaged or it overflowed.";
}

// The first of the highest logits, NaN left out; `usable` where there is none. Sixteen at a time, which compilers make vectors of.
uint32_t likeliest(const float* logits, uint32_t usable) {
    constexpr uint32_t lanes = 16;
    float most[lanes];
    for (float& each : most) each = -__builtin_inff();
    uint32_t id = 0;
    for (; id + lanes <= usable; id += lanes) {
        for (uint32_t i = 0; i < lanes; ++i) most[i] = logits[id + i] > most[i] ? logits[id + i] : most[i];
    }
    float highest = most[0];
    for (const float each : most) highest = each > highest ? each : highest;
    for (; id < usable; ++id) highest = logits[id] > highest ? logits[id] : highest;
    id = 0;
    while (id < usable && !(logits[id] == highest)) ++id;
    return id;
}

}  // namespace

Status Sampler::choose(const float* logits, uint32_t usable, const linnet_sampling& sampling, const int32_t* recent,
                       size_t recent_count, int32_t& token, Error& error) {
    if (Status status = check(sampling, error); status != Status::ok) return status;
    if (!seeded_ || seed_ != sampling.seed) {
        random_.seed(sampling.seed);
        seed_ = sampling.seed;
        seeded_ = true;
    }
    const bool penalise = sampling.repetition_penalty != 1.0f && recent_count != 0;
    if (penalise) {
        memset(penalised_, 0, (size_t{vocabulary_} + 31) / 32 * 4);
        for (size_t i = 0; i < recent_count; ++i) {
            const uint32_t id = static_cast<uint32_t>(recent[i]);
            if (id < vocabulary_) penalised_[id / 32] |= 1u << (id % 32);
        }
    }
    if (sampling.temperature == 0.0f && !penalise) {
        const uint32_t id = likeliest(logits, usable);
        if (id == usable) return not_numbers(error);
        token = static_cast<int32_t>(id);
        return Status::ok;
    }
    uint32_t count = 0;
    for (uint32_t id = 0; id < usable; ++id) {
        float logit = logits[id];
        if (penalise && ((penalised_[id / 32] >> (id % 32)) & 1u) != 0) {
            logit = logit > 0.0f ? logit / sampling.repetition_penalty : logit * sampling.repetition_penalty;
        }
        if (logit == logit) candidates_[count++] = {logit, static_cast<int32_t>(id)};
    }
    if (count == 0) return not_numbers(error);
    Candidate best = candidates_[0];
    for (uint32_t i = 1; i < count; ++i) {
        if (better(candidates_[i], best)) best = candidates_[i];
    }
    if (sampling.temperature == 0.0f) {
        token = best.id;
        return Status::ok;
    }

    // Candidates leave a heap in order of likelihood, as many of them as the filters want; without top_k and top_p
    // no order is needed and they stay in order of id.
    const bool ordered = (sampling.top_k != 0 && sampling.top_k < count) || sampling.top_p < 1.0f;
    const double temperature = static_cast<double>(sampling.temperature);
    const double highest = static_cast<double>(best.logit);
    const auto weight = [&](const Candidate& candidate) {
        return exp_double((static_cast<double>(candidate.logit) - highest) / temperature);
    };
    const double least_weight = static_cast<double>(sampling.min_p);
    uint32_t kept = 0;
    double total = 0.0;
    uint32_t first = 0;  // candidates_[first..first + kept) are the ones to draw from
    if (!ordered) {
        for (uint32_t i = 0; i < count; ++i) {
            const double w = weight(candidates_[i]);
            if (w < least_weight) continue;
            candidates_[kept] = candidates_[i];
            weights_[kept++] = w;
            total += w;
        }
    } else {
        for (uint32_t root = count / 2; root-- > 0;) sift_down(root, count);
        const uint32_t limit = sampling.top_k != 0 && sampling.top_k < count ? sampling.top_k : count;
        // top_p is a share of what top_k leaves: its sum must be known before the first is drawn.
        double sum_of_kept = 0.0;
        uint32_t heap = count;
        while (count - heap < limit) {
            // The best goes to the end of the array, behind the shrinking heap.
            const Candidate top = candidates_[0];
            --heap;
            candidates_[0] = candidates_[heap];
            candidates_[heap] = top;
            if (heap != 0) sift_down(0, heap);
            const double w = weight(top);
            sum_of_kept += w;
            // Far below what could change a sum, and sorted: the rest is the tail.
            if (sampling.top_k == 0 && w < 1e-18) break;
        }
        const double wanted = sum_of_kept * static_cast<double>(sampling.top_p);
        double reached = 0.0;
        for (uint32_t i = count; i-- > heap;) {
            const double w = weight(candidates_[i]);
            if (kept != 0 && (reached >= wanted || w < least_weight)) break;
            weights_[kept++] = w;
            reached += w;
        }
        total = reached;
        first = count - kept;
    }
    double left = random_.uniform() * total;
    uint32_t chosen = kept - 1;
    for (uint32_t i = 0; i < kept; ++i) {
        left -= weights_[i];
        if (left < 0.0) {
            chosen = i;
            break;
        }
    }
    token = ordered ? candidates_[count - 1 - chosen].id : candidates_[first + chosen].id;
    return Status::ok;
}

}  // namespace linnet
