// Generation token by token, as linnet_generate does it in one call (core/session/generate.cpp): the same order of the same
// steps, so that the text is the same.
#include "wasm/bindings/model.h"
#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

namespace {

constexpr const char* no_generation = "No generation is under way in this session: begin one first.";

// Where the first stop string begins, if there is one.
size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
    size_t first = std::string::npos;
    for (const std::string& stop : stops) {
        const size_t at = text.find(stop);
        if (at < first) first = at;
    }
    return first;
}

// Bytes from the front in which no stop string can begin.
size_t certain_bytes(const std::string& text, const std::vector<std::string>& stops) {
    for (size_t at = 0; at < text.size(); ++at) {
        for (const std::string& stop : stops) {
            if (stop.compare(0, text.size() - at, text, at, std::string::npos) == 0) return at;
        }
    }
    return text.size();
}

}  // namespace

val Model::begin(uint32_t index, val options) {
    if (session_of(index) == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    Slot& slot = slots_[index];
    linnet_session* session = slot.session;
    slot = Slot{};
    slot.session = session;
    slot.sampling = linnet_default_sampling();
    read_sampling(options, slot.sampling);
    if (options["maxTokens"].isNumber()) slot.max_tokens = options["maxTokens"].as<uint32_t>();
    slot.ignore_end = options["ignoreEnd"].isTrue();
    slot.flags = options["special"].isTrue() ? uint32_t{LINNET_TEXT_SPECIAL} : 0;
    const val stops = options["stop"];
    if (stops.isArray()) {
        for (uint32_t i = 0; i < stops["length"].as<uint32_t>(); ++i) {
            slot.stops.push_back(stops[i].as<std::string>());
            if (slot.stops.back().empty()) return refusal(LINNET_BAD_ARGUMENT, "A stop string must not be empty.");
        }
    }
    linnet_restart_sampling(session);
    slot.running = true;
    return refusal(LINNET_OK, "");
}

// The last of a generation: what was held back for a stop string that did not come and for a character not completed.
void Model::finish(Slot& slot, const char* why, val& result) {
    char text[16];
    size_t bytes = 0;
    linnet_detokenize_end(&slot.stream, text, sizeof text, &bytes);
    slot.held.append(text, bytes);
    result.set("piece", slot.held);
    result.set("finish", std::string(why));
    slot.held.clear();
    slot.running = false;
}

val Model::step(uint32_t index, double milliseconds) {
    if (session_of(index) == nullptr || !slots_[index].running) return refusal(LINNET_BAD_ARGUMENT, no_generation);
    Slot& slot = slots_[index];
    linnet_error error{};
    val result = refusal(LINNET_OK, "");
    result.set("token", -1);
    if (slot.max_tokens != 0 && slot.generated == slot.max_tokens) {
        finish(slot, "length", result);
        return result;
    }
    if (slot.pending >= 0) {
        linnet_info info{};
        linnet_get_info(model_, &info);
        if (!slot.evaluating && linnet_length(slot.session) == info.context) {
            finish(slot, "context", result);
            return result;
        }
        linnet_status status = LINNET_OK;
        if (!slot.evaluating) {
            status = linnet_evaluate_begin(slot.session, &slot.pending, 1, &error);
            slot.evaluating = status == LINNET_OK;
            slot.tokens_reported = 0;
        }
        linnet_progress progress{};
        if (status == LINNET_OK) status = work(slot, milliseconds, progress, error);
        if (status != LINNET_OK) return answer(status, error);
        if (progress.done == 0) {
            result.set("paused", true);
            result.set("piece", std::string());
            return result;
        }
        slot.pending = -1;
    }
    int32_t token = -1;
    linnet_status status = linnet_sample(slot.session, &slot.sampling, &token, &error);
    if (status != LINNET_OK) return answer(status, error);
    result.set("token", token);
    if (!slot.ignore_end && linnet_is_end(model_, token) != 0) {
        finish(slot, "end", result);
        return result;
    }
    linnet_info info{};
    linnet_get_info(model_, &info);
    if (info.has_tokenizer != 0) {
        char text[512];
        size_t bytes = 0;
        status = linnet_detokenize(model_, &slot.stream, token, slot.flags, text, sizeof text, &bytes, &error);
        if (status != LINNET_OK) return answer(status, error);
        slot.held.append(text, bytes);
    }
    slot.pending = token;
    ++slot.generated;
    const size_t stop = find_stop(slot.held, slot.stops);
    if (stop != std::string::npos) {
        result.set("piece", slot.held.substr(0, stop));
        result.set("finish", std::string("stop"));
        slot.held.clear();
        slot.running = false;
        return result;
    }
    const size_t certain = certain_bytes(slot.held, slot.stops);
    result.set("piece", slot.held.substr(0, certain));
    slot.held.erase(0, certain);
    return result;
}

}  // namespace linnet
