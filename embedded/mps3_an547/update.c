/* A device with two slots for models: takes an update, if there is a newer one, and answers with the model in use. The update's signature
 * and every byte of its model are compared here, on the board. Device, update and public key are files of the host. */
#include "embedded/update/update.h"

#include <string.h>

#include "embedded/common/answer.h"
#include "places.h"
#include "platform/baremetal/semihosting.h"

enum { piece_bytes = 2048 };

static _Alignas(8) unsigned char update_memory[LINNET_UPDATE_OBJECT_BYTES];
static _Alignas(8) unsigned char workspace[LINNET_UPDATE_WORKSPACE_BYTES];
static unsigned char piece[piece_bytes];

static int32_t complain(const linnet_error* error) {
    say(error->text);
    say("\n");
    return 1;
}

/* All of the update from where it was, in pieces as a line or a card would bring them. */
static linnet_status take(linnet_update* update, const linnet_block_device* source, uint64_t bytes, linnet_error* error) {
    uint64_t offset = 0;
    linnet_status status;
    source->read(source->context, 0, piece, 1);
    status = linnet_update_begin(update, piece, LINNET_UPDATE_HEADER_BYTES, &offset, error);
    while (status == LINNET_OK && offset < bytes) {
        const size_t within = (size_t)(offset % source->block_bytes);
        size_t count = sizeof piece - within;
        if (count > bytes - offset) count = (size_t)(bytes - offset);
        if (source->read(source->context, offset / source->block_bytes, piece, sizeof piece / source->block_bytes) != 0)
            return LINNET_IO;
        status = linnet_update_feed(update, piece + within, count, error);
        offset += count;
    }
    return status == LINNET_OK ? linnet_update_finish(update, error) : status;
}

int main(void) {
    static linnet_semihosting_file device_file, update_file, key_file;
    static linnet_block_device device, source, key;
    static unsigned char public_key[LINNET_SEMIHOSTING_BLOCK_BYTES];
    linnet_options options = linnet_default_options();
    linnet_update* update;
    linnet_update_slot slot;
    linnet_error error;
    int32_t result;

    board_start();
    if (linnet_semihosting_open("device.img", 1, &device_file, &device) != 0 ||
        linnet_semihosting_open("key", 0, &key_file, &key) != 0 || key.read(key.context, 0, public_key, 1) != 0) {
        say("The host has no device.img, or no key.\n");
        return 1;
    }
    if (linnet_update_open(update_memory, &device, public_key, workspace, &update, &error)) return complain(&error);
    if (linnet_semihosting_open("update", 0, &update_file, &source) == 0) {
        const linnet_status status = take(update, &source, update_file.bytes, &error);
        say("update: ");
        say(status == LINNET_OK ? "taken" : error.text);
        say("\n");
    }
    if (linnet_update_boot(update, &slot, &error)) return complain(&error);
    say("slot: release ");
    say_number(slot.release);
    say("\n");
    options.context = 64;
    options.batch = 16;
    options.text_run = 256;
    options.memory = (uint64_t)(board_arena_end - board_arena_begin);
    result = answer_from_device(&device, slot.first_block, board_arena_begin, &options, 16);
    /* It has opened and answered: it stays. Else the one before it is in use again, at the next start. */
    if (result == 0) return linnet_update_confirm(update, &error) == LINNET_OK ? 0 : complain(&error);
    if (linnet_update_roll_back(update, &error) == LINNET_OK) say("rolled back\n");
    return result;
}
