// The names under which JavaScript sees the converter, and what happens when memory runs out.
#include <emscripten/bind.h>
#include <emscripten/em_js.h>

#include <cstdlib>
#include <new>

#include "tools/converter/convert.h"
#include "wasm/converter/host_streams.h"

// There are no exceptions: what cannot be allocated ends this instance. The package makes one for each conversion, and says
// from this name what happened.
EM_JS(void, linnet_out_of_memory, (), {
    const error = new Error('out of memory');
    error.name = 'LinnetOutOfMemory';
    throw error;
});

namespace {

void* allocate(size_t bytes) {
    void* const memory = malloc(bytes != 0 ? bytes : 1);
    if (memory == nullptr) {
        linnet_out_of_memory();
        __builtin_trap();
    }
    return memory;
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes); }
void* operator new[](size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

namespace linnet {

using emscripten::val;

namespace {

const char* status_word(Status status) {
    switch (status) {
        case Status::ok: return "ok";
        case Status::bad_file: return "bad-file";
        case Status::does_not_fit: return "does-not-fit";
        case Status::io: return "io";
        case Status::cancelled: return "cancelled";
        case Status::unsupported: return "unsupported";
        case Status::bad_argument: break;
    }
    return "bad-argument";
}

// { status, text, notes }: with the settings that the native command has when it is given none.
val convert(val host, std::string file_name) {
    HostInput input(host);
    HostFolder folder(file_name, input);
    HostOutput output(host);
    HostProgress progress(host);
    SourceModel model;
    ConvertReport report;
    Error error;
    Status status = open_gguf(folder, file_name, SourceOptions{}, model, error);
    if (status == Status::ok) status = write_container(model, ConvertOptions{}, output, nullptr, &progress, report, error);
    if (status == Status::ok) status = output.flush(error);
    val result = val::object();
    result.set("status", std::string(status_word(status)));
    result.set("text", std::string(error.text()));
    result.set("notes", val::array(model.notes));
    return result;
}

}  // namespace

}  // namespace linnet

EMSCRIPTEN_BINDINGS(linnet_convert) { emscripten::function("convert", &linnet::convert, emscripten::async()); }
