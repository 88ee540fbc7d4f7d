// The platform of a browser's worker (or of Node): a model file is a JavaScript object that reads, or another worker that reads
// while this one computes; the clock is the engine's, stopping is a word in the module's memory.
#pragma once

#include <emscripten/val.h>

#include <atomic>
#include <memory>

#include "platform/platform.h"
#include "platform/wasm/reader_channel.h"
#include "platform/wasm/thread_pool.h"

namespace linnet {

// The source is { size: number, read(offset: number, into: Uint8Array): number }. `read` is synchronous, fills `into` and
// returns the bytes that it read, as FileSystemSyncAccessHandle's does; fewer than asked for are an error. It must not throw.
//
// Storage for keys and values that do not fit is the reader's where there is one, else source.scratch: { read(offset, into),
// write(offset, from) }, each giving the bytes that were read or written.
class WasmPlatform {
public:
    // `reader` may be null; it must outlive the platform. `scratch_bytes`: 0: no scratch storage.
    WasmPlatform(emscripten::val source, uint32_t threads, ReaderChannel* reader = nullptr, uint64_t scratch_bytes = 0);
    WasmPlatform(const WasmPlatform&) = delete;
    WasmPlatform& operator=(const WasmPlatform&) = delete;

    const linnet_platform& table() const { return table_; }
    uint32_t threads() const { return pool_.threads(); }
    // Where the word stands that stops a running evaluation when it is not 0. Another thread sets it with Atomics.store where
    // the memory is shared.
    std::atomic<int32_t>& stop() { return stop_; }

private:
    static int32_t read(void* context, uint64_t offset, void* to, size_t bytes);
    static int32_t begin_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    static int32_t wait(void* context, uint32_t ticket);
    static int32_t scratch_write(void* context, uint64_t offset, const void* from, size_t bytes);
    static int32_t scratch_read(void* context, uint64_t offset, void* to, size_t bytes);
    static int32_t begin_scratch_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket);
    static uint64_t ticks(void* context);
    static void parallel(void* context, linnet_task task, void* task_context, uint32_t count);
    static int32_t alone(void* context);
    static int32_t yield(void* context);

    emscripten::val source_;
    ReaderChannel* reader_;
    WasmThreadPool pool_;
    std::atomic<int32_t> stop_{0};
    linnet_platform table_{};
};

}  // namespace linnet
