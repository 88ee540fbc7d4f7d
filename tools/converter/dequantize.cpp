// Numbers of the source formats, and the dequantisers of blocks of 32 values. Every value is computed in float32, in the order
// of the format's definition, so that the bits are the ones any other reader gets.
#include "tools/converter/dequantize.h"

#include <cstring>

#include "tools/converter/source.h"

namespace linnet {

namespace {

struct TypeFacts {
    SourceType type;
    const char* name;
    uint32_t values, bytes;  // of one block
};

constexpr TypeFacts type_table[] = {
    {SourceType::f32, "F32", 1, 4},         {SourceType::f16, "F16", 1, 2},
    {SourceType::bf16, "BF16", 1, 2},       {SourceType::q4_0, "Q4_0", 32, 18},
    {SourceType::q4_1, "Q4_1", 32, 20},     {SourceType::q5_0, "Q5_0", 32, 22},
    {SourceType::q5_1, "Q5_1", 32, 24},     {SourceType::q8_0, "Q8_0", 32, 34},
    {SourceType::q2_k, "Q2_K", 256, 84},    {SourceType::q3_k, "Q3_K", 256, 110},
    {SourceType::q4_k, "Q4_K", 256, 144},   {SourceType::q5_k, "Q5_K", 256, 176},
    {SourceType::q6_k, "Q6_K", 256, 210},   {SourceType::iq2_xxs, "IQ2_XXS", 256, 66},
    {SourceType::iq4_nl, "IQ4_NL", 32, 18},
};

const TypeFacts* facts_of(SourceType type) {
    for (const TypeFacts& facts : type_table) {
        if (facts.type == type) return &facts;
    }
    return nullptr;
}

// IQ4_NL's sixteen levels.
constexpr int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Blocks of 32 with 4-bit codes: value j is the low nibble of byte j, value 16 + j its high nibble.
void dequantize_q4_0(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    for (uint32_t j = 0; j < 16; ++j) {
        const uint8_t byte = block[2 + j];
        to[j] = scale * static_cast<float>((byte & 15) - 8);
        to[16 + j] = scale * static_cast<float>((byte >> 4) - 8);
    }
}

void dequantize_q4_1(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    const float minimum = half_exactly(block + 2);
    for (uint32_t j = 0; j < 16; ++j) {
        const uint8_t byte = block[4 + j];
        to[j] = scale * static_cast<float>(byte & 15) + minimum;
        to[16 + j] = scale * static_cast<float>(byte >> 4) + minimum;
    }
}

// The fifth bit of value j is bit j of a 32-bit word.
void dequantize_q5_0(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    const uint32_t high = load<uint32_t>(block + 2);
    for (uint32_t j = 0; j < 16; ++j) {
        const uint8_t byte = block[6 + j];
        const int32_t low_code = static_cast<int32_t>((byte & 15u) | (high >> j & 1u) << 4);
        const int32_t high_code = static_cast<int32_t>((byte >> 4) | (high >> (16 + j) & 1u) << 4);
        to[j] = scale * static_cast<float>(low_code - 16);
        to[16 + j] = scale * static_cast<float>(high_code - 16);
    }
}

void dequantize_q5_1(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    const float minimum = half_exactly(block + 2);
    const uint32_t high = load<uint32_t>(block + 4);
    for (uint32_t j = 0; j < 16; ++j) {
        const uint8_t byte = block[8 + j];
        to[j] = scale * static_cast<float>((byte & 15u) | (high >> j & 1u) << 4) + minimum;
        to[16 + j] = scale * static_cast<float>((byte >> 4) | (high >> (16 + j) & 1u) << 4) + minimum;
    }
}

void dequantize_q8_0(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    for (uint32_t j = 0; j < 32; ++j) to[j] = scale * static_cast<float>(static_cast<int8_t>(block[2 + j]));
}

void dequantize_iq4_nl(const uint8_t* block, float* to) {
    const float scale = half_exactly(block);
    for (uint32_t j = 0; j < 16; ++j) {
        const uint8_t byte = block[2 + j];
        to[j] = scale * static_cast<float>(iq4_levels[byte & 15]);
        to[16 + j] = scale * static_cast<float>(iq4_levels[byte >> 4]);
    }
}

using BlockFunction = void (*)(const uint8_t*, float*);

void each_block(BlockFunction function, const TypeFacts& facts, const uint8_t* from, uint64_t count, float* to) {
    for (uint64_t done = 0; done < count; done += facts.values, from += facts.bytes) function(from, to + done);
}

}  // namespace

const char* source_type_name(SourceType type) {
    const TypeFacts* facts = facts_of(type);
    return facts != nullptr ? facts->name : "unknown";
}

uint32_t source_block_values(SourceType type) {
    const TypeFacts* facts = facts_of(type);
    return facts != nullptr ? facts->values : 0;
}

uint32_t source_block_bytes(SourceType type) {
    const TypeFacts* facts = facts_of(type);
    return facts != nullptr ? facts->bytes : 0;
}

void dequantize(SourceType type, const uint8_t* from, uint64_t count, float* to) {
    const TypeFacts* facts = facts_of(type);
    if (facts == nullptr) return;
    switch (type) {
        case SourceType::f32: memcpy(to, from, static_cast<size_t>(count) * 4); return;
        case SourceType::f16:
            for (uint64_t i = 0; i < count; ++i) to[i] = half_exactly(from + 2 * i);
            return;
        case SourceType::bf16:
            for (uint64_t i = 0; i < count; ++i) {
                to[i] = std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(from + 2 * i)) << 16);
            }
            return;
        case SourceType::q4_0: return each_block(dequantize_q4_0, *facts, from, count, to);
        case SourceType::q4_1: return each_block(dequantize_q4_1, *facts, from, count, to);
        case SourceType::q5_0: return each_block(dequantize_q5_0, *facts, from, count, to);
        case SourceType::q5_1: return each_block(dequantize_q5_1, *facts, from, count, to);
        case SourceType::q8_0: return each_block(dequantize_q8_0, *facts, from, count, to);
        case SourceType::q2_k: return each_block(dequantize_q2_k, *facts, from, count, to);
        case SourceType::q3_k: return each_block(dequantize_q3_k, *facts, from, count, to);
        case SourceType::q4_k: return each_block(dequantize_q4_k, *facts, from, count, to);
        case SourceType::q5_k: return each_block(dequantize_q5_k, *facts, from, count, to);
        case SourceType::q6_k: return each_block(dequantize_q6_k, *facts, from, count, to);
        case SourceType::iq2_xxs: return each_block(dequantize_iq2_xxs, *facts, from, count, to);
        case SourceType::iq4_nl: return each_block(dequantize_iq4_nl, *facts, from, count, to);
    }
}

}  // namespace linnet
