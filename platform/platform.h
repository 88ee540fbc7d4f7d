/* What Linnet's core knows of the world. One table of functions, given by the caller; every one but `read` may be null.
 *
 * C11-clean. A platform implements it once (platform/posix, platform/wasm, platform/baremetal; platform/fake breaks
 * things on purpose) and may be shared by several models, if its functions may be called from several threads. */
#ifndef LINNET_PLATFORM_H
#define LINNET_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LINNET_PLATFORM_VERSION 3u

/* One piece of parallel work: called once for each index in [0, count), from any thread, in any order. */
typedef void (*linnet_task)(void* task_context, uint32_t index);

typedef struct linnet_platform {
    uint32_t version; /* LINNET_PLATFORM_VERSION */
    void* context;    /* passed back as the first argument of each function */

    /* Size of the model file in bytes. */
    uint64_t file_bytes;

    /* Reads exactly `bytes` bytes at `offset` of the model file. 0 when done; anything else is an error of the
     * platform's own, which the core reports with the offset. Blocks. */
    int32_t (*read)(void* context, uint64_t offset, void* to, size_t bytes);

    /* Where these bytes of the file already lie in memory (flash, a mapping), valid as long as the model is open and
     * 64-aligned if `offset` is; or null, and the core reads instead. */
    const void* (*map)(void* context, uint64_t offset, size_t bytes);

    /* Starts a read and returns at once; `wait` blocks until the read begun with this ticket is done and returns
     * what `read` would. At most two are under way at a time. Both or neither. Large reads of the core that are aligned to
     * 4096 (offset, length, memory) can go past the system's cache. */
    int32_t (*begin_read)(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    int32_t (*wait)(void* context, uint32_t ticket);

    /* Storage of the core's own, for keys and values that do not fit into the arena: a file without a name, a partition, slow
     * RAM. Nothing in it need outlive the model. All three or none; null: such a context is refused by the plan.
     * Offsets and lengths are multiples of 4096. `scratch_read` gives back what was written there last. Each returns 0 when
     * done, else an error of the platform's own (a full storage, for one): what was written before stays readable.
     * `begin_scratch_read` is to `scratch_read` what `begin_read` is to `read`, shares its tickets with it, and is null where
     * begin_read is. A write is never under way at the same time as a read of the same bytes. */
    int32_t (*scratch_write)(void* context, uint64_t offset, const void* from, size_t bytes);
    int32_t (*scratch_read)(void* context, uint64_t offset, void* to, size_t bytes);
    int32_t (*begin_scratch_read)(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    uint64_t scratch_bytes; /* that can be asked for; UINT64_MAX: not known before it is tried */

    /* A clock in microseconds that never goes back. */
    uint64_t (*ticks)(void* context);

    /* One line for the integrator's log, UTF-8, without a newline. */
    void (*log)(void* context, const char* line);

    /* Runs task(task_context, i) for every i in [0, count) and returns when all are done. Null: one thread. */
    void (*parallel)(void* context, linnet_task task, void* task_context, uint32_t count);
    /* How many tasks `parallel` runs at the same time; 0 is read as 1. */
    uint32_t threads;
    /* Other than 0: `parallel` would run them all on the calling thread just now, since the others have no processors, and the core
     * makes one task of them, which is less work. Null: 0. */
    int32_t (*alone)(void* context);

    /* Called between pieces of long work (every few milliseconds to some hundred): feed a watchdog, look at a stop
     * button. A value other than 0 stops the work, which then returns LINNET_CANCELLED. */
    int32_t (*yield)(void* context);
} linnet_platform;

#ifdef __cplusplus
}
#endif
#endif
