/* A debugger's or QEMU's service to the board: files of the host as a block device, the command line, and the end of the run. Only for
 * boards under QEMU or a debug probe: without one the processor stops at the first call. */
#ifndef LINNET_SEMIHOSTING_H
#define LINNET_SEMIHOSTING_H

#include "platform/block_device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LINNET_SEMIHOSTING_BLOCK_BYTES 512u

typedef struct linnet_semihosting_file {
    intptr_t handle;
    uint64_t bytes;
} linnet_semihosting_file;

/* Opens a file of the host as a device of 512-byte blocks; `writable` 0: only for reading, and a last block that is not full is read
 * with zeros. `file` must outlive the device. 0, or -1: it cannot be opened. */
int32_t linnet_semihosting_open(const char* path, int32_t writable, linnet_semihosting_file* file, linnet_block_device* device);

/* What stands behind -semihosting-config arg=…: "program word word". False where it has no room. */
int32_t linnet_semihosting_command_line(char* text, size_t capacity);

/* Ends the run; QEMU then ends with this code. */
__attribute__((noreturn)) void linnet_semihosting_exit(int32_t code);

#ifdef __cplusplus
}
#endif
#endif
