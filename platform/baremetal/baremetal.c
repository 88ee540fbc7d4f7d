#include "platform/baremetal/baremetal.h"

#include <string.h>

/* The first bytes of a model file, and where they give its length (core/model/format.h). */
static const uint8_t magic[8] = {0x89, 'L', 'I', 'N', 'N', 'E', 'T', '\n'};
enum { file_bytes_offset = 16, enough_of_header = 24 };

static int32_t take_length(linnet_baremetal* self, const uint8_t* header, uint64_t limit) {
    if (limit < enough_of_header || memcmp(header, magic, sizeof magic) != 0) return -1;
    memcpy(&self->file_bytes, header + file_bytes_offset, sizeof self->file_bytes);
    return self->file_bytes <= limit ? 0 : -1;
}

static int32_t read_memory(void* context, uint64_t offset, void* to, size_t bytes) {
    const linnet_baremetal* self = (const linnet_baremetal*)context;
    if (offset > self->file_bytes || bytes > self->file_bytes - offset) return -1;
    memcpy(to, self->memory + (size_t)offset, bytes);
    return 0;
}

static const void* map_memory(void* context, uint64_t offset, size_t bytes) {
    const linnet_baremetal* self = (const linnet_baremetal*)context;
    if (offset > self->file_bytes || bytes > self->file_bytes - offset) return NULL;
    return self->memory + (size_t)offset;
}

/* Whole blocks go straight to their place; what begins or ends within a block goes through self->block. */
static int32_t read_device(void* context, uint64_t offset, void* to, size_t bytes) {
    linnet_baremetal* self = (linnet_baremetal*)context;
    const linnet_block_device* device = self->device;
    const uint32_t block_bytes = device->block_bytes;
    uint8_t* at = (uint8_t*)to;
    if (offset > self->file_bytes || bytes > self->file_bytes - offset) return -1;
    while (bytes != 0) {
        const uint64_t block = self->first_block + offset / block_bytes;
        const uint32_t within = (uint32_t)(offset % block_bytes);
        size_t done;
        int32_t result;
        if (within == 0 && bytes >= block_bytes) {
            const size_t whole = bytes / block_bytes;
            const uint32_t count = whole < 65536 ? (uint32_t)whole : 65536u;
            done = (size_t)count * block_bytes;
            result = device->read(device->context, block, at, count);
        } else {
            done = block_bytes - within < bytes ? block_bytes - within : bytes;
            result = device->read(device->context, block, self->block, 1);
            if (result == 0) memcpy(at, self->block + within, done);
        }
        if (result != 0) return result;
        at += done;
        offset += done;
        bytes -= done;
    }
    return 0;
}

static uint64_t ticks(void* context) {
    const linnet_baremetal* self = (const linnet_baremetal*)context;
    return self->microseconds(self->board);
}

static void log_line(void* context, const char* line) {
    const linnet_baremetal* self = (const linnet_baremetal*)context;
    self->log(self->board, line);
}

static int32_t yield(void* context) {
    const linnet_baremetal* self = (const linnet_baremetal*)context;
    return self->yield(self->board);
}

static void fill_in(linnet_baremetal* self, linnet_platform* platform) {
    memset(platform, 0, sizeof *platform);
    platform->version = LINNET_PLATFORM_VERSION;
    platform->context = self;
    platform->file_bytes = self->file_bytes;
    if (self->microseconds != NULL) platform->ticks = ticks;
    if (self->log != NULL) platform->log = log_line;
    if (self->yield != NULL) platform->yield = yield;
}

int32_t linnet_baremetal_in_memory(linnet_baremetal* self, const void* memory, uint64_t limit, linnet_platform* platform) {
    self->memory = (const uint8_t*)memory;
    self->device = NULL;
    if (take_length(self, self->memory, limit) != 0) return -1;
    fill_in(self, platform);
    platform->read = read_memory;
    platform->map = map_memory;
    return 0;
}

int32_t linnet_baremetal_on_device(linnet_baremetal* self, const linnet_block_device* device, uint64_t first_block,
                                   linnet_platform* platform) {
    int32_t result;
    self->memory = NULL;
    self->device = device;
    self->first_block = first_block;
    if (device->block_bytes > sizeof self->block || device->block_bytes < enough_of_header || first_block >= device->blocks)
        return -1;
    result = device->read(device->context, first_block, self->block, 1);
    if (result != 0) return result;
    if (take_length(self, self->block, (device->blocks - first_block) * device->block_bytes) != 0) return -1;
    fill_in(self, platform);
    platform->read = read_device;
    return 0;
}
