#include "core/stream/checksum.h"

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>

#include "core/base/bytes.h"
#else
#include "core/base/crc32c.h"
#endif

namespace linnet {

namespace {

// Takes a word into a value. Reversible for either of the two: so two values stay different when they take the same word, and become
// different when they take different ones. The shift brings high bits down, which multiplication only carries up.
constexpr uint32_t factor = 0x9e3779b1;  // 2^32 over the golden ratio, odd
constexpr uint32_t take_word(uint32_t value, uint32_t word) {
    value = (value ^ word) * factor;
    return value ^ (value >> 15);
}

#if defined(__wasm_simd128__)

// WebAssembly has no instruction for a CRC, and by table it is slower than the storage. Here 32 words are taken side by side, each
// into a value of its own, for one multiplication waits for the one before.
__attribute__((noinline)) uint32_t part_checksum(const uint8_t* bytes, size_t count) {
    constexpr size_t vectors = 8;
    v128_t values[vectors];
    for (size_t i = 0; i < vectors; ++i) values[i] = wasm_i32x4_splat(static_cast<int32_t>(i));
    const v128_t by = wasm_i32x4_splat(static_cast<int32_t>(factor));
    size_t at = 0;
    for (; count - at >= vectors * sizeof(v128_t); at += vectors * sizeof(v128_t)) {
#pragma unroll
        for (size_t i = 0; i < vectors; ++i) {
            const v128_t words = wasm_v128_load(bytes + at + i * sizeof(v128_t));
            values[i] = wasm_i32x4_mul(wasm_v128_xor(values[i], words), by);
            values[i] = wasm_v128_xor(values[i], wasm_u32x4_shr(values[i], 15));
        }
    }
    uint32_t value = static_cast<uint32_t>(count);
    for (const v128_t& four : values) {
        for (size_t i = 0; i < 4; ++i)
            value = take_word(value, load<uint32_t>(reinterpret_cast<const uint8_t*>(&four) + 4 * i));
    }
    for (; count - at >= 4; at += 4) value = take_word(value, load<uint32_t>(bytes + at));
    for (; at < count; ++at) value = take_word(value, bytes[at]);
    return value;
}

#else

uint32_t part_checksum(const uint8_t* bytes, size_t count) { return crc32c(0, bytes, count); }

#endif

// Parts of some bytes that threads share.
struct Parts {
    static constexpr uint64_t bytes = uint64_t{64} << 10;  // some microseconds: worth handing over
    static constexpr uint32_t most = 32;                   // that are shared at a time

    const uint8_t* from;
    uint64_t count;
    uint32_t values[most];

    uint64_t size(uint32_t index) const { return count - index * bytes < bytes ? count - index * bytes : bytes; }
    static void take(void* context, uint32_t index) {
        Parts& all = *static_cast<Parts*>(context);
        all.values[index] = part_checksum(all.from + index * bytes, static_cast<size_t>(all.size(index)));
    }
};

}  // namespace

uint32_t checksum(const linnet_platform& platform, const uint8_t* bytes, uint64_t count) {
    const bool share = platform.parallel != nullptr && platform.threads > 1;
    uint32_t value = 0;
    while (count != 0) {
        Parts parts;
        parts.from = bytes;
        parts.count = count < Parts::most * Parts::bytes ? count : Parts::most * Parts::bytes;
        const auto number = static_cast<uint32_t>((parts.count + Parts::bytes - 1) / Parts::bytes);
        if (share && number > 1) {
            platform.parallel(platform.context, Parts::take, &parts, number);
        } else {
            for (uint32_t i = 0; i < number; ++i) Parts::take(&parts, i);
        }
        for (uint32_t i = 0; i < number; ++i) value = take_word(value, parts.values[i]);
        bytes += parts.count;
        count -= parts.count;
    }
    return value;
}

}  // namespace linnet
