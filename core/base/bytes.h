// Little-endian bytes and half-precision numbers, read and written without assuming alignment or byte order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace linnet {

static_assert(std::endian::native == std::endian::little, "Linnet's packed weights are little-endian");

template <typename T>
inline T load(const void* from) {
    T value;
    memcpy(&value, from, sizeof value);
    return value;
}

template <typename T>
inline void store(void* to, T value) {
    memcpy(to, &value, sizeof value);
}

constexpr uint64_t align_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }
constexpr uint32_t ceil_div(uint32_t value, uint32_t by) { return value / by + (value % by != 0); }

// IEEE binary16 to binary32: exact for every finite value, subnormals included. Inf and NaN are refused when
// a model is converted, and read here as large finite numbers, which is what the vector kernels do too.
inline float half_to_float(uint16_t half) {
    const uint32_t bits = (static_cast<uint32_t>(half & 0x8000u) << 16) | (static_cast<uint32_t>(half & 0x7fffu) << 13);
    return std::bit_cast<float>(bits) * 0x1p112f;
}

// binary32 to binary16, round to nearest even; too large becomes infinity.
inline uint16_t float_to_half(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) return static_cast<uint16_t>(sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u));
    if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
        // Subnormal half: let the float adder round at the right place.
        const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000u));
    }
    const uint32_t rebased = magnitude - 0x38000000u;
    return static_cast<uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
}

}  // namespace linnet
