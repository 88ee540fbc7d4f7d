// The platform of a browser's worker (or of Node): a model file is a JavaScript object that reads, the clock is the engine's,
// stopping is a word in the module's memory.
#pragma once

#include <emscripten/val.h>

#include <atomic>
#include <memory>

#include "platform/platform.h"
#include "platform/wasm/thread_pool.h"

namespace linnet {

// The source is { size: number, read(offset: number, into: Uint8Array): number }. `read` is synchronous, fills `into` and
// returns the bytes that it read, as FileSystemSyncAccessHandle's does; fewer than asked for are an error. It must not throw.
class WasmPlatform {
public:
    WasmPlatform(emscripten::val source, uint32_t threads);
    WasmPlatform(const WasmPlatform&) = delete;
    WasmPlatform& operator=(const WasmPlatform&) = delete;

    const linnet_platform& table() const { return table_; }
    uint32_t threads() const { return pool_.threads(); }
    // Where the word stands that stops a running evaluation when it is not 0. Another thread sets it with Atomics.store where
    // the memory is shared.
    std::atomic<int32_t>& stop() { return stop_; }

private:
    static int32_t read(void* context, uint64_t offset, void* to, size_t bytes);
    static uint64_t ticks(void* context);
    static void parallel(void* context, linnet_task task, void* task_context, uint32_t count);
    static int32_t yield(void* context);

    emscripten::val source_;
    WasmThreadPool pool_;
    std::atomic<int32_t> stop_{0};
    linnet_platform table_{};
};

}  // namespace linnet
