// The two slots of a device: their places, the state record, the progress record, and the bytes of a model in a slot.
#pragma once

#include "core/base/error.h"
#include "embedded/update/update_format.h"
#include "platform/block_device.h"

namespace linnet {

class Slots {
public:
    // Checks the device's geometry. `block`: memory of a block, aligned to 8.
    Status open(const linnet_block_device& device, uint8_t* block, Error& error);

    uint64_t slot_bytes() const { return slot_blocks_ * device_->block_bytes; }
    uint64_t first_block(uint32_t slot) const { return first_ + slot * slot_blocks_; }

    // The newest record that is whole; bad_file where neither is.
    Status read_state(StateRecord& state, Error& error);
    // Numbers the record, writes it over the older one, and returns when it is safe.
    Status write_state(StateRecord& state, Error& error);
    // The newest record that is whole, its number 0 where none is; `found` is false where no update is under way. Blocks that cannot
    // be read have no progress: that costs an update its beginning, and no start its model.
    void read_progress(ProgressRecord& progress, bool& found);
    Status write_progress(ProgressRecord& progress, Error& error);
    // No update is under way any more.
    Status clear_progress(Error& error);

    Status read(uint32_t slot, uint64_t offset, void* to, size_t bytes, Error& error);
    // `offset` is a multiple of update_window; a last block that is not full is filled up with zeros.
    Status write(uint32_t slot, uint64_t offset, const uint8_t* from, size_t bytes, Error& error);
    Status sync(Error& error);

private:
    template <typename Record>
    Status read_newest(uint64_t first, const char (&magic)[8], Record& record, bool& found, Error& error);
    template <typename Record>
    Status write_older(uint64_t first, Record& record, Error& error);
    Status read_blocks(uint64_t first, void* to, uint32_t count, Error& error);
    Status write_blocks(uint64_t first, const void* from, uint32_t count, Error& error);

    const linnet_block_device* device_ = nullptr;
    uint8_t* block_ = nullptr;
    uint64_t first_ = 0;  // block of slot 0
    uint64_t slot_blocks_ = 0;
};

}  // namespace linnet
