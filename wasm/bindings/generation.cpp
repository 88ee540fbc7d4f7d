// Generation step by step: the core's, between a page's values and the session.
#include "wasm/bindings/model.h"
#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

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
    return status == LINNET_OK ? step_value(step) : answer(status, error);
}

}  // namespace linnet
