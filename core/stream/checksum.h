// A checksum of what was read from storage, to compare a later reading of the same bytes with. It is made and compared by the same
// process and never stored, so it may be whatever is quick on the processor in hand; the file's own checksums are CRC-32C everywhere.
#pragma once

#include "platform/platform.h"

namespace linnet {

// By all of the platform's threads; the value does not depend on their number. A change of bytes that stand in one aligned word of 4 is
// always noticed, any other one but for a chance of 2^-32.
uint32_t checksum(const linnet_platform& platform, const uint8_t* bytes, uint64_t count);

}  // namespace linnet
