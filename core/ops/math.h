// The few transcendental functions that are needed in double precision, the same on every platform: RoPE's angles and
// frequencies, and the sampler's probabilities. No libm, no table, no contraction; a few units in the last place.
#pragma once

#include <bit>
#include <cstdint>

namespace linnet {

// Natural logarithm of a positive, normal number.
inline double log_double(double x) {
    const uint64_t bits = std::bit_cast<uint64_t>(x);
    int64_t exponent = static_cast<int64_t>(bits >> 52) - 1023;
    double mantissa = std::bit_cast<double>((bits & 0x000fffffffffffffull) | 0x3ff0000000000000ull);
    if (mantissa > 1.4142135623730951) {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 atanh(s), |s| <= 0.1716: the last term is below 1e-18.
    const double s = (mantissa - 1.0) / (mantissa + 1.0);
    const double square = s * s;
    double series = 1.0 / 23.0;
    for (int term = 21; term >= 1; term -= 2) series = series * square + 1.0 / term;
    return static_cast<double>(exponent) * 0.6931471805599453 + 2.0 * s * series;
}

// e to the power x; 0 below about -708 and the largest finite number's neighbourhood above 709.
inline double exp_double(double x) {
    if (!(x > -708.0)) return 0.0;
    if (x > 709.0) x = 709.0;
    const double scaled = x * 1.4426950408889634;
    const int64_t n = static_cast<int64_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    const double whole = static_cast<double>(n);
    const double r = (x - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10;
    double sum = 1.0;
    for (int term = 16; term >= 1; --term) sum = 1.0 + sum * r / term;
    return sum * std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

struct SineCosine {
    double sine, cosine;
};

// For 0 <= x < 2^20 (a position times a frequency).
inline SineCosine sine_cosine(double x) {
    const int64_t quarter = static_cast<int64_t>(x * 0.63661977236758134308 + 0.5);
    const double whole = static_cast<double>(quarter);
    // pi/2 in three parts of 33 bits: whole * part is exact for whole < 2^20.
    double r = x - whole * 1.57079632673412561417;
    r = r - whole * 6.07710050630396597660e-11;
    r = r - whole * 2.02226624879595063154e-21;
    const double square = r * r;
    double sine = 1.0, cosine = 1.0;
    for (int k = 18; k >= 2; k -= 2) {
        sine = 1.0 - sine * square / static_cast<double>(k * (k + 1));
        cosine = 1.0 - cosine * square / static_cast<double>(k * (k - 1));
    }
    sine *= r;
    switch (quarter & 3) {
        case 0: return {sine, cosine};
        case 1: return {cosine, -sine};
        case 2: return {-sine, -cosine};
        default: return {-cosine, sine};
    }
}

}  // namespace linnet
