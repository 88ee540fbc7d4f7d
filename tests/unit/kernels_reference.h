// What the kernel tests share: random numbers, aligned memory, random matrices, and a hash over every result.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/kernels/kernels.h"
#include "tests/unit/random_numbers.h"

namespace kernel_tests {

class Numbers : public linnet::RandomNumbers {
public:
    using RandomNumbers::RandomNumbers;
    // About normal: the sum of four.
    float bell() {
        float sum = unit();
        for (int i = 0; i < 3; ++i) sum += unit();
        return sum;
    }
    // A finite f16, subnormal and negative ones too; mostly of the size of a weight's scale.
    uint16_t half() {
        const uint32_t kind = below(16);
        const uint32_t sign = below(2) << 15;
        if (kind == 0) return static_cast<uint16_t>(sign);                  // zero
        if (kind == 1) return static_cast<uint16_t>(sign | below(0x400));   // subnormal
        if (kind == 2) return static_cast<uint16_t>(sign | below(0x7c00));  // any finite
        return static_cast<uint16_t>(sign | (0x1800 + below(0x0c00)));
    }
};

// How the numbers of a vector are spread.
enum class Spread { usual, huge, tiny, denormal, zeros, sparse, outlier };
inline constexpr Spread spreads[] = {Spread::usual, Spread::huge,   Spread::tiny,   Spread::denormal,
                                     Spread::zeros, Spread::sparse, Spread::outlier};

inline float spread_number(Numbers& numbers, Spread spread) {
    const float x = numbers.bell();
    switch (spread) {
        case Spread::usual: return x;
        case Spread::huge: return x * 0x1p60f;
        case Spread::tiny: return x * 0x1p-60f;
        case Spread::denormal: return x * 0x1p-130f;
        case Spread::zeros: return numbers.below(2) == 0 ? 0.0f : -0.0f;
        case Spread::sparse: return numbers.below(8) == 0 ? x : 0.0f;
        case Spread::outlier: return numbers.below(64) == 0 ? x * 300.0f : x;
    }
    return x;
}

// Values with `guard` known ones behind them, on a 64-byte line: a kernel that writes too far is seen.
template <typename T>
class Buffer {
public:
    explicit Buffer(size_t count) : count_(count), memory_(count * sizeof(T) + 64 + guard, guard_byte) {
        start_ = (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64;
        memset(memory_.data() + start_, 0, count * sizeof(T));
    }
    T* data() { return reinterpret_cast<T*>(memory_.data() + start_); }
    const T* data() const { return reinterpret_cast<const T*>(memory_.data() + start_); }
    T& operator[](size_t i) { return data()[i]; }
    const T& operator[](size_t i) const { return data()[i]; }
    size_t size() const { return count_; }
    size_t bytes() const { return count_ * sizeof(T); }
    bool intact() const {
        for (size_t i = start_ + bytes(); i < memory_.size(); ++i) {
            if (memory_[i] != guard_byte) return false;
        }
        return true;
    }
    bool operator==(const Buffer& other) const { return count_ == other.count_ && memcmp(data(), other.data(), bytes()) == 0; }

private:
    static constexpr size_t guard = 64;
    static constexpr unsigned char guard_byte = 0xa5;
    size_t count_;
    std::vector<unsigned char> memory_;
    size_t start_;
};

inline Buffer<float> random_floats(Numbers& numbers, size_t count, Spread spread) {
    Buffer<float> x(count);
    for (size_t i = 0; i < count; ++i) x[i] = spread_number(numbers, spread);
    return x;
}

// FNV-1a, 64 bits.
class Hash {
public:
    void add(const void* bytes, size_t count) {
        const unsigned char* from = static_cast<const unsigned char*>(bytes);
        for (size_t i = 0; i < count; ++i) value_ = (value_ ^ from[i]) * 0x100000001b3ull;
    }
    template <typename T>
    void add(const Buffer<T>& buffer) {
        add(buffer.data(), buffer.bytes());
    }
    uint64_t value() const { return value_; }

private:
    uint64_t value_ = 0xcbf29ce484222325ull;
};

struct Matrix {
    Buffer<uint8_t> bytes;
    linnet::PackedMatrix packed;
};

inline Matrix random_matrix(Numbers& numbers, linnet::TensorFormat format, uint32_t rows, uint32_t columns, uint32_t group,
                            Spread spread = Spread::usual) {
    using namespace linnet;
    const uint64_t stride = block_stride(format, columns, group);
    Matrix matrix{Buffer<uint8_t>(stride * block_count(rows)), {}};
    matrix.packed = {matrix.bytes.data(), format, rows, columns, group, stride};
    for (uint32_t block = 0; block < block_count(rows); ++block) {
        uint8_t* at = matrix.bytes.data() + block * stride;
        if (format == TensorFormat::f32_packed) {
            for (uint64_t i = 0; i < stride; i += 4) store<float>(at + i, spread_number(numbers, spread));
            continue;
        }
        // Every byte is a legal one; sometimes a whole block of the extremes, where a sum could saturate.
        const uint32_t kind = numbers.below(8);
        for (uint32_t column = 0; column < columns; column += block_columns) {
            uint8_t* step = at + step_offset(format, group, column);
            for (uint64_t i = 0; i < step_bytes(format); ++i)
                step[i] = static_cast<uint8_t>(kind == 0 ? 0 : kind == 1 ? 0xff : numbers.bits() & 0xff);
        }
        for (uint32_t g = 0; g < group_count(columns, group); ++g) {
            uint8_t* scales = at + scales_offset(format, group, g);
            for (uint32_t row = 0; row < rows_in_block; ++row) store<uint16_t>(scales + row * 2, numbers.half());
        }
    }
    return matrix;
}

// Activations of some tokens: as numbers, and quantised by the scalar kernel.
struct Tokens {
    uint32_t count;
    Buffer<float> f32;
    Buffer<int8_t> values;
    Buffer<float> scales;
    Buffer<int32_t> sums;
    linnet::Activations activations;
};

inline Tokens random_tokens(Numbers& numbers, const linnet::KernelTable& kernels, uint32_t count, uint32_t columns,
                            Spread spread) {
    const uint32_t padded = linnet::padded_columns(columns);
    const size_t stride = columns + numbers.below(3);
    Tokens tokens{count,
                  random_floats(numbers, count * stride, spread),
                  Buffer<int8_t>(size_t{count} * padded),
                  Buffer<float>(size_t{count} * padded / 32),
                  Buffer<int32_t>(size_t{count} * padded / 32),
                  {}};
    for (uint32_t token = 0; token < count; ++token) {
        kernels.quantize(tokens.f32.data() + token * stride, columns, tokens.values.data() + token * padded,
                         tokens.scales.data() + token * (padded / 32), tokens.sums.data() + token * (padded / 32));
    }
    tokens.activations = {tokens.f32.data(), tokens.values.data(), tokens.scales.data(), tokens.sums.data(), stride, padded};
    return tokens;
}

// The tables that this processor runs, the scalar one first.
inline std::vector<const linnet::KernelTable*> runnable_tables() {
    const linnet::KernelTable* const* built = nullptr;
    const size_t count = linnet::kernel_tables(&built);
    std::vector<const linnet::KernelTable*> tables;
    for (size_t i = count; i-- > 0;) {
        if (linnet::select_kernels(built[i]->name) != nullptr) tables.push_back(built[i]);
    }
    return tables;
}

}  // namespace kernel_tests
