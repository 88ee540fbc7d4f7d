#include "platform/wasm/wasm_platform.h"

#include <emscripten.h>

namespace linnet {

WasmPlatform::WasmPlatform(emscripten::val source, uint32_t threads) : source_(std::move(source)), pool_(threads) {
    table_.version = LINNET_PLATFORM_VERSION;
    table_.context = this;
    table_.file_bytes = static_cast<uint64_t>(source_["size"].as<double>());
    table_.read = read;
    table_.ticks = ticks;
    table_.yield = yield;
    table_.threads = pool_.threads();
    if (table_.threads > 1) table_.parallel = parallel;
}

int32_t WasmPlatform::read(void* context, uint64_t offset, void* to, size_t bytes) {
    WasmPlatform& self = *static_cast<WasmPlatform*>(context);
    // The view is made for each call: it goes stale when the memory grows.
    const emscripten::val view(emscripten::typed_memory_view(bytes, static_cast<uint8_t*>(to)));
    const double read = self.source_.call<double>("read", static_cast<double>(offset), view);
    return read == static_cast<double>(bytes) ? 0 : 1;
}

uint64_t WasmPlatform::ticks(void*) { return static_cast<uint64_t>(emscripten_get_now() * 1000.0); }

void WasmPlatform::parallel(void* context, linnet_task task, void* task_context, uint32_t count) {
    static_cast<WasmPlatform*>(context)->pool_.run(task, task_context, count);
}

int32_t WasmPlatform::yield(void* context) {
    return static_cast<WasmPlatform*>(context)->stop_.load(std::memory_order_relaxed) != 0 ? 1 : 0;
}

}  // namespace linnet
