// CRC-32C of what was read, by all of the platform's threads.
#pragma once

#include "platform/platform.h"

namespace linnet {

uint32_t checksum(const linnet_platform& platform, const uint8_t* bytes, uint64_t count);

}  // namespace linnet
