#include "tools/linnet/conversation.h"

#include <algorithm>

#include "tools/linnet/command.h"

namespace linnet {

std::vector<linnet_message> Conversation::views() const {
    std::vector<linnet_message> views;
    if (!system_.empty()) views.push_back({LINNET_ROLE_SYSTEM, system_.data(), system_.size()});
    for (const ChatMessage& message : messages_) views.push_back({message.role, message.text.data(), message.text.size()});
    return views;
}

void Conversation::set_system(const std::string& text) {
    // Tried on one question, so that a template that has no place for it says so now.
    static constexpr char question[] = "?";
    std::vector<linnet_message> trial;
    if (!text.empty()) trial.push_back({LINNET_ROLE_SYSTEM, text.data(), text.size()});
    trial.push_back({LINNET_ROLE_USER, question, 1});
    chat_tokens(model_.model(), trial, LINNET_CHAT_ANSWER);
    system_ = text;
    history_.clear();
}

void Conversation::clear() {
    messages_.clear();
    history_.clear();
    linnet_error error;
    require(linnet_rewind(model_.session(), 0, &error), error);
}

void Conversation::go_on(SavedSession saved) {
    system_ = std::move(saved.system);
    messages_ = std::move(saved.messages);
    history_ = std::move(saved.history);
}

// The tokens of the messages, the oldest forgotten as far as needed.
std::vector<int32_t> Conversation::fit(size_t& forgotten) {
    const uint32_t context = model_.info().context;
    // Room for an answer of some length; a quarter of a small context.
    uint32_t room = std::min<uint32_t>(256, context / 4);
    if (choices_.max_tokens != 0) room = std::min(room, choices_.max_tokens);
    if (!history_.empty()) {
        const ChatMessage& question = messages_.back();
        const std::vector<int32_t> more =
            chat_tokens(model_.model(), {{question.role, question.text.data(), question.text.size()}},
                        LINNET_CHAT_CONTINUES | LINNET_CHAT_ANSWER);
        if (history_.size() + more.size() + room <= context) {
            std::vector<int32_t> tokens = history_;
            tokens.insert(tokens.end(), more.begin(), more.end());
            return tokens;
        }
    }
    std::vector<linnet_message> all = views();
    linnet_error error;
    require(linnet_chat_fit(model_.model(), all.data(), all.size(), room, &forgotten, &error), error);
    all.erase(all.begin() + (system_.empty() ? 0 : 1),
              all.begin() + (system_.empty() ? 0 : 1) + static_cast<ptrdiff_t>(forgotten));
    return chat_tokens(model_.model(), all, LINNET_CHAT_ANSWER);
}

Conversation::Turn Conversation::ask(const std::string& question, const std::function<void(const AnswerToken&)>& each) {
    Turn turn;
    messages_.push_back({LINNET_ROLE_USER, question});
    try {
        std::vector<int32_t> tokens = fit(turn.forgotten);
        // What the session already holds is not evaluated again.
        const int32_t* held = linnet_tokens(model_.session());
        const size_t length = linnet_length(model_.session());
        size_t same = 0;
        while (same < length && same + 1 < tokens.size() && held[same] == tokens[same]) ++same;
        turn.prompt_tokens = tokens.size() - same;
        const linnet_platform& platform = model_.platform();
        const uint64_t start = platform.ticks(platform.context);
        if (!evaluate_prompt(model_, tokens)) {
            turn.stopped_before_answer = true;
            turn.forgotten = 0;
            messages_.pop_back();
            return turn;
        }
        turn.prompt_microseconds = platform.ticks(platform.context) - start;
        turn.answer = generate_answer(model_, choices_, each);
        messages_.erase(messages_.begin(), messages_.begin() + static_cast<ptrdiff_t>(turn.forgotten));
        messages_.push_back({LINNET_ROLE_ASSISTANT, turn.answer.text});
        history_ = std::move(tokens);
        for (const AnswerToken& piece : turn.answer.tokens) history_.push_back(piece.token);
    } catch (...) {
        messages_.pop_back();
        throw;
    }
    return turn;
}

}  // namespace linnet
