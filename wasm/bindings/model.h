// What the package's worker drives: one open model with its sessions, in steps that are short enough to be stopped in between.
//
// A worker without shared memory hears of a stop only when it returns to its event loop. So nothing here runs long: `evaluate`
// and `step` come back after about the milliseconds that they are given, wherever in a layer they are, and go on there the next
// time.
#pragma once

#include <emscripten/val.h>

#include <memory>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "platform/wasm/wasm_platform.h"

namespace linnet {

class Model {
public:
    Model() = default;
    ~Model();
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    // { status, text?, plan fields }. `source` is platform/wasm's; options are linnet_options with `threads`, with `reader` (true:
    // a worker serves the words at reader_address()) and with `scratchBytes` (of storage for keys and values; absent: none).
    // `measure` (true): with the rates of this machine, measured in less than a second.
    emscripten::val open(emscripten::val source, emscripten::val options);
    // The same without opening it.
    emscripten::val measured_plan(emscripten::val source, emscripten::val options);
    emscripten::val info() const;
    uint32_t threads() const;
    // For what works with the open model beside JavaScript; they hold until it is deleted.
    bool is_open() const { return model_ != nullptr; }
    linnet_model* handle() const { return model_; }
    const linnet_plan& plan() const { return plan_; }
    const linnet_platform& platform() const { return platform_->table(); }
    // Byte address of the word that stops (see WasmPlatform::stop).
    uint32_t stop_address() const;
    void clear_stop();
    // Byte address of the words through which the reader is asked (platform/wasm/reader_channel.h). It must have ended before
    // the model is deleted.
    uint32_t reader_address() const;

    // { status, text?, tokens }
    emscripten::val tokenize(const std::string& text, uint32_t flags);
    // { status, text?, piece }: the text of these tokens, whole.
    emscripten::val detokenize(emscripten::val tokens, uint32_t flags);
    // messages: [{ role: "system" | "user" | "assistant", content: string }]. { status, text?, tokens }
    emscripten::val chat_tokens(emscripten::val messages, uint32_t flags);
    // { status, text?, forgotten }
    emscripten::val chat_fit(emscripten::val messages, uint32_t answer_tokens);

    // { status, text?, session }: a small number.
    emscripten::val open_session();
    void close_session(uint32_t session);
    emscripten::val tokens(uint32_t session) const;
    emscripten::val rewind(uint32_t session, uint32_t length);
    // `to` becomes what `from` is. { status, text? }
    emscripten::val copy_session(uint32_t to, uint32_t from);
    // Bytes that saving it would write.
    double snapshot_bytes(uint32_t session) const;
    // sink: { write(bytes: Uint8Array): boolean }, called in order with views that are valid during the call; false: no room.
    // source: { size, read(offset, into: Uint8Array): number } as a model's. Neither may throw. { status, text? }; a session that
    // could not be restored is empty.
    emscripten::val save_session(uint32_t session, emscripten::val sink) const;
    emscripten::val restore_session(uint32_t session, emscripten::val source);

    // Makes the session hold exactly these tokens: what it holds in common with them stays. Works for about `milliseconds`; call
    // again with the same tokens until done. { status, text?, done, evaluated, tokensDone, tokensTotal }: tokens finished by this
    // call; of `tokensTotal` that have to be computed, those that are (a fraction counts layers).
    emscripten::val evaluate(uint32_t session, emscripten::val tokens, double milliseconds);
    // Evaluates further tokens, not more than `most` of those from `from` on, and gives every row of logits: { status, text?, done,
    // rows: Float32Array, evaluated }, as many rows as tokens, one behind the other. What the session held before `from` stays.
    emscripten::val logit_rows(uint32_t session, emscripten::val tokens, uint32_t from, uint32_t most);
    // After the last evaluated token: a view into the module's memory, valid until the next call; null before the first.
    emscripten::val logits(uint32_t session) const;
    emscripten::val stats(uint32_t session) const;

    // options: sampling's, maxTokens, stop: string[], ignoreEnd, special, speculate: boolean (else the core decides). { status,
    // text? }. The seed's random numbers begin anew.
    emscripten::val begin(uint32_t session, emscripten::val options);
    // One token: { status, text?, token, piece, finish?, passes, accepted }; finish: "end", "stop", "length", "context", "cancelled";
    // so far, passes over the weights and guessed tokens that came true. Or, where it takes longer than `milliseconds`,
    // { status, paused: true, token: -1, piece: "", passes, accepted }: call again.
    emscripten::val step(uint32_t session, double milliseconds);

private:
    struct Slot {
        linnet_session* session = nullptr;
        // The generation's stop strings: the core keeps their addresses.
        std::vector<std::string> stops;
        std::vector<const char*> stop_strings;
        uint32_t tokens_reported = 0;
        bool evaluating = false;  // linnet_evaluate_begin, and not yet done
    };

    // Makes the platform and the plan, and measures where that is asked for.
    linnet_status prepare(emscripten::val source, const emscripten::val& options_value, linnet_options& options,
                          linnet_plan& plan, linnet_rates& rates, linnet_error& error);
    linnet_session* session_of(uint32_t index) const;
    static uint32_t microseconds(double milliseconds);
    linnet_status work(Slot& slot, double milliseconds, linnet_progress& progress, linnet_error& error);

    ReaderChannel reader_;
    std::unique_ptr<WasmPlatform> platform_;
    void* arena_ = nullptr;
    linnet_plan plan_{};
    linnet_model* model_ = nullptr;
    std::vector<Slot> slots_;
};

// { status, text?, plan fields }: reads the header alone.
emscripten::val make_plan(emscripten::val source, emscripten::val options);

}  // namespace linnet
