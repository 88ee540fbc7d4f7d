/* Model updates that survive a power cut: two slots on a block device, one of them the model in use. C11-clean; this header is the manual.
 *
 * An update is a stream of bytes that `linnet update make` writes: all of a new model, or what differs from the model in use. It may
 * come in pieces of any size, and may break off anywhere:
 *
 *     linnet_update_open(&update, &device, public_key, workspace, &error);                 after each start
 *     linnet_update_begin(&update, header, LINNET_UPDATE_HEADER_BYTES, &offset, &error);   verifies the signature; `offset`: where to go on
 *     while (...) linnet_update_feed(&update, bytes, count, &error);                       the stream from `offset` on
 *     linnet_update_finish(&update, &error);                                               the whole model is compared, then switched to
 *
 * At each start of the board:
 *
 *     linnet_update_open(...);  linnet_update_boot(&update, &slot, &error);                which model to open
 *     if (linnet_open(...) == LINNET_OK) linnet_update_confirm(&update, &error);
 *     else linnet_update_roll_back(&update, &error);                                       and boot again: the model from before
 *
 * What is promised: at every moment, whatever write a power cut hits, the device has a whole model that was in use before or was verified
 * to its last byte, and the next start finds it. A model is switched to by the write of one block. One that never confirms
 * (it does not open, or the board hangs and is reset) is left for the one before it after LINNET_UPDATE_TRIES starts. Of the device is
 * asked what platform/block_device.h says, no more: blocks that are being written may hold anything afterwards.
 *
 * A model that was damaged after it was installed is mended by an update of a newer release, and not by a difference to it.
 *
 * No heap, no globals. Signatures are Ed25519 and hashes SHA-256, by libsodium. One thread. */
#ifndef LINNET_UPDATE_H
#define LINNET_UPDATE_H

#include "core/linnet.h"
#include "platform/block_device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LINNET_UPDATE_HEADER_BYTES 256u /* with which every update begins */
#define LINNET_UPDATE_KEY_BYTES 32u     /* of a public key */
#define LINNET_UPDATE_TRIES 3u
#define LINNET_UPDATE_HASH_BYTES 32u
#define LINNET_UPDATE_WORKSPACE_BYTES 65536u /* a window of the model, and a block of the device, which is half of it at most */

typedef struct linnet_update_slot {
    uint64_t first_block;                   /* of the device, for linnet_baremetal_on_device */
    uint64_t bytes;                         /* of the model; 0: the slot is empty */
    uint64_t release;                       /* that the update named; each is larger than the one before */
    uint8_t hash[LINNET_UPDATE_HASH_BYTES]; /* SHA-256 of the model */
} linnet_update_slot;

/* What stands on the device. */
typedef struct linnet_update_state {
    uint32_t active;     /* the slot in use, 0 or 1 */
    uint32_t on_trial;   /* 1: it has been switched to and not been confirmed yet */
    uint32_t tries;      /* starts since then */
    uint32_t under_way;  /* 1: an update has begun and can be taken up */
    uint64_t slot_bytes; /* that a model may have at most */
    linnet_update_slot slots[2];
    uint64_t under_way_bytes; /* of the new model that are written */
    uint64_t under_way_of;
} linnet_update_state;

typedef struct linnet_update linnet_update;
#define LINNET_UPDATE_OBJECT_BYTES 2048u /* what a linnet_update takes, aligned to 8 */

/* Writes an empty state to a device that had none: both slots empty. What was on the device is lost. */
linnet_status linnet_update_format(const linnet_block_device* device, void* workspace, linnet_error* error);

/* Reads the state. `memory`: LINNET_UPDATE_OBJECT_BYTES, aligned to 8, where *update will be; `workspace`: LINNET_UPDATE_WORKSPACE_BYTES,
 * aligned to 8; device and both outlive it. `public_key` may be null where no update will be begun. LINNET_BAD_FILE: no state is there. */
linnet_status linnet_update_open(void* memory, const linnet_block_device* device, const uint8_t* public_key, void* workspace,
                                 linnet_update** update, linnet_error* error);
void linnet_update_get_state(const linnet_update* update, linnet_update_state* state);

/* Once at each start: *slot is the model to open. Counts the tries of one on trial, and goes back to the one before it when they are used
 * up. LINNET_BAD_FILE: there is no model on the device. */
linnet_status linnet_update_boot(linnet_update* update, linnet_update_slot* slot, linnet_error* error);
/* The model in use has opened: it stays. */
linnet_status linnet_update_confirm(linnet_update* update, linnet_error* error);
/* It has not: the one before it is in use again. LINNET_BAD_ARGUMENT where there is none, or the model is not on trial. */
linnet_status linnet_update_roll_back(linnet_update* update, linnet_error* error);

/* Checks an update's header: signature, room, release, and the base of a difference. Takes an update up that broke off where the header is
 * the same; else begins anew, for which the slot that is not in use is given up. *offset: of the update's bytes, from where on `feed`
 * wants them. LINNET_BAD_FILE: it is damaged, or not signed with the key. LINNET_BAD_ARGUMENT: its release is not newer than the one in
 * use, it is made for another model, or the model in use is still on trial. LINNET_DOES_NOT_FIT: the slot is too small. */
linnet_status linnet_update_begin(linnet_update* update, const void* header, size_t bytes, uint64_t* offset,
                                  linnet_error* error);
/* The next bytes of the update. A failure of the device leaves the update as it was at the last `begin`, for another one. */
linnet_status linnet_update_feed(linnet_update* update, const void* bytes, size_t count, linnet_error* error);
/* All has come: compares the whole model with its hash (reading all of it; a watchdog is fed in the device's `read`), and switches to it,
 * on trial. LINNET_BAD_FILE: what was written is not the model,
 * and nothing has been switched. */
linnet_status linnet_update_finish(linnet_update* update, linnet_error* error);

#ifdef __cplusplus
}
#endif
#endif
