// Chooses the next token. Everything is in double precision with our own exp and our own random numbers, in one order, so that a
// seed gives the same text on every platform.
#pragma once

#include <cstring>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/linnet.h"

namespace linnet {

// xoshiro256++ (Blackman and Vigna, 2019), seeded by SplitMix64.
class Random {
public:
    void seed(uint64_t value);
    double uniform();  // [0, 1), 53 bits
    void keep(uint64_t (&state)[4]) const { memcpy(state, state_, sizeof state_); }
    void go_on(const uint64_t (&state)[4]) { memcpy(state_, state, sizeof state_); }

private:
    uint64_t state_[4] = {};
};

class Sampler {
public:
    void create(uint32_t vocabulary, Arena& arena);
    // The next choice begins its seed's numbers anew.
    void restart() { seeded_ = false; }
    // Where in its random numbers a sampler is, so that another one goes on there.
    struct State {
        uint64_t random[4];
        uint64_t seed;
        bool seeded;
    };
    State state() const {
        State state{};
        random_.keep(state.random);
        state.seed = seed_;
        state.seeded = seeded_;
        return state;
    }
    void go_on(const State& state) {
        random_.go_on(state.random);
        seed_ = state.seed;
        seeded_ = state.seeded;
    }

    // Refuses what is out of range, with the field's name.
    static Status check(const linnet_sampling& sampling, Error& error);

    // `usable`: ids at and above are never chosen. `recent`: the tokens that the repetition penalty looks at.
    Status choose(const float* logits, uint32_t usable, const linnet_sampling& sampling, const int32_t* recent,
                  size_t recent_count, int32_t& token, Error& error);

private:
    struct Candidate {
        float logit;
        int32_t id;
    };
    static bool better(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }
    void sift_down(uint32_t root, uint32_t count);

    Candidate* candidates_ = nullptr;
    double* weights_ = nullptr;
    uint32_t* penalised_ = nullptr;  // bit set by id
    uint32_t vocabulary_ = 0;
    Random random_;
    uint64_t seed_ = 0;
    bool seeded_ = false;
};

}  // namespace linnet
