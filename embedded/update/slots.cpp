#include "embedded/update/slots.h"

#include <cstddef>
#include <cstring>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"

namespace linnet {

namespace {

template <typename Record>
uint32_t crc_of(const Record& record) {
    return crc32c(0, &record, offsetof(Record, crc));
}

}  // namespace

Status Slots::open(const linnet_block_device& device, uint8_t* block, Error& error) {
    device_ = &device;
    block_ = block;
    const uint64_t bytes = device.block_bytes;
    if (bytes < 512 || bytes > update_window || (bytes & (bytes - 1)) != 0 || device.read == nullptr ||
        device.write == nullptr) {
        return error.fail(Status::bad_argument)
               << "The device must be readable and writable in blocks of 512 to " << update_window << " bytes, a power of two.";
    }
    const uint64_t least = 2 * state_blocks * bytes;
    first_ = (least > slots_from ? least : slots_from) / bytes;
    const uint64_t grain = update_window / bytes;  // blocks
    slot_blocks_ = device.blocks > first_ ? (device.blocks - first_) / 2 / grain * grain : 0;
    if (slot_blocks_ == 0) return error.fail(Status::does_not_fit) << "The device has no room for two slots.";
    return Status::ok;
}

Status Slots::read_blocks(uint64_t first, void* to, uint32_t count, Error& error) {
    const int32_t result = device_->read(device_->context, first, to, count);
    if (result == 0) return Status::ok;
    return error.fail(Status::io) << "Reading " << count << " blocks of the device from block " << first << " on failed (error "
                                  << result << "). What was written before is still there: try again.";
}

Status Slots::write_blocks(uint64_t first, const void* from, uint32_t count, Error& error) {
    const int32_t result = device_->write(device_->context, first, from, count);
    if (result == 0) return Status::ok;
    return error.fail(Status::io) << "Writing " << count << " blocks of the device from block " << first << " on failed (error "
                                  << result << "). The model in use is not touched: try again.";
}

Status Slots::sync(Error& error) {
    const int32_t result = device_->sync != nullptr ? device_->sync(device_->context) : 0;
    if (result == 0) return Status::ok;
    return error.fail(Status::io) << "The device could not keep what was written (error " << result << "). Try again.";
}

// A block that cannot be read, as one may be after a cut, is one that is not whole: the other one decides.
template <typename Record>
Status Slots::read_newest(uint64_t first, const char (&magic)[8], Record& record, bool& found, Error& error) {
    Status failed = Status::ok;
    found = false;
    for (uint64_t i = 0; i < state_blocks; ++i) {
        if (Status status = read_blocks(first + i, block_, 1, error); status != Status::ok) {
            failed = status;
            continue;
        }
        Record one;
        memcpy(&one, block_, sizeof one);
        if (memcmp(one.magic, magic, sizeof one.magic) != 0 || one.crc != crc_of(one)) continue;
        if (found && one.number <= record.number) continue;
        record = one;
        found = true;
    }
    return found ? Status::ok : failed;
}

// The record with number n stands in block n modulo 2: the next one goes over the older.
template <typename Record>
Status Slots::write_older(uint64_t first, Record& record, Error& error) {
    record.number += 1;
    record.crc = crc_of(record);
    memset(block_, 0, device_->block_bytes);
    memcpy(block_, &record, sizeof record);
    Status status = write_blocks(first + record.number % state_blocks, block_, 1, error);
    return status == Status::ok ? sync(error) : status;
}

Status Slots::read_state(StateRecord& state, Error& error) {
    bool found = false;
    if (Status status = read_newest(0, state_magic, state, found, error); status != Status::ok) return status;
    const bool sensible = found && state.version == update_version && state.active < 2 &&
                          state.slots[0].bytes <= slot_bytes() && state.slots[1].bytes <= slot_bytes();
    if (sensible && state.slot_windows != slot_bytes() / update_window) {
        return error.fail(Status::bad_file)
               << "The device's slots were made for another size of it: it has " << device_->blocks << " blocks of "
               << device_->block_bytes << " bytes now. Give it the size that it had.";
    }
    if (sensible) return Status::ok;
    return error.fail(Status::bad_file)
           << "The device has no two slots for models, or those of another version. Format it first.";
}

Status Slots::write_state(StateRecord& state, Error& error) {
    state.slot_windows = static_cast<uint32_t>(slot_bytes() / update_window);
    return write_older(0, state, error);
}

void Slots::read_progress(ProgressRecord& progress, bool& found) {
    progress = {};
    Error unread;
    bool whole = false;
    if (read_newest(state_blocks, progress_magic, progress, whole, unread) != Status::ok) progress = {};
    // A record of zero bytes is what clear_progress leaves.
    found = progress.header.new_bytes != 0;
}

Status Slots::write_progress(ProgressRecord& progress, Error& error) { return write_older(state_blocks, progress, error); }

Status Slots::clear_progress(Error& error) {
    ProgressRecord progress;
    bool found = false;
    read_progress(progress, found);
    if (!found) return Status::ok;
    const uint64_t number = progress.number;
    progress = {};
    memcpy(progress.magic, progress_magic, sizeof progress.magic);
    progress.number = number;
    return write_progress(progress, error);
}

Status Slots::read(uint32_t slot, uint64_t offset, void* to, size_t bytes, Error& error) {
    const uint32_t block_bytes = device_->block_bytes;
    uint8_t* at = static_cast<uint8_t*>(to);
    while (bytes != 0) {
        const uint64_t block = first_block(slot) + offset / block_bytes;
        const size_t within = static_cast<size_t>(offset % block_bytes);
        size_t done = bytes / block_bytes * block_bytes;
        Status status;
        if (within == 0 && done != 0) {
            status = read_blocks(block, at, static_cast<uint32_t>(done / block_bytes), error);
        } else {
            done = block_bytes - within < bytes ? block_bytes - within : bytes;
            status = read_blocks(block, block_, 1, error);
            if (status == Status::ok) memcpy(at, block_ + within, done);
        }
        if (status != Status::ok) return status;
        at += done;
        offset += done;
        bytes -= done;
    }
    return Status::ok;
}

Status Slots::write(uint32_t slot, uint64_t offset, const uint8_t* from, size_t bytes, Error& error) {
    const uint32_t block_bytes = device_->block_bytes;
    const uint64_t block = first_block(slot) + offset / block_bytes;
    const size_t whole = bytes / block_bytes;
    if (whole != 0) {
        if (Status status = write_blocks(block, from, static_cast<uint32_t>(whole), error); status != Status::ok) return status;
    }
    const size_t rest = bytes % block_bytes;
    if (rest == 0) return Status::ok;
    memset(block_, 0, block_bytes);
    memcpy(block_, from + whole * block_bytes, rest);
    return write_blocks(block + whole, block_, 1, error);
}

}  // namespace linnet
