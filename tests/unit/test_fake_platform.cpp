// The fake platform breaks where it is told to, and nowhere else.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "platform/fake/fake.h"

using namespace linnet;

namespace {

std::vector<uint8_t> counting_bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
    return bytes;
}

constexpr size_t page = 4096;

}  // namespace

TEST_CASE("reads, yields and mappings break by their number") {
    FakePlatform fake(counting_bytes(1000));
    const linnet_platform& platform = fake.platform();
    uint8_t buffer[100];
    Faults faults;
    faults.fail_read = 2;
    faults.corrupt_read = 3;
    faults.cancel_yield = 2;
    fake.restart(faults);
    CHECK(platform.read(platform.context, 0, buffer, 100) == 0);
    CHECK(memcmp(buffer, fake.bytes().data(), 100) == 0);
    CHECK(platform.read(platform.context, 0, buffer, 100) == faults.error);
    CHECK(platform.read(platform.context, 0, buffer, 100) == 0);
    CHECK(memcmp(buffer, fake.bytes().data(), 100) != 0);
    CHECK(platform.read(platform.context, 950, buffer, 100) != 0);
    CHECK(platform.yield(platform.context) == 0);
    CHECK(platform.yield(platform.context) == 1);
    CHECK(platform.yield(platform.context) == 0);
    faults.mapped = true;
    fake.restart(faults);
    const auto* mapped = static_cast<const uint8_t*>(platform.map(platform.context, 64, 100));
    REQUIRE(mapped != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(mapped) % 64 == 0);
    CHECK(memcmp(mapped, fake.bytes().data() + 64, 100) == 0);
    CHECK(platform.map(platform.context, 950, 100) == nullptr);
}

TEST_CASE("begun reads arrive with the wait for them, faults included") {
    FakePlatform fake(counting_bytes(1000));
    const linnet_platform& platform = fake.platform();
    uint8_t first[100];
    uint8_t second[100];
    uint32_t tickets[2];
    Faults faults;
    faults.fail_read = 3;
    faults.corrupt_offset = 150;
    faults.corrupt_bytes = 10;
    faults.corrupt_times = 1;
    fake.restart(faults);
    REQUIRE(platform.begin_read(platform.context, 0, first, 100, &tickets[0]) == 0);
    REQUIRE(platform.begin_read(platform.context, 100, second, 100, &tickets[1]) == 0);
    CHECK(fake.under_way() == 2);
    CHECK(memcmp(first, fake.bytes().data(), 100) != 0);
    uint32_t third;
    CHECK(platform.begin_read(platform.context, 0, first, 1, &third) != 0);
    CHECK(fake.violations() == 1);
    CHECK(platform.wait(platform.context, tickets[1]) == 0);
    CHECK(platform.wait(platform.context, tickets[0]) == 0);
    CHECK(memcmp(first, fake.bytes().data(), 100) == 0);
    CHECK(memcmp(second, fake.bytes().data() + 100, 50) == 0);
    CHECK(second[50] == (fake.bytes()[150] ^ 0x10));
    CHECK(second[59] == (fake.bytes()[159] ^ 0x10));
    CHECK(second[60] == fake.bytes()[160]);
    CHECK(platform.wait(platform.context, tickets[0]) != 0);
    CHECK(fake.violations() == 2);
    REQUIRE(platform.begin_read(platform.context, 100, second, 100, &tickets[0]) == 0);  // the third, which fails
    CHECK(platform.wait(platform.context, tickets[0]) == faults.error);
    REQUIRE(platform.begin_read(platform.context, 100, second, 100, &tickets[0]) == 0);
    CHECK(platform.wait(platform.context, tickets[0]) == 0);
    CHECK(memcmp(second, fake.bytes().data() + 100, 100) == 0);  // wrong once, and no more
    faults.fail_read = 1;
    faults.fail_at_begin = true;
    fake.restart(faults);
    CHECK(platform.begin_read(platform.context, 0, first, 100, &tickets[0]) == faults.error);
    CHECK(fake.under_way() == 0);
    faults.blocking = true;
    fake.restart(faults);
    CHECK_FALSE(static_cast<bool>(platform.begin_read));
    CHECK_FALSE(static_cast<bool>(platform.wait));
    CHECK_FALSE(static_cast<bool>(platform.begin_scratch_read));
}

TEST_CASE("scratch storage holds what was written, fills up, fails and lies as told") {
    FakePlatform fake(counting_bytes(10));
    const linnet_platform& platform = fake.platform();
    std::vector<uint8_t> ones(2 * page, 1);
    std::vector<uint8_t> got(2 * page);
    Faults faults;
    faults.scratch_full = 4 * page;
    faults.corrupt_scratch_read = 2;
    faults.fail_scratch_read = 3;
    faults.fail_scratch_write = 3;
    fake.restart(faults);
    CHECK(platform.scratch_write(platform.context, 2 * page, ones.data(), 2 * page) == 0);
    CHECK(platform.scratch_write(platform.context, 4 * page, ones.data(), page) == faults.scratch_error);
    CHECK(platform.scratch_write(platform.context, 0, ones.data(), page) == faults.scratch_error);  // the third
    CHECK(platform.scratch_read(platform.context, 2 * page, got.data(), 2 * page) == 0);
    CHECK(got == ones);
    CHECK(platform.scratch_read(platform.context, 2 * page, got.data(), 2 * page) == 0);
    CHECK(got != ones);
    CHECK(platform.scratch_read(platform.context, 2 * page, got.data(), 2 * page) == faults.scratch_error);
    uint32_t ticket;
    CHECK(platform.begin_scratch_read(platform.context, 3 * page, got.data(), page, &ticket) == 0);
    CHECK(fake.violations() == 0);
    CHECK(platform.scratch_write(platform.context, 2 * page, ones.data(), 2 * page) != 0);  // while it is read
    CHECK(fake.violations() == 1);
    CHECK(platform.wait(platform.context, ticket) == 0);
    CHECK(got[0] == 1);
    CHECK(platform.scratch_read(platform.context, 0, got.data(), page) != 0);  // never written
    CHECK(platform.scratch_read(platform.context, 5, got.data(), page) != 0);
    CHECK(platform.scratch_write(platform.context, 0, ones.data(), 5) != 0);
    CHECK(fake.violations() == 4);
}

TEST_CASE("the fake clock: reads take their time, and those that were begun take it together with other work") {
    FakePlatform fake(counting_bytes(1'000'000));
    const linnet_platform& platform = fake.platform();
    std::vector<uint8_t> first(500'000);
    std::vector<uint8_t> second(500'000);
    Faults faults;
    faults.bytes_per_second = 100'000'000;
    faults.stall_read = 3;
    faults.stall_microseconds = 70'000;
    fake.restart(faults);
    const uint64_t start = fake.clock();
    REQUIRE(platform.read(platform.context, 0, first.data(), first.size()) == 0);
    CHECK(fake.clock() - start == 5000);
    uint32_t tickets[2];
    REQUIRE(platform.begin_read(platform.context, 0, first.data(), first.size(), &tickets[0]) == 0);
    CHECK(fake.clock() - start == 5000);
    for (int i = 0; i < 30; ++i) platform.ticks(platform.context);  // 3 ms of other work
    REQUIRE(platform.begin_read(platform.context, 500'000, second.data(), second.size(), &tickets[1]) == 0);
    CHECK(platform.wait(platform.context, tickets[0]) == 0);
    CHECK(fake.clock() - start == 10'000);
    CHECK(platform.wait(platform.context, tickets[1]) == 0);
    CHECK(fake.clock() - start == 85'000);
}
