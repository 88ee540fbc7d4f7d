#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>

#include "core/base/bytes.h"
#include "core/ops/math.h"

using namespace linnet;

TEST_CASE("log_double and exp_double follow libm to a few units in the last place") {
    for (double x : {1.0, 2.0, 10000.0, 1e-300, 1e300, 0.7071, 1.41421, 3.5, 500000.0}) {
        CHECK(log_double(x) == doctest::Approx(std::log(x)).epsilon(1e-15));
    }
    for (double x = -700.0; x < 700.0; x += 0.37) {
        CHECK(exp_double(x) == doctest::Approx(std::exp(x)).epsilon(4e-15));
    }
    CHECK(exp_double(0.0) == 1.0);
    CHECK(exp_double(-1e9) == 0.0);
    CHECK(exp_double(std::nan("")) == 0.0);
}

TEST_CASE("sine_cosine is right for every position times frequency up to 2^20") {
    double worst = 0;
    for (double x = 0; x < 1048000.0; x += 7.7123) {
        const SineCosine value = sine_cosine(x);
        worst = std::fmax(worst, std::fabs(value.sine - std::sin(x)));
        worst = std::fmax(worst, std::fabs(value.cosine - std::cos(x)));
    }
    // Rounded to float afterwards (6e-8): far below.
    CHECK(worst < 1e-14);
}

TEST_CASE("half precision: every value survives the way to float and back") {
    for (uint32_t half = 0; half < 0x10000; ++half) {
        if ((half & 0x7c00u) == 0x7c00u) continue;  // Inf and NaN are refused at conversion
        CHECK(float_to_half(half_to_float(static_cast<uint16_t>(half))) == half);
    }
    CHECK(half_to_float(0x3c00) == 1.0f);
    CHECK(half_to_float(0x0001) == 0x1p-24f);
    CHECK(half_to_float(0x8001) == -0x1p-24f);
    CHECK(half_to_float(0x7bff) == 65504.0f);
    CHECK(float_to_half(1.0f + 0x1p-11f) == 0x3c00);      // a tie goes to even
    CHECK(float_to_half(1.0f + 3 * 0x1p-11f) == 0x3c02);  // upwards too
    CHECK(float_to_half(65519.0f) == 0x7bff);
    CHECK(float_to_half(65520.0f) == 0x7c00);
}
