// Generation step by step: the core's, between a page's values and the session.
#include "wasm/bindings/model.h"
#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

namespace {

const char* finish_name(linnet_finish finish) {
    switch (finish) {
        case LINNET_FINISH_END: return "end";
        case LINNET_FINISH_STOP: return "stop";
        case LINNET_FINISH_LENGTH: return "length";
        case LINNET_FINISH_CONTEXT: return "context";
        default: return "cancelled";
    }
}

}  // namespace

val Model::begin(uint32_t index, val options) {
    if (session_of(index) == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    Slot& slot = slots_[index];
    linnet_generation generation = linnet_default_generation();
    read_sampling(options, generation.sampling);
    if (options["maxTokens"].isNumber()) generation.max_tokens = options["maxTokens"].as<uint32_t>();
    generation.ignore_end = options["ignoreEnd"].isTrue() ? 1 : 0;
    generation.text_flags = options["special"].isTrue() ? uint32_t{LINNET_TEXT_SPECIAL} : 0;
    if (options["speculate"].isTrue()) generation.speculate = LINNET_SPECULATE_ON;
    if (options["speculate"].isFalse()) generation.speculate = LINNET_SPECULATE_OFF;
    slot.stops.clear();
    slot.stop_strings.clear();
    const val stops = options["stop"];
    const uint32_t count = stops.isArray() ? stops["length"].as<uint32_t>() : 0;
    for (uint32_t i = 0; i < count; ++i) slot.stops.push_back(stops[i].as<std::string>());
    for (const std::string& stop : slot.stops) slot.stop_strings.push_back(stop.c_str());
    generation.stops = slot.stop_strings.data();
    generation.stop_count = count;
    linnet_restart_sampling(slot.session);
    linnet_error error{};
    return answer(linnet_generate_begin(slot.session, &generation, &error), error);
}

val Model::step(uint32_t index, double milliseconds) {
    if (session_of(index) == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    linnet_error error{};
    linnet_step step{};
    const linnet_status status = linnet_generate_continue(slots_[index].session, microseconds(milliseconds), &step, &error);
    val result = answer(status, error);
    if (status != LINNET_OK) return result;
    const linnet_generated& generated = step.generated;
    result.set("token", step.token >= 0 ? step.token : generated.end_token);
    result.set("piece", std::string(step.text != nullptr ? step.text : "", step.text_bytes));
    if (step.paused != 0) result.set("paused", true);
    if (generated.finish != 0) result.set("finish", std::string(finish_name(generated.finish)));
    result.set("passes", generated.passes);
    result.set("accepted", generated.accepted);
    return result;
}

}  // namespace linnet
