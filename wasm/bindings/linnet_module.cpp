// The names under which JavaScript sees Linnet.
#include <emscripten/bind.h>

#include "wasm/bindings/bench.h"
#include "wasm/bindings/benchmark.h"
#include "wasm/bindings/model.h"
#include "wasm/bindings/storage.h"

using linnet::Model;

namespace {

emscripten::val kernel_name_array() { return emscripten::val::array(linnet::kernel_names()); }
emscripten::val whole_step(Model& model, uint32_t session) { return model.step(session, 1e9); }
unsigned crc32c_alone(emscripten::val bytes) { return linnet::crc32c_of(bytes, 0); }

}  // namespace

EMSCRIPTEN_BINDINGS(linnet) {
    emscripten::class_<Model>("Model")
        .constructor<>()
        .function("open", &Model::open)
        .function("measuredPlan", &Model::measured_plan)
        .function("info", &Model::info)
        .function("stopAddress", &Model::stop_address)
        .function("clearStop", &Model::clear_stop)
        .function("readerAddress", &Model::reader_address)
        .function("tokenize", &Model::tokenize)
        .function("detokenize", &Model::detokenize)
        .function("chatTokens", &Model::chat_tokens)
        .function("chatFit", &Model::chat_fit)
        .function("openSession", &Model::open_session)
        .function("closeSession", &Model::close_session)
        .function("tokens", &Model::tokens)
        .function("copySession", &Model::copy_session)
        .function("snapshotBytes", &Model::snapshot_bytes)
        .function("saveSession", &Model::save_session)
        .function("restoreSession", &Model::restore_session)
        .function("logitRows", &Model::logit_rows)
        .function("rewind", &Model::rewind)
        .function("evaluate", &Model::evaluate)
        .function("logits", &Model::logits)
        .function("stats", &Model::stats)
        .function("begin", &Model::begin)
        .function("step", &whole_step)
        .function("step", &Model::step);
    emscripten::class_<linnet::Bench>("Bench")
        .constructor<>()
        .function("open", &linnet::Bench::open)
        .function("readRate", &linnet::Bench::read_rate)
        .function("dotRate", &linnet::Bench::dot_rate)
        .function("report", &linnet::Bench::report);
    emscripten::function("makePlan", &linnet::make_plan);
    emscripten::function("fileLayout", &linnet::file_layout);
    emscripten::function("metadataProblem", &linnet::metadata_problem);
    emscripten::function("crc32c", &crc32c_alone);
    emscripten::function("crc32c", &linnet::crc32c_of);
    emscripten::function("kernelNames", &kernel_name_array);
    emscripten::function("measureKernels", &linnet::measure_kernels);
}
