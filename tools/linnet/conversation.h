// A conversation: what was said, and the tokens that stand for it in the session. A question that goes on from the last answer
// evaluates only what is new; when the context is full the oldest turns are forgotten.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/linnet/generation.h"
#include "tools/linnet/saved_session.h"

namespace linnet {

class Conversation {
public:
    Conversation(LoadedModel& model, const GenerationChoices& choices) : model_(model), choices_(choices) {}

    // How the model is to behave; empty: nothing is said about it. Refused (Failure) by templates without a place for it.
    void set_system(const std::string& text);
    const std::string& system() const { return system_; }
    void clear();

    struct Turn {
        Answer answer;
        size_t forgotten = 0;      // messages that had to go
        size_t prompt_tokens = 0;  // evaluated for this question
        uint64_t prompt_microseconds = 0;
        bool stopped_before_answer = false;
    };
    // Throws a Failure when the question does not fit or the core fails; the conversation is then as before.
    Turn ask(const std::string& question, const std::function<void(const AnswerToken&)>& each);

    // All of it, to be kept in a file with the session, and what was kept.
    SavedSession state() const { return {true, system_, messages_, history_}; }
    void go_on(SavedSession saved);
    const std::vector<ChatMessage>& messages() const { return messages_; }

    size_t turns() const { return messages_.size() / 2; }
    size_t tokens() const { return history_.size(); }

private:
    std::vector<linnet_message> views() const;
    std::vector<int32_t> fit(size_t& forgotten);

    LoadedModel& model_;
    const GenerationChoices& choices_;
    std::string system_;
    std::vector<ChatMessage> messages_;  // without the system's
    std::vector<int32_t> history_;       // tokens of all of it, the last answer's too; empty: to be made from the messages
};

}  // namespace linnet
