#include "embedded/update/update.h"

#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_sign_ed25519.h>

#include <cstddef>
#include <cstring>
#include <new>

#include "core/base/crc32c.h"
#include "core/guarded.h"
#include "embedded/update/slots.h"

using linnet::Error;
using linnet::guarded;
using linnet::ProgressRecord;
using linnet::Slots;
using linnet::StateRecord;
using linnet::Status;
using linnet::update_window;
using linnet::UpdateAction;
using linnet::UpdateHeader;
using linnet::UpdateKind;
using linnet::UpdateRecord;

// How many times progress is written at most, whatever the model's size: flash wears out.
static constexpr uint64_t most_progress_writes = 64;

struct linnet_update {
    Slots slots;
    StateRecord state;
    ProgressRecord progress;  // of the update that is being fed
    const uint8_t* public_key;
    uint8_t* window;  // [update_window] of the new model, from progress' window on
    bool running;
    // The record that is being read: its own bytes first, then those of a literal.
    UpdateRecord record;
    uint32_t record_got;
    uint32_t literal_got;
    uint64_t new_offset;     // of the new model: all before it is in the slot or in the window
    uint64_t update_offset;  // of the next record
    uint64_t saved_offset;   // where progress was written last

    uint32_t spare() const { return 1 - state.active; }
};
static_assert(sizeof(linnet_update) <= LINNET_UPDATE_OBJECT_BYTES);

namespace {

Status check_signature(const UpdateHeader& header, const uint8_t* key, Error& error) {
    const linnet::SignedMessage message(header);
    if (key != nullptr && crypto_sign_ed25519_verify_detached(header.signature, message.bytes, sizeof message.bytes, key) == 0)
        return Status::ok;
    return error.fail(Status::bad_file) << "The update is not signed with the key that this device trusts, or it is damaged.";
}

Status check_header(const linnet_update& update, const UpdateHeader& header, Error& error) {
    const linnet::SlotRecord& active = update.state.slots[update.state.active];
    if (memcmp(header.magic, linnet::update_magic, sizeof header.magic) != 0) {
        return error.fail(Status::bad_file) << "This is no update: it does not begin as linnet update make writes them.";
    }
    if (header.version != linnet::update_version) {
        return error.fail(Status::unsupported)
               << "The update has version " << header.version << "; this is version " << linnet::update_version << '.';
    }
    if (Status status = check_signature(header, update.public_key, error); status != Status::ok) return status;
    const bool full = header.kind == static_cast<uint32_t>(UpdateKind::full);
    if (!full && header.kind != static_cast<uint32_t>(UpdateKind::difference)) {
        return error.fail(Status::unsupported) << "The update is of a kind that this version does not know.";
    }
    if (header.new_bytes == 0 || header.total_bytes < sizeof header)
        return error.fail(Status::bad_file) << "The update is empty.";
    // Else its records could copy from anywhere on the device.
    if (full && header.old_bytes != 0) return error.fail(Status::bad_file) << "The update is a full one, and names a base.";
    if (header.new_bytes > update.slots.slot_bytes()) {
        return error.fail(Status::does_not_fit) << "The new model has " << header.new_bytes
                                                << " bytes; a slot of this device holds " << update.slots.slot_bytes() << '.';
    }
    if (active.bytes != 0 && header.release <= active.release) {
        return error.fail(Status::bad_argument)
               << "The update is release " << header.release << "; release " << active.release << " is in use already.";
    }
    if (!full && (header.old_bytes != active.bytes || memcmp(header.old_hash, active.hash, sizeof active.hash) != 0)) {
        return error.fail(Status::bad_argument) << "The update is the difference to another model than the one in use. Use a "
                                                   "full update, or the difference to that one.";
    }
    return Status::ok;
}

// Hashes a model in its slot.
Status hash_slot(linnet_update& update, uint32_t slot, uint64_t bytes, uint8_t* hash, Error& error) {
    crypto_hash_sha256_state sha;
    crypto_hash_sha256_init(&sha);
    for (uint64_t offset = 0; offset < bytes;) {
        const uint64_t left = bytes - offset;
        const size_t count = left < update_window ? static_cast<size_t>(left) : update_window;
        if (Status status = update.slots.read(slot, offset, update.window, count, error); status != Status::ok) return status;
        crypto_hash_sha256_update(&sha, update.window, count);
        offset += count;
    }
    crypto_hash_sha256_final(&sha, hash);
    return Status::ok;
}

Status damaged(Error& error, uint64_t offset) {
    return error.fail(Status::bad_file) << "The update is damaged near byte " << offset << ". Fetch it again and begin anew.";
}

// Writes the window that is full or the last, and from time to time how far things are.
Status close_window(linnet_update& update, Error& error) {
    const UpdateHeader& header = update.progress.header;
    const uint64_t begin = (update.new_offset - 1) / update_window * update_window;
    const size_t count = static_cast<size_t>(update.new_offset - begin);
    if (Status status = update.slots.write(update.spare(), begin, update.window, count, error); status != Status::ok)
        return status;
    const uint64_t step = header.new_bytes / most_progress_writes;
    if (update.new_offset != header.new_bytes && update.new_offset - update.saved_offset < step) return Status::ok;
    if (Status status = update.slots.sync(error); status != Status::ok) return status;
    update.progress.update_offset = update.update_offset;
    update.progress.new_offset = update.saved_offset = update.new_offset;
    return update.slots.write_progress(update.progress, error);
}

// The record's bytes are in the window.
Status take_record(linnet_update& update, Error& error) {
    const UpdateRecord& record = update.record;
    const size_t within = static_cast<size_t>(update.new_offset % update_window);
    if (linnet::crc32c(0, update.window + within, record.bytes) != record.crc) {
        if (record.action == static_cast<uint32_t>(UpdateAction::literal)) return damaged(error, update.update_offset);
        return error.fail(Status::bad_file) << "The model in use is damaged near byte " << record.old_offset
                                            << ": no difference can be made to it. Use a full update.";
    }
    update.update_offset += sizeof record;
    if (record.action == static_cast<uint32_t>(UpdateAction::literal)) update.update_offset += record.bytes;
    update.new_offset += record.bytes;
    update.record_got = update.literal_got = 0;
    const bool last = update.new_offset == update.progress.header.new_bytes;
    return last || update.new_offset % update_window == 0 ? close_window(update, error) : Status::ok;
}

Status check_record(const linnet_update& update, Error& error) {
    const UpdateRecord& record = update.record;
    const UpdateHeader& header = update.progress.header;
    const uint64_t left = header.new_bytes - update.new_offset;
    const uint64_t room = update_window - update.new_offset % update_window;
    const bool copy = record.action == static_cast<uint32_t>(UpdateAction::copy);
    if (linnet::crc32c(0, &record, offsetof(UpdateRecord, record_crc)) != record.record_crc || record.bytes == 0 ||
        record.bytes > left || record.bytes > room ||
        (!copy && record.action != static_cast<uint32_t>(UpdateAction::literal)) ||
        (copy && (record.old_offset > header.old_bytes || record.bytes > header.old_bytes - record.old_offset))) {
        return damaged(error, update.update_offset);
    }
    return Status::ok;
}

Status feed(linnet_update& update, const uint8_t* bytes, size_t count, Error& error) {
    const auto fewer = [](size_t a, size_t b) { return a < b ? a : b; };
    while (count != 0) {
        if (update.new_offset == update.progress.header.new_bytes) return damaged(error, update.update_offset);
        if (update.record_got < sizeof(UpdateRecord)) {
            const size_t part = fewer(count, sizeof(UpdateRecord) - update.record_got);
            memcpy(reinterpret_cast<uint8_t*>(&update.record) + update.record_got, bytes, part);
            update.record_got += static_cast<uint32_t>(part);
            bytes += part;
            count -= part;
            if (update.record_got < sizeof(UpdateRecord)) return Status::ok;
            if (Status status = check_record(update, error); status != Status::ok) return status;
        }
        const size_t within = static_cast<size_t>(update.new_offset % update_window);
        if (update.record.action == static_cast<uint32_t>(UpdateAction::copy)) {
            Status status = update.slots.read(update.state.active, update.record.old_offset, update.window + within,
                                              update.record.bytes, error);
            if (status == Status::ok) status = take_record(update, error);
            if (status != Status::ok) return status;
            continue;
        }
        const size_t part = fewer(count, update.record.bytes - update.literal_got);
        memcpy(update.window + within + update.literal_got, bytes, part);
        update.literal_got += static_cast<uint32_t>(part);
        bytes += part;
        count -= part;
        if (update.literal_got < update.record.bytes) return Status::ok;
        if (Status status = take_record(update, error); status != Status::ok) return status;
    }
    return Status::ok;
}

// The new state is the device's as soon as it stands there.
Status change_state(linnet_update& update, StateRecord state, Error& error) {
    Status status = update.slots.write_state(state, error);
    if (status == Status::ok) update.state = state;
    return status;
}

// Back to the other slot's model; the one on trial is given up.
Status leave_trial(linnet_update& update, Error& error) {
    StateRecord state = update.state;
    state.slots[state.active] = {};
    state.active = 1 - state.active;
    state.on_trial = state.tries = 0;
    return change_state(update, state, error);
}

}  // namespace

linnet_status linnet_update_format(const linnet_block_device* device, void* workspace, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        Slots slots;
        if (Status status = slots.open(*device, static_cast<uint8_t*>(workspace), inner); status != Status::ok) return status;
        // Twice, so that no older state is left; whatever progress there was is of no use.
        StateRecord state{};
        memcpy(state.magic, linnet::state_magic, sizeof state.magic);
        state.version = linnet::update_version;
        for (int i = 0; i < 2; ++i) {
            if (Status status = slots.write_state(state, inner); status != Status::ok) return status;
        }
        return slots.clear_progress(inner);
    });
}

linnet_status linnet_update_open(void* memory, const linnet_block_device* device, const uint8_t* public_key, void* workspace,
                                 linnet_update** out, linnet_error* error) {
    *out = nullptr;
    return guarded(error, [&](Error& inner) -> Status {
        linnet_update* update = new (memory) linnet_update{};
        update->public_key = public_key;
        update->window = static_cast<uint8_t*>(workspace);
        Status status = update->slots.open(*device, update->window + update_window, inner);
        if (status == Status::ok) status = update->slots.read_state(update->state, inner);
        bool found = false;
        if (status == Status::ok) update->slots.read_progress(update->progress, found);
        // A cut right after a switch leaves the progress of what is in use.
        const linnet::SlotRecord& active = update->state.slots[update->state.active];
        if (!found || (active.bytes != 0 && update->progress.header.release <= active.release)) update->progress = {};
        if (status == Status::ok) *out = update;
        return status;
    });
}

void linnet_update_get_state(const linnet_update* update, linnet_update_state* state) {
    *state = {};
    state->active = update->state.active;
    state->on_trial = update->state.on_trial;
    state->tries = update->state.tries;
    state->slot_bytes = update->slots.slot_bytes();
    for (uint32_t i = 0; i < 2; ++i) {
        const linnet::SlotRecord& slot = update->state.slots[i];
        state->slots[i].first_block = update->slots.first_block(i);
        state->slots[i].bytes = slot.bytes;
        state->slots[i].release = slot.release;
        memcpy(state->slots[i].hash, slot.hash, sizeof slot.hash);
    }
    state->under_way = update->progress.header.new_bytes != 0 ? 1 : 0;
    state->under_way_bytes = update->progress.new_offset;
    state->under_way_of = update->progress.header.new_bytes;
}

linnet_status linnet_update_boot(linnet_update* update, linnet_update_slot* slot, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (update->state.on_trial != 0 && update->state.tries >= LINNET_UPDATE_TRIES &&
            update->state.slots[update->spare()].bytes != 0) {
            if (Status status = leave_trial(*update, inner); status != Status::ok) return status;
        } else if (update->state.on_trial != 0 && update->state.tries < LINNET_UPDATE_TRIES) {
            // Counted before the model is opened: a board that hangs in there is reset, and comes by here again.
            StateRecord state = update->state;
            state.tries += 1;
            if (Status status = change_state(*update, state, inner); status != Status::ok) return status;
        }
        linnet_update_state all;
        linnet_update_get_state(update, &all);
        *slot = all.slots[all.active];
        if (slot->bytes == 0) return inner.fail(Status::bad_file) << "There is no model on the device yet.";
        return Status::ok;
    });
}

linnet_status linnet_update_confirm(linnet_update* update, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (update->state.on_trial == 0) return Status::ok;
        StateRecord state = update->state;
        state.on_trial = state.tries = 0;
        return change_state(*update, state, inner);
    });
}

linnet_status linnet_update_roll_back(linnet_update* update, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (update->state.on_trial == 0 || update->state.slots[update->spare()].bytes == 0) {
            return inner.fail(Status::bad_argument)
                   << "There is no model to go back to: the one in use is no trial, or the first one.";
        }
        return leave_trial(*update, inner);
    });
}

linnet_status linnet_update_begin(linnet_update* update, const void* bytes, size_t count, uint64_t* offset,
                                  linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        UpdateHeader header;
        update->running = false;
        if (count != sizeof header) return inner.fail(Status::bad_argument) << "An update's header has 256 bytes.";
        memcpy(&header, bytes, sizeof header);
        // A write of the state that failed may have come through all the same: what stands there says which slot is in use.
        StateRecord there;
        if (Status status = update->slots.read_state(there, inner); status != Status::ok) return status;
        update->state = there;
        if (Status status = check_header(*update, header, inner); status != Status::ok) return status;
        if (update->state.on_trial != 0) {
            return inner.fail(Status::bad_argument)
                   << "The model in use is still on trial: confirm it, or roll it back, before an update.";
        }
        ProgressRecord& progress = update->progress;
        bool found = false;
        update->slots.read_progress(progress, found);
        const bool again = found && update->state.slots[update->spare()].bytes == 0 &&
                           memcmp(&progress.header, &header, sizeof header) == 0 && progress.new_offset <= header.new_bytes &&
                           progress.update_offset <= header.total_bytes &&
                           (progress.new_offset % update_window == 0 || progress.new_offset == header.new_bytes);
        if (!again) {
            // First nobody may take the spare slot for a model any more, then it may be written.
            StateRecord state = update->state;
            if (state.slots[update->spare()].bytes != 0) {
                state.slots[update->spare()] = {};
                if (Status status = change_state(*update, state, inner); status != Status::ok) return status;
            }
            // Numbers go on from those of an update that ended, so that what is written now is the newest.
            const uint64_t number = progress.number;
            progress = {};
            memcpy(progress.magic, linnet::progress_magic, sizeof progress.magic);
            progress.number = number;
            progress.header = header;
            progress.update_offset = sizeof header;
            // Where none could be read both blocks are written: no older record is left that another time might find.
            for (int i = number == 0 ? 0 : 1; i < 2; ++i) {
                if (Status status = update->slots.write_progress(progress, inner); status != Status::ok) return status;
            }
        }
        update->record_got = update->literal_got = 0;
        update->new_offset = update->saved_offset = progress.new_offset;
        update->update_offset = progress.update_offset;
        update->running = true;
        *offset = progress.update_offset;
        return Status::ok;
    });
}

linnet_status linnet_update_feed(linnet_update* update, const void* bytes, size_t count, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if (!update->running)
            return inner.fail(Status::bad_argument) << "No update has been begun, or it has failed: begin it again.";
        Status status = feed(*update, static_cast<const uint8_t*>(bytes), count, inner);
        if (status != Status::ok) update->running = false;
        return status;
    });
}

linnet_status linnet_update_finish(linnet_update* update, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        const UpdateHeader& header = update->progress.header;
        if (!update->running)
            return inner.fail(Status::bad_argument) << "No update has been begun, or it has failed: begin it again.";
        if (update->new_offset != header.new_bytes) {
            return inner.fail(Status::bad_argument) << "The update is not complete: " << update->new_offset << " of "
                                                    << header.new_bytes << " bytes of the model have come.";
        }
        update->running = false;
        if (Status status = update->slots.sync(inner); status != Status::ok) return status;
        uint8_t hash[LINNET_UPDATE_HASH_BYTES];
        if (Status status = hash_slot(*update, update->spare(), header.new_bytes, hash, inner); status != Status::ok)
            return status;
        if (memcmp(hash, header.new_hash, sizeof hash) != 0) {
            // What was written is of no use: the next time from the start.
            if (Status status = update->slots.clear_progress(inner); status != Status::ok) return status;
            update->progress = {};
            return inner.fail(Status::bad_file)
                   << "What was written is not the model that the update names; it has not been switched to. "
                      "Fetch the update again. If that does not help, the storage is failing.";
        }
        StateRecord state = update->state;
        state.slots[update->spare()] = {header.new_bytes, header.release, {}};
        memcpy(state.slots[update->spare()].hash, hash, sizeof hash);
        state.on_trial = state.slots[state.active].bytes != 0 ? 1 : 0;  // the first model of all has none to go back to
        state.tries = 0;
        state.active = update->spare();
        // This write is the switch.
        if (Status status = change_state(*update, state, inner); status != Status::ok) return status;
        // Progress that a cut leaves behind names a release that is no longer newer.
        Status status = update->slots.clear_progress(inner);
        if (status == Status::ok) update->progress = {};
        return status;
    });
}
