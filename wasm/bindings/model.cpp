#include "wasm/bindings/model.h"

#include <cstdlib>

#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

namespace {

constexpr const char* no_model = "No model is open.";

uint32_t role_of(const std::string& role) {
    return role == "system" ? LINNET_ROLE_SYSTEM : role == "assistant" ? LINNET_ROLE_ASSISTANT : LINNET_ROLE_USER;
}

// The core's messages point into `texts`.
std::vector<linnet_message> read_messages(const val& from, std::vector<std::string>& texts) {
    const uint32_t count = from["length"].as<uint32_t>();
    std::vector<linnet_message> messages(count);
    texts.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
        texts.push_back(from[i]["content"].as<std::string>());
        messages[i] = {role_of(from[i]["role"].as<std::string>()), texts[i].data(), texts[i].size()};
    }
    return messages;
}

// What the storage for keys and values can hold; 0: there is none.
uint64_t scratch_bytes(const val& options) {
    const val bytes = options["scratchBytes"];
    const double number = bytes.isNumber() ? bytes.as<double>() : 0;
    return number >= 9e15 ? UINT64_MAX : number > 0 ? static_cast<uint64_t>(number) : 0;
}

}  // namespace

val make_plan(val source, val options_value) {
    linnet_options options = linnet_default_options();
    std::string kernels;
    read_options(options_value, options, kernels);
    const val threads = options_value["threads"];
    // The plan has room for each thread, but none is started for it; nor is anything read but the header.
    ReaderChannel unused;
    WasmPlatform platform(source, 1, options_value["reader"].isTrue() ? &unused : nullptr, scratch_bytes(options_value));
    linnet_platform table = platform.table();
    if (threads.isNumber() && threads.as<uint32_t>() > 1) {
        table.threads = threads.as<uint32_t>();
        table.parallel = [](void*, linnet_task, void*, uint32_t) {};  // counts as threads; a plan computes nothing
    }
    linnet_plan plan{};
    linnet_error error{};
    const linnet_status status = linnet_make_plan(&table, &options, &plan, &error);
    val result = answer(status, error);
    if (status == LINNET_OK) write_plan(plan, options, linnet_rates{}, result);
    return result;
}

Model::~Model() {
    linnet_close(model_);
    free(arena_);
}

linnet_status Model::prepare(val source, const val& options_value, linnet_options& options, linnet_plan& plan,
                             linnet_rates& rates, linnet_error& error) {
    const val threads = options_value["threads"];
    platform_ =
        std::make_unique<WasmPlatform>(source, threads.isNumber() ? threads.as<uint32_t>() : 1,
                                       options_value["reader"].isTrue() ? &reader_ : nullptr, scratch_bytes(options_value));
    const linnet_status status = linnet_make_plan(&platform_->table(), &options, &plan, &error);
    if (status != LINNET_OK || !options_value["measure"].isTrue()) return status;
    // Within what the arena will take: WebAssembly's memory never shrinks.
    const uint64_t most = plan.total_bytes < LINNET_MEASURE_BYTES ? plan.total_bytes : LINNET_MEASURE_BYTES;
    const size_t bytes = static_cast<size_t>(most) / 4096 * 4096;
    void* memory = aligned_alloc(4096, bytes);
    if (memory == nullptr) return LINNET_OK;
    linnet_error ignored{};
    // What could not be measured is 0.
    if (linnet_measure(&platform_->table(), &options, memory, bytes, &rates, &ignored) != LINNET_OK) rates = {};
    free(memory);
    return LINNET_OK;
}

val Model::measured_plan(val source, val options_value) {
    if (model_ != nullptr) return refusal(LINNET_BAD_ARGUMENT, "A model is open already.");
    linnet_options options = linnet_default_options();
    std::string kernels;
    read_options(options_value, options, kernels);
    linnet_plan plan{};
    linnet_rates rates{};
    linnet_error error{};
    const linnet_status status = prepare(source, options_value, options, plan, rates, error);
    val result = answer(status, error);
    if (status == LINNET_OK) write_plan(plan, options, rates, result);
    return result;
}

val Model::open(val source, val options_value) {
    if (model_ != nullptr) return refusal(LINNET_BAD_ARGUMENT, "A model is open already.");
    linnet_options options = linnet_default_options();
    std::string kernels;
    read_options(options_value, options, kernels);
    linnet_plan plan{};
    linnet_rates rates{};
    linnet_error error{};
    linnet_status status = prepare(source, options_value, options, plan, rates, error);
    if (status != LINNET_OK) return answer(status, error);
    if (plan.total_bytes < SIZE_MAX) {
        arena_ = aligned_alloc(LINNET_ARENA_ALIGNMENT, (static_cast<size_t>(plan.total_bytes) + 63) / 64 * 64);
    }
    if (arena_ == nullptr) {
        return refusal(LINNET_DOES_NOT_FIT,
                       "This browser gives a tab less memory than the model needs. Close other tabs, ask "
                       "for a shorter context or a lower ceiling, or take a smaller model.");
    }
    status = linnet_open(&platform_->table(), &options, arena_, static_cast<size_t>(plan.total_bytes), &model_, &error);
    val result = answer(status, error);
    if (status == LINNET_OK) {
        plan_ = plan;
        write_plan(plan, options, rates, result);
    } else {
        model_ = nullptr;
        free(arena_);
        arena_ = nullptr;
    }
    return result;
}

val Model::info() const {
    if (model_ == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_model);
    linnet_info info{};
    linnet_get_info(model_, &info);
    val result = info_value(info);
    result.set("threads", threads());
    return result;
}

uint32_t Model::threads() const { return platform_ ? platform_->threads() : 1; }

uint32_t Model::stop_address() const {
    return platform_ ? static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&platform_->stop())) : 0;
}

uint32_t Model::reader_address() const { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&reader_)); }

void Model::clear_stop() {
    if (platform_) platform_->stop().store(0, std::memory_order_relaxed);
}

val Model::tokenize(const std::string& text, uint32_t flags) {
    if (model_ == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_model);
    linnet_error error{};
    size_t count = 0;
    linnet_status status = linnet_tokenize(model_, text.data(), text.size(), flags, nullptr, 0, &count, &error);
    std::vector<int32_t> tokens(count);
    if (status == LINNET_OK) {
        status = linnet_tokenize(model_, text.data(), text.size(), flags, tokens.data(), count, &count, &error);
    }
    val result = answer(status, error);
    if (status == LINNET_OK) result.set("tokens", token_array(tokens.data(), count));
    return result;
}

val Model::detokenize(val tokens, uint32_t flags) {
    if (model_ == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_model);
    linnet_error error{};
    linnet_text_stream stream{};
    std::string text;
    char piece[512];
    size_t bytes = 0;
    for (const int32_t token : token_vector(tokens)) {
        const linnet_status status = linnet_detokenize(model_, &stream, token, flags, piece, sizeof piece, &bytes, &error);
        if (status != LINNET_OK) return answer(status, error);
        text.append(piece, bytes);
    }
    linnet_detokenize_end(&stream, piece, sizeof piece, &bytes);
    text.append(piece, bytes);
    val result = answer(LINNET_OK, error);
    result.set("piece", text);
    return result;
}

val Model::chat_tokens(val messages_value, uint32_t flags) {
    if (model_ == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_model);
    std::vector<std::string> texts;
    const std::vector<linnet_message> messages = read_messages(messages_value, texts);
    linnet_error error{};
    size_t count = 0;
    linnet_status status = linnet_chat_tokens(model_, messages.data(), messages.size(), flags, nullptr, 0, &count, &error);
    std::vector<int32_t> tokens(count);
    if (status == LINNET_OK) {
        status = linnet_chat_tokens(model_, messages.data(), messages.size(), flags, tokens.data(), count, &count, &error);
    }
    val result = answer(status, error);
    if (status == LINNET_OK) result.set("tokens", token_array(tokens.data(), count));
    return result;
}

val Model::chat_fit(val messages_value, uint32_t answer_tokens) {
    if (model_ == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_model);
    std::vector<std::string> texts;
    const std::vector<linnet_message> messages = read_messages(messages_value, texts);
    linnet_error error{};
    size_t forgotten = 0;
    const linnet_status status = linnet_chat_fit(model_, messages.data(), messages.size(), answer_tokens, &forgotten, &error);
    val result = answer(status, error);
    if (status == LINNET_OK) result.set("forgotten", static_cast<uint32_t>(forgotten));
    return result;
}

linnet_session* Model::session_of(uint32_t index) const { return index < slots_.size() ? slots_[index].session : nullptr; }

val Model::open_session() {
    if (model_ == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_model);
    linnet_error error{};
    linnet_session* session = nullptr;
    const linnet_status status = linnet_session_open(model_, &session, &error);
    val result = answer(status, error);
    if (status != LINNET_OK) return result;
    uint32_t index = 0;
    while (index < slots_.size() && slots_[index].session != nullptr) ++index;
    if (index == slots_.size()) slots_.emplace_back();
    slots_[index] = Slot{};
    slots_[index].session = session;
    result.set("session", index);
    return result;
}

void Model::close_session(uint32_t index) {
    if (linnet_session* session = session_of(index)) {
        linnet_session_close(session);
        slots_[index] = Slot{};
    }
}

val Model::tokens(uint32_t index) const {
    const linnet_session* session = session_of(index);
    return session == nullptr ? val::null() : token_array(linnet_tokens(session), linnet_length(session));
}

val Model::rewind(uint32_t index, uint32_t length) {
    linnet_session* session = session_of(index);
    if (session == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    linnet_error error{};
    if (length < linnet_length(session)) slots_[index].evaluating = false;
    return answer(linnet_rewind(session, length, &error), error);
}

uint32_t Model::microseconds(double milliseconds) {
    const double time = milliseconds > 0 ? milliseconds * 1000 : 0;
    return time < 4e9 ? static_cast<uint32_t>(time) : 4000000000u;
}

// Goes on with the evaluation that is under way.
linnet_status Model::work(Slot& slot, double milliseconds, linnet_progress& progress, linnet_error& error) {
    const linnet_status status = linnet_evaluate_continue(slot.session, microseconds(milliseconds), &progress, &error);
    if (status != LINNET_OK || progress.done != 0) slot.evaluating = false;
    return status;
}

val Model::evaluate(uint32_t index, val tokens_value, double milliseconds) {
    linnet_session* session = session_of(index);
    if (session == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    Slot& slot = slots_[index];
    const std::vector<int32_t> tokens = token_vector(tokens_value);
    linnet_error error{};
    linnet_status status = LINNET_OK;
    const uint32_t length = linnet_length(session);
    const int32_t* held = linnet_tokens(session);
    uint32_t common = 0;
    while (common < length && common < tokens.size() && held[common] == tokens[common]) ++common;
    const bool same = common == length && common == tokens.size();
    linnet_progress progress{};
    progress.done = 1;
    if (!(same && (slot.evaluating || linnet_logits(session) != nullptr || length == 0))) {
        // What is held in common stays; where all is held but no logits are there, the last token is computed again.
        slot.evaluating = false;
        slot.tokens_reported = 0;
        if (common == tokens.size() && common != 0) --common;
        if (common < length) status = linnet_rewind(session, common, &error);
        if (status == LINNET_OK && common < tokens.size()) {
            status = linnet_evaluate_begin(session, tokens.data() + common, tokens.size() - common, &error);
            slot.evaluating = status == LINNET_OK;
        }
    }
    if (slot.evaluating) status = work(slot, milliseconds, progress, error);
    if (status != LINNET_OK) return answer(status, error);
    const uint32_t whole = static_cast<uint32_t>(progress.tokens_done);
    const uint32_t evaluated = whole > slot.tokens_reported ? whole - slot.tokens_reported : 0;
    slot.tokens_reported += evaluated;
    return progress_value(progress, evaluated);
}

val Model::logits(uint32_t index) const {
    const linnet_session* session = session_of(index);
    const float* logits = session == nullptr ? nullptr : linnet_logits(session);
    if (logits == nullptr) return val::null();
    linnet_info info{};
    linnet_get_info(model_, &info);
    return val(emscripten::typed_memory_view(info.vocabulary, logits));
}

val Model::stats(uint32_t index) const {
    const linnet_session* session = session_of(index);
    if (session == nullptr) return refusal(LINNET_BAD_ARGUMENT, no_session);
    linnet_stats stats{};
    linnet_get_stats(session, &stats);
    return stats_value(stats);
}

}  // namespace linnet
