// The ceilings of this engine on this machine, and a benchmark's report from what the worker has timed: tools/bench, as the
// command has it.
#pragma once

#include <emscripten/val.h>

#include <memory>

#include "tools/bench/report.h"
#include "wasm/bindings/model.h"

namespace linnet {

class Bench {
public:
    Bench() = default;
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    // Takes memory for the ceilings' loops. The model stays open until the Bench is deleted. { status, text? }
    emscripten::val open(Model& model);
    // Each some ten milliseconds. Bytes a second; multiplications a second.
    double read_rate();
    double dot_rate(uint32_t tokens);
    // measured: { rounds, prefill, decode: [{ after, tokens, rates, readCeilings, dotCeilings: number[] }], machine: { processor,
    // cores }, load: { cold, cached, loading (seconds), storage (bytes a second), bytes }, streamed, peak }, all of it numbers
    // but the processor's name. { report, plot }: the JSON of tools/bench/README.md and its picture.
    emscripten::val report(emscripten::val measured);

private:
    Model* model_ = nullptr;
    BenchReport report_;
    void* read_memory_ = nullptr;
    void* dot_memory_ = nullptr;
    ReadCeiling read_;
    DotCeiling dot_;
};

}  // namespace linnet
