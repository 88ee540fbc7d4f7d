/* Linnet's platform where there is no operating system: the model lies in the memory map (flash that is read like memory, RAM that
 * a loader has filled), or on a block device. C11, no heap, no globals: all state is in the struct. */
#ifndef LINNET_BAREMETAL_H
#define LINNET_BAREMETAL_H

#include "platform/block_device.h"
#include "platform/platform.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LINNET_BAREMETAL_BLOCK_BYTES 4096u /* the largest block of a device */

/* Zero-initialise, fill in the first part, and call one of the two functions below. Must outlive the model. */
typedef struct linnet_baremetal {
    void* board; /* passed back to the three functions of the board */
    /* Microseconds since some moment, never going back; null: no clock, and no statistics of time. */
    uint64_t (*microseconds)(void* board);
    /* One line for the log, without a newline; null: no log. */
    void (*log)(void* board, const char* line);
    /* Called every few milliseconds to some hundred: feed the watchdog here. Other than 0 stops the work. May be null. */
    int32_t (*yield)(void* board);

    /* Filled in by linnet_baremetal_in_memory and linnet_baremetal_on_device. */
    const uint8_t* memory;
    const linnet_block_device* device;
    uint64_t first_block;
    uint64_t file_bytes;
    uint8_t block[LINNET_BAREMETAL_BLOCK_BYTES]; /* where a read begins or ends within a block */
} linnet_baremetal;

/* The model lies at `memory`, aligned to 64, in a region of at most `limit` bytes: its weights and its tokenizer are used where they
 * are, and take no place in the arena. 0, or -1 where no model file begins there. */
int32_t linnet_baremetal_in_memory(linnet_baremetal* self, const void* memory, uint64_t limit, linnet_platform* platform);

/* The model begins at block `first_block` of the device: it is read, and streams where the arena is smaller than it. 0, or -1 where no
 * model file begins there, its end is beyond the device's, or the blocks are larger than LINNET_BAREMETAL_BLOCK_BYTES; or the device's
 * error. */
int32_t linnet_baremetal_on_device(linnet_baremetal* self, const linnet_block_device* device, uint64_t first_block,
                                   linnet_platform* platform);

#ifdef __cplusplus
}
#endif
#endif
