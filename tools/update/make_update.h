// Makes model updates for devices with two slots: the host's side of embedded/update/.
#pragma once

#include <cstdint>

#include "embedded/update/update_format.h"
#include "tools/converter/bytes_io.h"

namespace linnet {

struct UpdateReport {
    UpdateHeader header;
    uint64_t copied_bytes;   // of the new model that the old one has too
    uint64_t literal_bytes;  // that the update carries
};

// Writes an update to `new_model`, signed with `secret_key` (64 bytes, as libsodium has it): all of it where `old_model` is null, else
// what differs. `release` is larger than that of any model before it. Reads the models twice; memory for an index of the old one, 16
// bytes for each 4 KiB.
Status make_update(Input& new_model, Input* old_model, uint64_t release, const uint8_t* secret_key, Output& out,
                   UpdateReport& report, Error& error);

}  // namespace linnet
