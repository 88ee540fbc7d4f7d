// How much memory this process could still take, and whether files are kept in memory.
#pragma once

#include <cstdint>

namespace linnet {

// Bytes that could be had without swapping, what the system keeps of files included: the machine's, or less where a control group
// limits this process. UINT64_MAX where the system does not say.
uint64_t available_memory();

}  // namespace linnet
