// CRC-32C (Castagnoli), the checksum of the container's chunks and metadata. Reflected polynomial 0x82f63b78 (RFC 3720).
#pragma once

#include <cstddef>
#include <cstdint>

namespace linnet {

// Goes on from `crc`, the value for what came before; 0 to begin. crc32c(0, "123456789", 9) == 0xe3069283.
uint32_t crc32c(uint32_t crc, const void* bytes, size_t count);
// The same by table alone, as on a processor without an instruction for it.
uint32_t crc32c_portable(uint32_t crc, const void* bytes, size_t count);

}  // namespace linnet
