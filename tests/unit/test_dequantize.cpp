// The dequantisers against tests/oracle/ggml_types.py, which computes the same pseudo-random blocks in numpy from the formats'
// definitions and prints the constants below. Bits are compared: every step is exact or one correctly rounded float operation in
// a fixed order, so there is no tolerance.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "tools/converter/iq2_grid.h"
#include "tools/converter/source.h"

using namespace linnet;

namespace {

std::vector<uint8_t> splitmix64_bytes(size_t bytes, uint64_t seed) {
    std::vector<uint8_t> result((bytes + 7) / 8 * 8);
    uint64_t state = seed;
    for (size_t i = 0; i < result.size(); i += 8) {
        state += 0x9e3779b97f4a7c15u;
        uint64_t z = state;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        store<uint64_t>(result.data() + i, z ^ z >> 31);
    }
    result.resize(bytes);
    return result;
}

struct Case {
    SourceType type;
    std::vector<uint32_t> halves;  // offsets of half-precision numbers in a block: kept finite
    uint32_t blocks_crc, values_crc;
};

const Case cases[] = {
    {SourceType::f32, {}, 0x4812bee4, 0x4812bee4},        {SourceType::f16, {0}, 0xac7067b8, 0xc7d42d6d},
    {SourceType::bf16, {}, 0xb64f3f69, 0x0389acbf},       {SourceType::q4_0, {0}, 0x32a6d0ea, 0x585d5d6d},
    {SourceType::q4_1, {0, 2}, 0xdb7746cd, 0x5f2efa3d},   {SourceType::q5_0, {0}, 0xc1220626, 0xf1d4fc80},
    {SourceType::q5_1, {0, 2}, 0x5760b247, 0xac4007a0},   {SourceType::q8_0, {0}, 0x6c298f35, 0x80193933},
    {SourceType::q2_k, {80, 82}, 0xe5deeea2, 0xdedee101}, {SourceType::q3_k, {108}, 0x688342da, 0x99265be0},
    {SourceType::q4_k, {0, 2}, 0x227f4561, 0x87cff99e},   {SourceType::q5_k, {0, 2}, 0x399d5e85, 0x697f4016},
    {SourceType::q6_k, {208}, 0x8264e3a6, 0xc1bb85e0},    {SourceType::iq2_xxs, {0}, 0xb73a0710, 0xb3fd321f},
    {SourceType::iq4_nl, {0}, 0x4ba7638e, 0xc6567110},
};

constexpr uint32_t total_values = 8192;

std::vector<uint8_t> blocks_of(const Case& item) {
    const uint32_t size = source_block_bytes(item.type);
    const uint32_t count = total_values / source_block_values(item.type);
    std::vector<uint8_t> blocks = splitmix64_bytes(size_t{count} * size, 1000 + static_cast<uint64_t>(item.type));
    for (uint32_t i = 0; i < count; ++i) {
        uint8_t* block = blocks.data() + size_t{i} * size;
        if (item.type == SourceType::f32) block[3] &= 0xbf;
        if (item.type == SourceType::bf16) block[1] &= 0xbf;
        for (uint32_t offset : item.halves) {
            if ((block[offset + 1] & 0x7c) == 0x7c) block[offset + 1] ^= 0x40;
        }
    }
    return blocks;
}

}  // namespace

TEST_CASE("dequantize gives the reference's bits for every type") {
    for (const Case& item : cases) {
        CAPTURE(source_type_name(item.type));
        const std::vector<uint8_t> blocks = blocks_of(item);
        CHECK(crc32c(0, blocks.data(), blocks.size()) == item.blocks_crc);
        std::vector<float> values(total_values);
        dequantize(item.type, blocks.data(), total_values, values.data());
        CHECK(crc32c(0, values.data(), values.size() * 4) == item.values_crc);
    }
}

TEST_CASE("an infinite or undefined half-precision scale stays so") {
    for (const Case& item : cases) {
        for (uint32_t offset : item.halves) {
            for (const uint16_t half : {uint16_t{0x7c00}, uint16_t{0xfc00}, uint16_t{0x7e01}}) {
                CAPTURE(source_type_name(item.type));
                std::vector<uint8_t> block = blocks_of(item);
                block.resize(source_block_bytes(item.type));
                store<uint16_t>(block.data() + offset, half);
                std::vector<float> values(source_block_values(item.type));
                dequantize(item.type, block.data(), values.size(), values.data());
                bool finite = true;
                for (float value : values) finite = finite && std::isfinite(value);
                CHECK_FALSE(finite);
            }
        }
    }
}

TEST_CASE("IQ2_XXS's grid is the format's") {
    // CRC-32C of the table as the format spells it: 256 times eight bytes, each 8, 25 or 43.
    std::vector<uint8_t> spelled;
    for (const uint16_t pattern : iq2_xxs_grid) {
        for (uint32_t i = 0; i < 8; ++i) {
            REQUIRE((pattern >> (2 * i) & 3) < 3);
            spelled.push_back(iq2_magnitudes[pattern >> (2 * i) & 3]);
        }
    }
    CHECK(crc32c(0, spelled.data(), spelled.size()) == 0x6323793du);
}
