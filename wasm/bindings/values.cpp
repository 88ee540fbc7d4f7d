#include "wasm/bindings/values.h"

#include <emscripten/em_js.h>

// A val sets a property by several calls into JavaScript: of a small model's token they took 3 %. These objects are made by one.
EM_JS_DEPS(linnet_values, "$Emval")
EM_JS(emscripten::EM_VAL, linnet_step_object,
      (emscripten::EM_VAL piece, emscripten::EM_VAL finish, int token, bool paused, double passes, double accepted), {
          const step = {status : "ok", token, piece : Emval.toValue(piece), passes, accepted};
          if (paused) step.paused = true;
          if (finish) step.finish = Emval.toValue(finish);
          return Emval.toHandle(step);
      })
EM_JS(emscripten::EM_VAL, linnet_progress_object, (double evaluated, double tokensDone, double tokensTotal, bool done),
      { return Emval.toHandle({status : "ok", evaluated, tokensDone, tokensTotal, done : !!done}); })

namespace linnet {

using emscripten::val;

namespace {

const char* finish_name(uint32_t finish) {
    switch (finish) {
        case LINNET_FINISH_END: return "end";
        case LINNET_FINISH_STOP: return "stop";
        case LINNET_FINISH_LENGTH: return "length";
        case LINNET_FINISH_CONTEXT: return "context";
        default: return "cancelled";
    }
}

template <typename Number>
void take(const val& from, const char* name, Number& to) {
    const val value = from[name];
    if (!value.isUndefined() && !value.isNull()) to = static_cast<Number>(value.as<double>());
}

val number(uint64_t value) { return val(static_cast<double>(value)); }

}  // namespace

// Of WebAssembly's memory, what is not the arena: the module's data, its stacks, what calls need for a moment, and the step of one
// megabyte in which the memory grows. The tests in the browser hold it to this.
constexpr uint64_t module_bytes = 3'000'000;

val refusal(linnet_status status, const char* text) {
    val result = val::object();
    result.set("status", std::string(linnet_status_name(status)));
    if (status != LINNET_OK) result.set("text", std::string(text));
    return result;
}

val answer(linnet_status status, const linnet_error& error) { return refusal(status, error.text); }

void read_options(const val& from, linnet_options& options, std::string& kernels) {
    take(from, "context", options.context);
    take(from, "batch", options.batch);
    take(from, "sessions", options.sessions);
    take(from, "memory", options.memory);
    if (options.memory != 0) options.program_bytes = module_bytes;
    take(from, "verify", options.verify);
    take(from, "textOnly", options.text_only);
    take(from, "kvFormat", options.kv_format);
    const val name = from["kernels"];
    if (name.isString()) {
        kernels = name.as<std::string>();
        options.kernels = kernels.c_str();
    }
}

void read_sampling(const val& from, linnet_sampling& sampling) {
    take(from, "temperature", sampling.temperature);
    take(from, "topK", sampling.top_k);
    take(from, "topP", sampling.top_p);
    take(from, "minP", sampling.min_p);
    take(from, "repetitionPenalty", sampling.repetition_penalty);
    take(from, "repetitionWindow", sampling.repetition_window);
    take(from, "seed", sampling.seed);
}

void write_plan(const linnet_plan& plan, const linnet_options& options, const linnet_rates& rates, val& to) {
    to.set("weightsBytes", number(plan.weights_bytes));
    to.set("mappedBytes", number(plan.mapped_bytes));
    to.set("ringBytes", number(plan.ring_bytes));
    to.set("kvBytes", number(plan.kv_bytes));
    to.set("activationBytes", number(plan.activation_bytes));
    to.set("tokenizerBytes", number(plan.tokenizer_bytes));
    to.set("sessionBytes", number(plan.session_bytes));
    to.set("otherBytes", number(plan.other_bytes));
    to.set("totalBytes", number(plan.total_bytes));
    to.set("programBytes", number(options.program_bytes));
    to.set("context", plan.context);
    to.set("batch", plan.batch);
    to.set("span", plan.span);
    to.set("layersResident", plan.layers_resident);
    to.set("layersStreamed", plan.layers_streamed);
    to.set("pageBytes", plan.page_bytes);
    to.set("pages", plan.pages);
    to.set("pieces", plan.pieces);
    to.set("piecesResident", plan.pieces_resident);
    to.set("piecesResidentAtStart", plan.pieces_resident_at_start);
    to.set("streamedBytesPerPass", number(plan.streamed_bytes_per_pass));
    to.set("streamedBytesPerPassAtStart", number(plan.streamed_bytes_per_pass_at_start));
    to.set("spilledBytes", number(plan.spilled_bytes));
    to.set("weightBytesPerToken", number(plan.weight_bytes_per_token));
    to.set("kvBytesPerToken", number(plan.kv_bytes_per_token));
    to.set("readBytesPerSecond", rates.read_bytes_per_second);
    to.set("computeBytesPerSecond", rates.compute_bytes_per_second);
    to.set("secondsPerToken", linnet_predict_token_seconds(&plan, &rates, 1));
    to.set("secondsPerTokenAtStart", linnet_predict_token_seconds(&plan, &rates, 0));
}

val info_value(const linnet_info& info) {
    val result = val::object();
    result.set("name", std::string(info.name, info.name_bytes));
    result.set("vocabulary", info.vocabulary);
    result.set("hidden", info.hidden);
    result.set("layers", info.layers);
    result.set("heads", info.heads);
    result.set("kvHeads", info.kv_heads);
    result.set("headDim", info.head_dim);
    result.set("feedForward", info.feed_forward);
    result.set("context", info.context);
    result.set("modelContext", info.model_context);
    result.set("hasTokenizer", info.has_tokenizer != 0);
    result.set("chatTemplate", std::string(info.chat_template_name));
    result.set("kernels", std::string(info.kernels));
    result.set("bosToken", info.bos_token);
    result.set("eosTokens", token_array(info.eos_tokens, info.eos_count));
    result.set("parameters", number(info.parameters));
    return result;
}

val stats_value(const linnet_stats& stats) {
    val result = val::object();
    result.set("prefillTokens", number(stats.prefill_tokens));
    result.set("prefillMicroseconds", number(stats.prefill_microseconds));
    result.set("decodeTokens", number(stats.decode_tokens));
    result.set("decodeMicroseconds", number(stats.decode_microseconds));
    result.set("bytesRead", number(stats.bytes_read));
    result.set("arenaBytes", number(stats.arena_bytes));
    result.set("bytesStreamed", number(stats.bytes_streamed));
    result.set("scratchBytesRead", number(stats.scratch_bytes_read));
    result.set("scratchBytesWritten", number(stats.scratch_bytes_written));
    result.set("passes", number(stats.passes));
    result.set("rebuilds", number(stats.rebuilds));
    return result;
}

val step_value(const linnet_step& step) {
    const linnet_generated& generated = step.generated;
    const val piece(std::string(step.text != nullptr ? step.text : "", step.text_bytes));
    const val finish = generated.finish != 0 ? val(std::string(finish_name(generated.finish))) : val::undefined();
    return val::take_ownership(linnet_step_object(piece.as_handle(), generated.finish != 0 ? finish.as_handle() : nullptr,
                                                  step.token >= 0 ? step.token : generated.end_token, step.paused != 0,
                                                  static_cast<double>(generated.passes),
                                                  static_cast<double>(generated.accepted)));
}

val progress_value(const linnet_progress& progress, uint32_t evaluated) {
    return val::take_ownership(linnet_progress_object(evaluated, progress.tokens_done, progress.tokens, progress.done != 0));
}

val token_array(const int32_t* tokens, size_t count) {
    return val::global("Int32Array").new_(val(emscripten::typed_memory_view(count, tokens)));
}

std::vector<int32_t> token_vector(const val& tokens) { return emscripten::convertJSArrayToNumberVector<int32_t>(tokens); }

}  // namespace linnet
