// Random numbers for tests: the same on every machine, boards without a C++ library included.
#pragma once

#include <cstdint>

namespace linnet {

// SplitMix64.
class RandomNumbers {
public:
    explicit RandomNumbers(uint64_t seed) : state_(seed) {}
    uint64_t bits() {
        state_ += 0x9e3779b97f4a7c15ull;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    uint32_t below(uint32_t limit) { return static_cast<uint32_t>(bits() % limit); }
    // [-1, 1), 24 bits: exact in float.
    float unit() { return static_cast<float>(static_cast<int32_t>(bits() >> 39) - (1 << 24)) * 0x1p-24f; }

private:
    uint64_t state_;
};

}  // namespace linnet
