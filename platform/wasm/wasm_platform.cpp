#include "platform/wasm/wasm_platform.h"

#include <emscripten.h>

namespace linnet {

using emscripten::val;

namespace {

// The view is made for each call: it goes stale when the memory grows.
int32_t transfer(const val& object, const char* method, uint64_t offset, void* memory, size_t bytes) {
    const val view(emscripten::typed_memory_view(bytes, static_cast<uint8_t*>(memory)));
    const double count = object.call<double>(method, static_cast<double>(offset), view);
    return count == static_cast<double>(bytes) ? ReaderChannel::done : ReaderChannel::short_read;
}

}  // namespace

WasmPlatform::WasmPlatform(val source, uint32_t threads, ReaderChannel* reader, uint64_t scratch_bytes)
    : source_(std::move(source)), reader_(reader), pool_(threads) {
    table_.version = LINNET_PLATFORM_VERSION;
    table_.context = this;
    table_.file_bytes = static_cast<uint64_t>(source_["size"].as<double>());
    table_.read = read;
    if (reader_ != nullptr) {
        table_.begin_read = begin_read;
        table_.wait = wait;
    }
    if (scratch_bytes != 0) {
        table_.scratch_write = scratch_write;
        table_.scratch_read = scratch_read;
        if (reader_ != nullptr) table_.begin_scratch_read = begin_scratch_read;
        table_.scratch_bytes = scratch_bytes;
    }
    table_.ticks = ticks;
    table_.yield = yield;
    table_.threads = pool_.threads();
    if (table_.threads > 1) {
        table_.parallel = parallel;
        table_.alone = alone;
    }
}

int32_t WasmPlatform::read(void* context, uint64_t offset, void* to, size_t bytes) {
    return transfer(static_cast<WasmPlatform*>(context)->source_, "read", offset, to, bytes);
}

int32_t WasmPlatform::begin_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    return static_cast<WasmPlatform*>(context)->reader_->begin(ReaderChannel::Kind::read_model, offset, to, bytes, ticket);
}

int32_t WasmPlatform::wait(void* context, uint32_t ticket) {
    return static_cast<WasmPlatform*>(context)->reader_->wait(ticket);
}

int32_t WasmPlatform::scratch_write(void* context, uint64_t offset, const void* from, size_t bytes) {
    WasmPlatform& self = *static_cast<WasmPlatform*>(context);
    void* memory = const_cast<void*>(from);  // both ends only read it
    if (self.reader_ != nullptr) return self.reader_->complete(ReaderChannel::Kind::write_scratch, offset, memory, bytes);
    return transfer(self.source_["scratch"], "write", offset, memory, bytes);
}

int32_t WasmPlatform::scratch_read(void* context, uint64_t offset, void* to, size_t bytes) {
    WasmPlatform& self = *static_cast<WasmPlatform*>(context);
    if (self.reader_ != nullptr) return self.reader_->complete(ReaderChannel::Kind::read_scratch, offset, to, bytes);
    return transfer(self.source_["scratch"], "read", offset, to, bytes);
}

int32_t WasmPlatform::begin_scratch_read(void* context, uint64_t offset, void* to, size_t bytes, uint32_t* ticket) {
    return static_cast<WasmPlatform*>(context)->reader_->begin(ReaderChannel::Kind::read_scratch, offset, to, bytes, ticket);
}

uint64_t WasmPlatform::ticks(void*) { return static_cast<uint64_t>(emscripten_get_now() * 1000.0); }

void WasmPlatform::parallel(void* context, linnet_task task, void* task_context, uint32_t count) {
    static_cast<WasmPlatform*>(context)->pool_.run(task, task_context, count);
}

int32_t WasmPlatform::alone(void* context) { return static_cast<WasmPlatform*>(context)->pool_.alone() ? 1 : 0; }

int32_t WasmPlatform::yield(void* context) {
    return static_cast<WasmPlatform*>(context)->stop_.load(std::memory_order_relaxed) != 0 ? 1 : 0;
}

}  // namespace linnet
