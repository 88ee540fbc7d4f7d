// What the kernel tests of the boards share: memory from the board's arena, random numbers, comparison, and lines over the
// UART.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/kernels.h"
#include "tests/unit/random_numbers.h"

extern "C" {
#include "embedded/common/answer.h"
}

namespace board_tests {

using Numbers = linnet::RandomNumbers;

// 2^power, for powers of normal numbers.
inline float power_of_two(int32_t power) { return std::bit_cast<float>(static_cast<uint32_t>(power + 127) << 23); }

// Memory that is all given back by beginning anew. 64-aligned.
class Memory {
public:
    void begin() { used_ = 0; }
    template <typename T>
    T* take(size_t count) {
        T* at = reinterpret_cast<T*>(board_arena_begin + used_);
        used_ += (count * sizeof(T) + 63) / 64 * 64;
        if (board_arena_begin + used_ > board_arena_end) {
            say("The board's memory is too small for this test.\n");
            board_end(71);
        }
        memset(at, 0, count * sizeof(T));
        return at;
    }

private:
    size_t used_ = 0;
};

// How the numbers of a vector are spread. `anywhere` is around a random power of two, and half of the time around one of
// those up to `edge`, where what a kernel makes of them is subnormal; `scattered` has such a power for every number.
enum class Spread : uint32_t { usual, anywhere, scattered, denormal, zeros, sparse, odd, count };

inline float random_power(Numbers& numbers, int32_t edge) {
    const bool at_edge = numbers.below(2) == 0;
    return power_of_two(at_edge ? edge - static_cast<int32_t>(numbers.below(8))
                                : static_cast<int32_t>(numbers.below(190)) - 125);
}

inline void fill(Numbers& numbers, Spread spread, float* x, size_t count, int32_t edge = -100) {
    float scale = random_power(numbers, edge);
    for (size_t i = 0; i < count; ++i) {
        const float value = numbers.unit() + numbers.unit() + numbers.unit();
        if (spread == Spread::scattered) scale = random_power(numbers, edge);
        switch (spread) {
            case Spread::anywhere:
            case Spread::scattered: x[i] = value * scale; break;
            case Spread::denormal: x[i] = value * 0x1p-126f * 0x1p-4f; break;
            case Spread::zeros: x[i] = numbers.below(2) == 0 ? 0.0f : -0.0f; break;
            case Spread::sparse: x[i] = numbers.below(8) == 0 ? value : 0.0f; break;
            // Infinities and NaN now and then.
            case Spread::odd:
                x[i] = numbers.below(64) == 0 ? std::bit_cast<float>(numbers.below(2) == 0 ? 0x7f800000u : 0x7fc00000u) : value;
                break;
            default: x[i] = value * 4;
        }
    }
}

// Equal bits, or both NaN: the payload of a NaN is the compiler's choice.
inline bool same(const float* a, const float* b, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        const uint32_t x = std::bit_cast<uint32_t>(a[i]);
        const uint32_t y = std::bit_cast<uint32_t>(b[i]);
        if (x != y && ((x & 0x7fffffffu) <= 0x7f800000u || (y & 0x7fffffffu) <= 0x7f800000u)) return false;
    }
    return true;
}
inline bool same_bytes(const void* a, const void* b, size_t bytes) { return memcmp(a, b, bytes) == 0; }

}  // namespace board_tests
