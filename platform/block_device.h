/* Storage in blocks: an SD card, a flash chip, a partition of either. One table of functions, given by the board. C11-clean. */
#ifndef LINNET_BLOCK_DEVICE_H
#define LINNET_BLOCK_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct linnet_block_device {
    void* context;        /* passed back as the first argument of each function */
    uint32_t block_bytes; /* of one block, the unit of reading and writing: a power of two, 512..65536 */
    uint64_t blocks;      /* of the device */

    /* Each moves `count` whole blocks from block number `first` on, and returns 0 when done, else an error of the device's own. `to` and
     * `from` may lie at any address: a DMA that wants its memory aligned goes through a buffer of the driver's. */
    int32_t (*read)(void* context, uint64_t first, void* to, uint32_t count);
    /* Null where the device is only read. Flash is erased in here. When the power goes during a write, a block of it may hold
     * the old bytes, the new ones, or anything, or be unreadable until it is written again; blocks that are not written never change: a
     * block is no smaller than what the flash erases at once. */
    int32_t (*write)(void* context, uint64_t first, const void* from, uint32_t count);
    /* Returns when all that was written is where a power cut cannot reach it. Null: it is when `write` returns. */
    int32_t (*sync)(void* context);
} linnet_block_device;

#ifdef __cplusplus
}
#endif
#endif
