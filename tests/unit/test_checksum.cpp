// The checksum that a later reading of the same bytes is compared with.
#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <vector>

#include "core/stream/checksum.h"

using namespace linnet;

namespace {

std::vector<uint8_t> some_bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    uint32_t state = 7;
    for (uint8_t& byte : bytes) {
        state = state * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(state >> 24);
    }
    return bytes;
}

uint32_t alone(const std::vector<uint8_t>& bytes) { return checksum(linnet_platform{}, bytes.data(), bytes.size()); }

}  // namespace

TEST_CASE("a checksum is the same whoever takes it, and from wherever the bytes stand") {
    linnet_platform platform{};
    platform.threads = 4;
    static uint32_t calls;
    calls = 0;
    platform.parallel = [](void*, linnet_task task, void* context, uint32_t count) {
        ++calls;
        for (uint32_t i = count; i-- > 0;) task(context, i);
    };
    for (const size_t count :
         {size_t{0}, size_t{1}, size_t{127}, size_t{65'536}, size_t{65'537}, size_t{200'003}, size_t{3'000'001}}) {
        CAPTURE(count);
        const std::vector<uint8_t> bytes = some_bytes(count);
        const uint32_t value = alone(bytes);
        CHECK(checksum(platform, bytes.data(), bytes.size()) == value);
        std::vector<uint8_t> moved(count + 3);
        for (size_t i = 0; i < count; ++i) moved[i + 3] = bytes[i];
        CHECK(checksum(platform, moved.data() + 3, count) == value);
    }
    CHECK(calls > 0);
}

TEST_CASE("every bit, every byte that is missing and every pair of equal changes changes a checksum") {
    std::vector<uint8_t> bytes = some_bytes(1'301);
    const uint32_t value = alone(bytes);
    std::set<uint32_t> values = {value};
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
        values.insert(alone(bytes));
        bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    }
    // Among ten thousand values of 32 bits two may be equal by chance; one in ten such sets has such a pair.
    CHECK(values.size() >= bytes.size() * 8 - 1);
    REQUIRE(alone(bytes) == value);
    for (size_t count = 0; count < bytes.size(); ++count) {
        CHECK(checksum(linnet_platform{}, bytes.data(), count) != value);
    }
    // The same bit in two words, as a bad line of a bus has it.
    for (const size_t distance : {4u, 16u, 64u, 128u}) {
        for (size_t top = 3; top + distance < bytes.size(); top += 4) {
            bytes[top] ^= 0x80;
            bytes[top + distance] ^= 0x80;
            CHECK(alone(bytes) != value);
            bytes[top] ^= 0x80;
            bytes[top + distance] ^= 0x80;
        }
    }
}
