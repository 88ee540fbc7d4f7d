/* Arm's semihosting (Arm document "Semihosting for AArch32 and AArch64"), for M-profile and for AArch64. */
#include "platform/baremetal/semihosting.h"

#include <string.h>

enum {
    sys_open = 0x01,
    sys_write = 0x05,
    sys_read = 0x06,
    sys_seek = 0x0a,
    sys_flen = 0x0c,
    sys_get_cmdline = 0x15,
    sys_exit_extended = 0x20,
    open_to_read = 1,          /* "rb" */
    open_to_write = 3,         /* "r+b" */
    stopped_by_exit = 0x20026, /* ADP_Stopped_ApplicationExit */
};

/* The parameters lie in memory as a row of words of the processor's size. */
static intptr_t call(uintptr_t operation, const void* parameters) {
#if defined(__aarch64__)
    register uintptr_t x0 __asm__("x0") = operation;
    register const void* x1 __asm__("x1") = parameters;
    __asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return (intptr_t)x0;
#else
    register uintptr_t r0 __asm__("r0") = operation;
    register const void* r1 __asm__("r1") = parameters;
    __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (intptr_t)r0;
#endif
}

static int32_t read_blocks(void* context, uint64_t first, void* to, uint32_t count) {
    linnet_semihosting_file* file = (linnet_semihosting_file*)context;
    const uint64_t offset = first * LINNET_SEMIHOSTING_BLOCK_BYTES;
    const size_t wanted = (size_t)count * LINNET_SEMIHOSTING_BLOCK_BYTES;
    const uint64_t left = offset < file->bytes ? file->bytes - offset : 0;
    const size_t there = left < wanted ? (size_t)left : wanted;
    const uintptr_t seek[2] = {(uintptr_t)file->handle, (uintptr_t)offset};
    const uintptr_t read[3] = {(uintptr_t)file->handle, (uintptr_t)to, there};
    if (call(sys_seek, seek) != 0) return -1;
    if (call(sys_read, read) != 0) return -1; /* the answer is how many bytes are missing */
    memset((uint8_t*)to + there, 0, wanted - there);
    return 0;
}

static int32_t write_blocks(void* context, uint64_t first, const void* from, uint32_t count) {
    linnet_semihosting_file* file = (linnet_semihosting_file*)context;
    const uintptr_t seek[2] = {(uintptr_t)file->handle, (uintptr_t)(first * LINNET_SEMIHOSTING_BLOCK_BYTES)};
    const uintptr_t write[3] = {(uintptr_t)file->handle, (uintptr_t)from, (size_t)count * LINNET_SEMIHOSTING_BLOCK_BYTES};
    if (call(sys_seek, seek) != 0) return -1;
    return call(sys_write, write) == 0 ? 0 : -1; /* the answer is how many bytes are missing */
}

int32_t linnet_semihosting_open(const char* path, int32_t writable, linnet_semihosting_file* file,
                                linnet_block_device* device) {
    const uintptr_t open[3] = {(uintptr_t)path, writable != 0 ? open_to_write : open_to_read, strlen(path)};
    uintptr_t length[1];
    intptr_t bytes;
    file->handle = call(sys_open, open);
    if (file->handle == -1) return -1;
    length[0] = (uintptr_t)file->handle;
    bytes = call(sys_flen, length);
    if (bytes < 0) return -1;
    file->bytes = (uint64_t)bytes;
    memset(device, 0, sizeof *device);
    device->context = file;
    device->block_bytes = LINNET_SEMIHOSTING_BLOCK_BYTES;
    device->blocks = (file->bytes + LINNET_SEMIHOSTING_BLOCK_BYTES - 1) / LINNET_SEMIHOSTING_BLOCK_BYTES;
    device->read = read_blocks;
    if (writable != 0) device->write = write_blocks;
    return 0;
}

int32_t linnet_semihosting_command_line(char* text, size_t capacity) {
    uintptr_t parameters[2] = {(uintptr_t)text, capacity};
    text[0] = 0;
    return call(sys_get_cmdline, parameters) == 0;
}

__attribute__((noreturn)) void linnet_semihosting_exit(int32_t code) {
    const uintptr_t parameters[2] = {stopped_by_exit, (uintptr_t)code};
    for (;;) call(sys_exit_extended, parameters);
}
