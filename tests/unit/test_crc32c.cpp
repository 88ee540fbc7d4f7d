#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "core/base/crc32c.h"

using namespace linnet;

namespace {

// One bit at a time, straight from the definition.
uint32_t plain(uint32_t crc, const uint8_t* bytes, size_t count) {
    crc = ~crc;
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    }
    return ~crc;
}

}  // namespace

TEST_CASE("crc32c gives the published values") {
    CHECK(crc32c(0, "123456789", 9) == 0xe3069283u);
    CHECK(crc32c(0, "", 0) == 0u);
    // RFC 3720, B.4.
    std::vector<uint8_t> bytes(32, 0);
    CHECK(crc32c(0, bytes.data(), 32) == 0x8a9136aau);
    bytes.assign(32, 0xff);
    CHECK(crc32c(0, bytes.data(), 32) == 0x62a8ab43u);
    for (size_t i = 0; i < 32; ++i) bytes[i] = static_cast<uint8_t>(i);
    CHECK(crc32c(0, bytes.data(), 32) == 0x46dd794eu);
}

TEST_CASE("crc32c is the bitwise one at every length and offset, and goes on from where it was") {
    std::vector<uint8_t> bytes(512);
    uint32_t state = 12345;
    for (uint8_t& byte : bytes) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(state >> 24);
    }
    for (size_t offset = 0; offset < 9; ++offset) {
        for (size_t count = 0; count < 80; ++count) {
            const uint32_t whole = crc32c(0, bytes.data() + offset, count);
            REQUIRE(whole == plain(0, bytes.data() + offset, count));
            REQUIRE(whole == crc32c_portable(0, bytes.data() + offset, count));
            const size_t first = count / 3;
            REQUIRE(crc32c(crc32c(0, bytes.data() + offset, first), bytes.data() + offset + first, count - first) == whole);
        }
    }
    CHECK(crc32c(0, bytes.data(), bytes.size()) == plain(0, bytes.data(), bytes.size()));
}

TEST_CASE("crc32c of long stretches, which are gone through three at a time, is the bitwise one") {
    std::vector<uint8_t> bytes(40'000);
    uint32_t state = 99;
    for (uint8_t& byte : bytes) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(state >> 24);
    }
    for (const size_t count : {6143u, 6144u, 6145u, 6151u, 12'287u, 12'288u, 20'000u, 39'990u}) {
        for (const size_t offset : {0u, 1u, 7u}) {
            CAPTURE(count);
            CAPTURE(offset);
            const uint8_t* at = bytes.data() + offset;
            const uint32_t before = plain(0, bytes.data(), offset);
            const uint32_t whole = plain(before, at, count);
            CHECK(crc32c(before, at, count) == whole);
            CHECK(crc32c_portable(before, at, count) == whole);
        }
    }
}
