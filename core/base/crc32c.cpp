#include "core/base/crc32c.h"

#include <bit>

#include "core/base/bytes.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace linnet {

namespace {

// Slicing by eight (Kounavis and Berry, 2005): of[k][b] is the CRC of byte b followed by k zero bytes.
struct Tables {
    uint32_t of[8][256];
};

constexpr Tables make_tables() {
    Tables tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
        tables.of[0][byte] = crc;
    }
    for (uint32_t slice = 1; slice < 8; ++slice) {
        for (uint32_t byte = 0; byte < 256; ++byte) {
            const uint32_t before = tables.of[slice - 1][byte];
            tables.of[slice][byte] = (before >> 8) ^ tables.of[0][before & 255];
        }
    }
    return tables;
}

constexpr Tables tables = make_tables();

uint32_t by_table(uint32_t crc, const uint8_t* bytes, size_t count) {
    for (; count >= 8; count -= 8, bytes += 8) {
        const uint32_t low = load<uint32_t>(bytes) ^ crc;
        const uint32_t high = load<uint32_t>(bytes + 4);
        crc = tables.of[7][low & 255] ^ tables.of[6][(low >> 8) & 255] ^ tables.of[5][(low >> 16) & 255] ^
              tables.of[4][low >> 24] ^ tables.of[3][high & 255] ^ tables.of[2][(high >> 8) & 255] ^
              tables.of[1][(high >> 16) & 255] ^ tables.of[0][high >> 24];
    }
    for (; count != 0; --count, ++bytes) crc = (crc >> 8) ^ tables.of[0][(crc ^ *bytes) & 255];
    return crc;
}

#if defined(__x86_64__)
// The processor's own instruction (SSE4.2, 2008): 8 bytes in 3 cycles.
__attribute__((target("sse4.2"))) uint32_t by_instruction(uint32_t crc, const uint8_t* bytes, size_t count) {
    uint64_t wide = crc;
    for (; count >= 8; count -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = static_cast<uint32_t>(wide);
    for (; count != 0; --count, ++bytes) crc = _mm_crc32_u8(crc, *bytes);
    return crc;
}
#endif

}  // namespace

uint32_t crc32c(uint32_t crc, const void* bytes, size_t count) {
    const uint8_t* from = static_cast<const uint8_t*>(bytes);
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(~crc, from, count);
#endif
    return ~by_table(~crc, from, count);
}

uint32_t crc32c_portable(uint32_t crc, const void* bytes, size_t count) {
    return ~by_table(~crc, static_cast<const uint8_t*>(bytes), count);
}

}  // namespace linnet
