// Dequantisers of ggml's super-blocks of 256 values: small scales of groups of 16 or 32 values, which a half-precision scale
// multiplies.
#include "tools/converter/dequantize.h"
#include "tools/converter/iq2_grid.h"

namespace linnet {

namespace {

// Q4_K and Q5_K: eight 6-bit scales and eight 6-bit minima in twelve bytes. The first four of each stand in the low six bits of
// bytes 0..7; of the others, the low four bits stand in bytes 8..11 and the upper two in the top bits of bytes 0..7.
struct ScaleAndMinimum {
    float scale, minimum;
};

ScaleAndMinimum scale_of_group(const uint8_t* packed, uint32_t group, float scale, float minimum) {
    uint32_t s, m;
    if (group < 4) {
        s = packed[group] & 63u;
        m = packed[group + 4] & 63u;
    } else {
        s = (packed[group + 4] & 15u) | static_cast<uint32_t>(packed[group - 4] >> 6) << 4;
        m = static_cast<uint32_t>(packed[group + 4] >> 4) | static_cast<uint32_t>(packed[group] >> 6) << 4;
    }
    return {scale * static_cast<float>(s), minimum * static_cast<float>(m)};
}

}  // namespace

// scales u8[16] (low nibble: scale, high: minimum), codes u8[64], f16 scale, f16 minimum. Bits 2k and 2k + 1 of the 32 bytes of
// half h hold the values 128 h + 32 k + 0..31.
void dequantize_q2_k(const uint8_t* block, float* to) {
    const uint8_t* codes = block + 16;
    const float scale = half_exactly(block + 80);
    const float minimum = half_exactly(block + 82);
    for (uint32_t group = 0; group < 16; ++group) {
        const float group_scale = scale * static_cast<float>(block[group] & 15);
        const float group_minimum = minimum * static_cast<float>(block[group] >> 4);
        const uint8_t* bytes = codes + group / 8 * 32 + group % 2 * 16;
        const uint32_t shift = group % 8 / 2 * 2;
        for (uint32_t i = 0; i < 16; ++i) {
            to[group * 16 + i] = group_scale * static_cast<float>(bytes[i] >> shift & 3) - group_minimum;
        }
    }
}

// high bits u8[32], low two bits u8[64] (placed as Q2_K's), scales u8[12], f16 scale. The third bit of group g stands in bit g / 2
// of the high bytes; where it is clear, 4 is taken off. The sixteen 6-bit scales are offset by 32: low nibbles in scale bytes
// 0..7 (of 0..7 low, of 8..15 high), the upper two bits in bytes 8..11.
void dequantize_q3_k(const uint8_t* block, float* to) {
    const uint8_t* codes = block + 32;
    const uint8_t* packed = block + 96;
    const float scale = half_exactly(block + 108);
    for (uint32_t group = 0; group < 16; ++group) {
        const uint32_t low = packed[group % 8] >> (group / 8 * 4) & 15u;
        const uint32_t high = packed[8 + group % 4] >> (group / 4 * 2) & 3u;
        const float group_scale = scale * static_cast<float>(static_cast<int32_t>(low | high << 4) - 32);
        const uint8_t* bytes = codes + group / 8 * 32 + group % 2 * 16;
        const uint8_t* high_bytes = block + group % 2 * 16;
        const uint32_t shift = group % 8 / 2 * 2;
        for (uint32_t i = 0; i < 16; ++i) {
            const int32_t offset = (high_bytes[i] >> (group / 2) & 1) != 0 ? 0 : 4;
            to[group * 16 + i] = group_scale * static_cast<float>((bytes[i] >> shift & 3) - offset);
        }
    }
}

// f16 scale, f16 minimum, packed scales u8[12], codes u8[128]: 32 bytes hold two groups of 32, in the low and the high nibbles.
void dequantize_q4_k(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    const float minimum = half_exactly(block + 2);
    for (uint32_t group = 0; group < 8; ++group) {
        const ScaleAndMinimum of_group = scale_of_group(block + 4, group, scale, minimum);
        const uint8_t* bytes = block + 16 + group / 2 * 32;
        const uint32_t shift = group % 2 * 4;
        for (uint32_t i = 0; i < 32; ++i) {
            to[group * 32 + i] = of_group.scale * static_cast<float>(bytes[i] >> shift & 15) - of_group.minimum;
        }
    }
}

// Q4_K with a fifth bit: u8[32] after the scales, bit g of byte i for value i of group g.
void dequantize_q5_k(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    const float minimum = half_exactly(block + 2);
    const uint8_t* high_bytes = block + 16;
    for (uint32_t group = 0; group < 8; ++group) {
        const ScaleAndMinimum of_group = scale_of_group(block + 4, group, scale, minimum);
        const uint8_t* bytes = block + 48 + group / 2 * 32;
        const uint32_t shift = group % 2 * 4;
        for (uint32_t i = 0; i < 32; ++i) {
            const uint32_t code = (bytes[i] >> shift & 15u) | (high_bytes[i] >> group & 1u) << 4;
            to[group * 32 + i] = of_group.scale * static_cast<float>(code) - of_group.minimum;
        }
    }
}

// low four bits u8[128], upper two u8[64], scales i8[16], f16 scale. In each half of 128: four quarters of 32; quarters 0 and 1
// are the low nibbles of its 64 bytes, 2 and 3 the high ones; bits 2q and 2q + 1 of its 32 upper bytes belong to quarter q.
void dequantize_q6_k(const uint8_t* block, float* to) {
    const float scale = half_exactly(block + 208);
    for (uint32_t group = 0; group < 16; ++group) {
        const uint32_t half = group / 8, quarter = group % 8 / 2, part = group % 2 * 16;
        const float group_scale = scale * static_cast<float>(static_cast<int8_t>(block[192 + group]));
        const uint8_t* low_bytes = block + half * 64 + quarter % 2 * 32 + part;
        const uint8_t* high_bytes = block + 128 + half * 32 + part;
        const uint32_t low_shift = quarter / 2 * 4, high_shift = quarter * 2;
        for (uint32_t i = 0; i < 16; ++i) {
            const uint32_t code = (low_bytes[i] >> low_shift & 15u) | (high_bytes[i] >> high_shift & 3u) << 4;
            to[group * 16 + i] = group_scale * static_cast<float>(static_cast<int32_t>(code) - 32);
        }
    }
}

// f16 scale, then for each 32 values: four codebook indices u8[4], and a u32 of four times seven signs and, on top, a 4-bit
// scale. Each index names eight magnitudes; the eighth sign makes the number of minus signs even.
void dequantize_iq2_xxs(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    for (uint32_t group = 0; group < 8; ++group) {
        const uint8_t* indices = block + 2 + group * 8;
        const uint32_t word = load<uint32_t>(indices + 4);
        const float group_scale = scale * (0.5f + static_cast<float>(word >> 28)) * 0.25f;
        for (uint32_t k = 0; k < 4; ++k) {
            const uint32_t pattern = iq2_xxs_grid[indices[k]];
            const uint32_t seven = word >> (7 * k) & 127u;
            const uint32_t signs = seven | static_cast<uint32_t>(std::popcount(seven) & 1) << 7;
            for (uint32_t i = 0; i < 8; ++i) {
                const float value = group_scale * static_cast<float>(iq2_magnitudes[pattern >> (2 * i) & 3u]);
                to[group * 32 + k * 8 + i] = (signs >> i & 1u) != 0 ? -value : value;
            }
        }
    }
}

}  // namespace linnet
