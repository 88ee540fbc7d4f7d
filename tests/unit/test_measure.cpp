// Rates that the time of a token is predicted from: measured on a clock that only the test moves.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "core/linnet.h"
#include "platform/fake/fake.h"
#include "platform/posix/posix.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

struct Setup {
    FakePlatform fake{synth_bytes("tiny")};
    linnet_options options = linnet_default_options();
    ArenaMemory memory;
    linnet_rates rates{};
    linnet_error error{};

    Setup() { REQUIRE(memory.allocate(4 << 20)); }
    linnet_status measure(size_t bytes) {
        return linnet_measure(&fake.platform(), &options, memory.data(), bytes, &rates, &error);
    }
};

}  // namespace

TEST_CASE("the storage's rate is what it is, in pairs of reads and one by one, with much memory and with little") {
    Setup setup;
    for (const bool blocking : {false, true}) {
        for (const size_t bytes : {size_t{4} << 20, size_t{100} << 10}) {
            CAPTURE(blocking);
            CAPTURE(bytes);
            Faults faults;
            faults.bytes_per_second = 1'000'000;
            faults.blocking = blocking;
            setup.fake.restart(faults);
            REQUIRE_MESSAGE(setup.measure(bytes) == LINNET_OK, std::string(setup.error.text));
            // Each look at the fake clock moves it by 0.1 ms, which is up to 1% of the time of a slot in the small memory.
            CHECK(setup.rates.read_bytes_per_second > 985'000);
            CHECK(setup.rates.read_bytes_per_second <= 1'000'000);
            CHECK(setup.rates.read_bytes >= 290'000);
            CHECK(setup.rates.compute_bytes_per_second > 0);
            if (bytes > 1 << 20) CHECK(setup.rates.use_bytes_per_second > 0);
            CHECK((setup.rates.not_hidden >= 0 && setup.rates.not_hidden <= 1));
            CHECK(setup.rates.microseconds > 300'000);
            CHECK(setup.rates.microseconds < 1'000'000);
            CHECK(setup.fake.under_way() == 0);
            CHECK(setup.fake.violations() == 0);
        }
    }
}

TEST_CASE("weights that are mapped are computed with where they are, and nothing is read") {
    Setup setup;
    Faults faults;
    faults.mapped = true;
    setup.fake.restart(faults);
    REQUIRE(setup.measure(100 << 10) == LINNET_OK);
    CHECK(setup.rates.read_bytes == 0);
    CHECK(setup.rates.read_bytes_per_second == 0);
    CHECK(setup.rates.compute_bytes_per_second > 0);
}

TEST_CASE("a measurement that cannot be made says why and leaves nothing under way") {
    Setup setup;
    CHECK(setup.measure(1000) == LINNET_DOES_NOT_FIT);
    CHECK(setup.measure(20'000) == LINNET_DOES_NOT_FIT);
    CHECK(std::string(setup.error.text).find("Measuring this model needs at least ") == 0);
    CHECK(linnet_measure(&setup.fake.platform(), &setup.options, static_cast<char*>(setup.memory.data()) + 64, 1 << 20,
                         &setup.rates, &setup.error) == LINNET_BAD_ARGUMENT);
    setup.options.memory = 1000;
    CHECK(setup.measure(4 << 20) == LINNET_DOES_NOT_FIT);  // of the plan: there is no such model to measure
    setup.options.memory = 0;

    linnet_platform no_clock = setup.fake.platform();
    no_clock.ticks = nullptr;
    CHECK(linnet_measure(&no_clock, &setup.options, setup.memory.data(), 4 << 20, &setup.rates, &setup.error) ==
          LINNET_UNSUPPORTED);

    REQUIRE(setup.measure(4 << 20) == LINNET_OK);
    setup.fake.restart({});
    REQUIRE(setup.measure(4 << 20) == LINNET_OK);
    const uint64_t reads = setup.fake.reads();
    const uint64_t few = reads < 60 ? reads : 60;
    for (uint64_t n = 1; n <= few; ++n) {
        for (const bool at_begin : {false, true}) {
            Faults faults;
            faults.fail_read = n;
            faults.fail_at_begin = at_begin;
            setup.fake.restart(faults);
            CHECK(setup.measure(4 << 20) == LINNET_IO);
            CHECK(setup.fake.under_way() == 0);
        }
        Faults faults;
        faults.cancel_yield = n;
        faults.bytes_per_second = 10'000'000;
        setup.fake.restart(faults);
        const linnet_status status = setup.measure(4 << 20);
        CHECK((status == LINNET_CANCELLED || (status == LINNET_OK && setup.fake.yields() < n)));
        CHECK(setup.fake.under_way() == 0);
    }
}

TEST_CASE("the time of a token is the longer of reading and of computing, and what is not hidden behind it") {
    linnet_plan plan{};
    plan.weight_bytes_per_token = 2'000'000;
    plan.kv_bytes_per_token = 1'000'000;
    plan.streamed_bytes_per_pass = 500'000;
    plan.streamed_bytes_per_pass_at_start = 100'000;
    plan.spilled_bytes = 250'000;
    linnet_rates rates{};
    rates.read_bytes_per_second = 100'000;
    rates.compute_bytes_per_second = 1'000'000;
    // Powers of ten that are no powers of two: the quotients are rounded once each.
    CHECK(linnet_predict_token_seconds(&plan, &rates, 0) == doctest::Approx(2.0));
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == doctest::Approx(7.5));
    rates.read_bytes_per_second = 1'000'000;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == doctest::Approx(3.0));
    // What streams is computed with at half the rate: 750 kB more than a second's worth.
    rates.use_bytes_per_second = 500'000;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == doctest::Approx(3.75));
    rates.not_hidden = 1;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == doctest::Approx(4.5));
    rates.not_hidden = 0.5;
    rates.read_bytes_per_second = 100'000;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == doctest::Approx(7.5 + 3.75 / 2));
    rates.use_bytes_per_second = rates.not_hidden = 0;
    rates.read_bytes_per_second = 0;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == 0);
    plan.streamed_bytes_per_pass = plan.spilled_bytes = 0;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == doctest::Approx(3.0));
    rates.compute_bytes_per_second = 0;
    CHECK(linnet_predict_token_seconds(&plan, &rates, 1) == 0);
}
