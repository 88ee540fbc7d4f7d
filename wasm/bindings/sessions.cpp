// Sessions copied, saved and restored, and the logits of every token.
#include "wasm/bindings/model.h"
#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

namespace {

struct Source {
    val object;
    double offset;
};

}  // namespace

val Model::copy_session(uint32_t to, uint32_t from) {
    linnet_session* session = session_of(to);
    const linnet_session* other = session_of(from);
    if (session == nullptr || other == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    if (to != from) slots_[to].evaluating = false;
    linnet_error error{};
    return answer(linnet_session_copy(session, other, &error), error);
}

double Model::snapshot_bytes(uint32_t index) const {
    const linnet_session* session = session_of(index);
    return session == nullptr ? 0 : static_cast<double>(linnet_snapshot_bytes(session));
}

val Model::save_session(uint32_t index, val sink) const {
    const linnet_session* session = session_of(index);
    if (session == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    linnet_error error{};
    const auto write = [](void* context, const void* bytes, size_t count) -> int32_t {
        const val view(emscripten::typed_memory_view(count, static_cast<const uint8_t*>(bytes)));
        return static_cast<val*>(context)->call<bool>("write", view) ? 0 : 1;
    };
    return answer(linnet_snapshot_save(session, write, &sink, &error), error);
}

val Model::restore_session(uint32_t index, val source) {
    linnet_session* session = session_of(index);
    if (session == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    slots_[index].evaluating = false;
    const double size = source["size"].as<double>();
    Source from{std::move(source), 0};
    linnet_error error{};
    const auto read = [](void* context, void* to, size_t count) -> int32_t {
        Source& self = *static_cast<Source*>(context);
        const val view(emscripten::typed_memory_view(count, static_cast<uint8_t*>(to)));
        const double got = self.object.call<double>("read", self.offset, view);
        self.offset += static_cast<double>(count);
        return got == static_cast<double>(count) ? 0 : 1;
    };
    const uint64_t bytes = size > 0 && size < 9e15 ? static_cast<uint64_t>(size) : 0;
    return answer(linnet_snapshot_restore(session, bytes, read, &from, &error), error);
}

val Model::logit_rows(uint32_t index, val tokens_value, uint32_t from, uint32_t most) {
    linnet_session* session = session_of(index);
    if (session == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    const std::vector<int32_t> tokens = token_vector(tokens_value);
    if (from > tokens.size() || from > linnet_length(session) || most == 0) {
        return refusal(LINNET_BAD_ARGUMENT, "The first token to evaluate is behind the session's end, or none is asked for.");
    }
    slots_[index].evaluating = false;
    linnet_error error{};
    linnet_status status = linnet_rewind(session, from, &error);
    linnet_info info{};
    linnet_get_info(model_, &info);
    const uint32_t left = static_cast<uint32_t>(tokens.size()) - from;
    const uint32_t count = left < most ? left : most;
    std::vector<float> rows;
    rows.reserve(size_t{count} * info.vocabulary);
    // One at a time: the bits are the same whatever the batch, and this is the order that is specified.
    for (uint32_t i = 0; i < count && status == LINNET_OK; ++i) {
        status = linnet_evaluate(session, tokens.data() + from + i, 1, &error);
        if (status != LINNET_OK) break;
        const float* row = linnet_logits(session);
        rows.insert(rows.end(), row, row + info.vocabulary);
    }
    val result = answer(status, error);
    if (status != LINNET_OK) return result;
    result.set("rows", val::global("Float32Array").new_(val(emscripten::typed_memory_view(rows.size(), rows.data()))));
    result.set("evaluated", count);
    result.set("done", from + count == tokens.size());
    return result;
}

}  // namespace linnet
