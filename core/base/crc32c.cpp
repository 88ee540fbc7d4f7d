// One step of a CRC waits for the step before. So three stretches of bytes are gone through side by side, each with a register of its
// own, and their values are put together at the end: a register r that n zero bytes follow becomes r x^8n modulo the polynomial.
#include "core/base/crc32c.h"

#include <bit>

#include "core/base/bytes.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace linnet {

namespace {

constexpr uint32_t polynomial = 0x82f63b78;

// Polynomials modulo the CRC's stand with the coefficient of x^0 in bit 31.
constexpr uint32_t times_x(uint32_t a) { return (a >> 1) ^ ((a & 1) != 0 ? polynomial : 0); }

constexpr uint32_t times(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (; a != 0; a <<= 1) {
        if (a >> 31 != 0) product ^= b;
        b = times_x(b);
    }
    return product;
}

// x^(8 count)
constexpr uint32_t power(uint64_t count) {
    uint32_t product = uint32_t{1} << 31;
    for (uint32_t square = uint32_t{1} << 23; count != 0; count >>= 1) {
        if ((count & 1) != 0) product = times(square, product);
        square = times(square, square);
    }
    return product;
}

// Where code is to be small, on processors that do one thing at a time as a rule, one stretch is gone through.
#if defined(__OPTIMIZE_SIZE__)
constexpr bool side_by_side = false;
#else
constexpr bool side_by_side = true;
#endif

// Bytes of each of the three stretches. Long enough that putting them together costs next to nothing, short enough that little of
// what is asked for is left over.
constexpr size_t stretch = 2048;

// Slicing (Kounavis and Berry, 2005): of[k][b] is the CRC of byte b followed by k zero bytes. Where size counts by four, which
// takes half of the tables.
constexpr uint32_t slices = side_by_side ? 8 : 4;

struct Tables {
    uint32_t of[slices][256];
};

// of[k][b]: byte k of a register has the value b, and `stretch` zero bytes follow.
struct StretchTables {
    uint32_t of[4][256];
};

constexpr Tables make_tables() {
    Tables tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = times_x(crc);
        tables.of[0][byte] = crc;
    }
    for (uint32_t slice = 1; slice < slices; ++slice) {
        for (uint32_t byte = 0; byte < 256; ++byte) {
            const uint32_t before = tables.of[slice - 1][byte];
            tables.of[slice][byte] = (before >> 8) ^ tables.of[0][before & 255];
        }
    }
    return tables;
}

constexpr StretchTables make_stretch_tables() {
    StretchTables tables{};
    const uint32_t factor = power(stretch);
    for (uint32_t k = 0; k < 4; ++k) {
        for (uint32_t bit = 0; bit < 8; ++bit) tables.of[k][1u << bit] = times(uint32_t{1} << (8 * k + bit), factor);
        for (uint32_t byte = 1; byte < 256; ++byte) {
            const uint32_t lowest = byte & (~byte + 1);
            tables.of[k][byte] = tables.of[k][lowest] ^ tables.of[k][byte ^ lowest];
        }
    }
    return tables;
}

constexpr Tables tables = make_tables();
constexpr StretchTables stretch_tables = make_stretch_tables();

uint32_t over_stretch(uint32_t crc) {
    return stretch_tables.of[0][crc & 255] ^ stretch_tables.of[1][(crc >> 8) & 255] ^ stretch_tables.of[2][(crc >> 16) & 255] ^
           stretch_tables.of[3][crc >> 24];
}

// The CRC of a word that `after` zero bytes follow.
template <uint32_t after>
inline uint32_t word(uint32_t x) {
    return tables.of[after + 3][x & 255] ^ tables.of[after + 2][(x >> 8) & 255] ^ tables.of[after + 1][(x >> 16) & 255] ^
           tables.of[after][x >> 24];
}

inline uint32_t table_step(uint32_t crc, const uint8_t* bytes) {
    const uint32_t low = load<uint32_t>(bytes) ^ crc;
    const uint32_t high = load<uint32_t>(bytes + 4);
    if constexpr (slices == 8) return word<slices - 4>(low) ^ word<0>(high);
    return word<0>(word<0>(low) ^ high);
}

uint32_t by_table(uint32_t crc, const uint8_t* bytes, size_t count) {
    for (; side_by_side && count >= 3 * stretch; count -= 3 * stretch, bytes += 3 * stretch) {
        uint32_t second = 0;
        uint32_t third = 0;
        for (size_t i = 0; i < stretch; i += 8) {
            crc = table_step(crc, bytes + i);
            second = table_step(second, bytes + stretch + i);
            third = table_step(third, bytes + 2 * stretch + i);
        }
        crc = over_stretch(over_stretch(crc) ^ second) ^ third;
    }
    for (; count >= 8; count -= 8, bytes += 8) crc = table_step(crc, bytes);
    for (; count != 0; --count, ++bytes) crc = (crc >> 8) ^ tables.of[0][(crc ^ *bytes) & 255];
    return crc;
}

// The processor's own instruction, 8 bytes at a time: SSE4.2 (2008), or ARMv8's CRC.
#if defined(__x86_64__)
#define LINNET_CRC_INSTRUCTION __attribute__((target("sse4.2")))
LINNET_CRC_INSTRUCTION inline uint32_t instruction_step(uint32_t crc, const uint8_t* bytes) {
    return static_cast<uint32_t>(_mm_crc32_u64(crc, load<uint64_t>(bytes)));
}
LINNET_CRC_INSTRUCTION inline uint32_t instruction_byte(uint32_t crc, uint8_t byte) { return _mm_crc32_u8(crc, byte); }
#elif defined(__ARM_FEATURE_CRC32)
#define LINNET_CRC_INSTRUCTION
inline uint32_t instruction_step(uint32_t crc, const uint8_t* bytes) { return __crc32cd(crc, load<uint64_t>(bytes)); }
inline uint32_t instruction_byte(uint32_t crc, uint8_t byte) { return __crc32cb(crc, byte); }
#endif

#if defined(LINNET_CRC_INSTRUCTION)
LINNET_CRC_INSTRUCTION uint32_t by_instruction(uint32_t crc, const uint8_t* bytes, size_t count) {
    for (; side_by_side && count >= 3 * stretch; count -= 3 * stretch, bytes += 3 * stretch) {
        uint32_t second = 0;
        uint32_t third = 0;
        // From memory the processor's own reading ahead does not follow three streams that jump: it is told what comes next.
        const bool more = count >= 6 * stretch;
        for (size_t line = 0; line < stretch; line += 64) {
            for (size_t k = 0; k < 3 && more; ++k) __builtin_prefetch(bytes + (3 + k) * stretch + line);
            for (size_t i = line; i < line + 64; i += 8) {
                crc = instruction_step(crc, bytes + i);
                second = instruction_step(second, bytes + stretch + i);
                third = instruction_step(third, bytes + 2 * stretch + i);
            }
        }
        crc = over_stretch(over_stretch(crc) ^ second) ^ third;
    }
    for (; count >= 8; count -= 8, bytes += 8) crc = instruction_step(crc, bytes);
    for (; count != 0; --count, ++bytes) crc = instruction_byte(crc, *bytes);
    return crc;
}

bool has_instruction() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
#else
    return true;
#endif
}
#endif

}  // namespace

uint32_t crc32c(uint32_t crc, const void* bytes, size_t count) {
#if defined(LINNET_CRC_INSTRUCTION)
    if (has_instruction()) return ~by_instruction(~crc, static_cast<const uint8_t*>(bytes), count);
#endif
    return crc32c_portable(crc, bytes, count);
}

uint32_t crc32c_portable(uint32_t crc, const void* bytes, size_t count) {
    return ~by_table(~crc, static_cast<const uint8_t*>(bytes), count);
}

}  // namespace linnet
