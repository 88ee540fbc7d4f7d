// Each template as its Jinja text renders, tokenised as the models' own tokenizers do: the special tokens are the template's,
// and between two of them the template's words and the person's text are one plain text.
//
// Where a template ends a finished conversation with one more end-of-text token (phi-3.5, phi-4-mini), that is left out: it
// marks the end of a training sample, and here a conversation can always go on.
#include "core/text/chat_template.h"

#include "core/text/encoder.h"
#include "core/text/utf8.h"

namespace linnet {

const char* chat_template_name(ChatTemplate chat_template) {
    switch (chat_template) {
        case ChatTemplate::none: return "none";
        case ChatTemplate::phi3: return "phi-3";
        case ChatTemplate::phi35: return "phi-3.5";
        case ChatTemplate::phi4_mini: return "phi-4-mini";
        case ChatTemplate::llama2: return "llama-2";
        case ChatTemplate::zephyr: return "zephyr";
        case ChatTemplate::chatml: return "chatml";
    }
    return "unknown";
}

namespace {

// Writes a conversation, one message after another. The first failure stays: later calls do nothing.
class ChatWriter {
public:
    ChatWriter(const Tokenizer& tokenizer, ChatTemplate chat_template, Encoder& encoder, Error& error)
        : tokenizer_(tokenizer), template_(chat_template), encoder_(encoder), error_(error) {}

    Status status() const { return status_; }

    void text(std::string_view text) {
        if (status_ == Status::ok) status_ = encoder_.text(text, error_);
    }
    // One of the template's special tokens, by its text.
    void special(std::string_view text) {
        if (status_ != Status::ok) return;
        const int32_t id = tokenizer_.special(text);
        if (id < 0) {
            status_ = error_.fail(Status::unsupported)
                      << "The chat template " << chat_template_name(template_) << " needs the token " << text
                      << ", which this model's vocabulary lacks.";
            return;
        }
        status_ = encoder_.special(id, error_);
    }
    // The token that the model's vocabulary begins a text with, where it has one.
    void begin_of_text() {
        if (status_ == Status::ok && tokenizer_.bos() >= 0) status_ = encoder_.special(tokenizer_.bos(), error_);
    }
    void refuse(std::string_view why) {
        if (status_ == Status::ok) {
            status_ = error_.fail(Status::bad_argument) << "The chat template " << chat_template_name(template_) << ' ' << why;
        }
    }

    // What closes an answer that stands before. `answer`: its text, empty where it is already in the session.
    void close_answer() {
        switch (template_) {
            case ChatTemplate::none: break;
            case ChatTemplate::phi3:
            case ChatTemplate::phi35: special("<|end|>"), text("\n"); break;
            case ChatTemplate::phi4_mini: special("<|end|>"); break;
            case ChatTemplate::llama2: text(" "), special("</s>"); break;
            case ChatTemplate::zephyr: special("</s>"), text("\n"); break;
            case ChatTemplate::chatml: special("<|im_end|>"), text("\n"); break;
        }
    }

    void open_turn(uint32_t role) {
        switch (template_) {
            case ChatTemplate::phi3:
            case ChatTemplate::phi35: special(role_token(role)), text("\n"); break;
            case ChatTemplate::phi4_mini: special(role_token(role)); break;
            case ChatTemplate::zephyr: text(role_token(role)), text("\n"); break;
            case ChatTemplate::chatml: special("<|im_start|>"), text(role_name(role)), text("\n"); break;
            case ChatTemplate::llama2:
            case ChatTemplate::none: break;
        }
    }

    static std::string_view role_token(uint32_t role) {
        return role == LINNET_ROLE_SYSTEM ? "<|system|>" : role == LINNET_ROLE_USER ? "<|user|>" : "<|assistant|>";
    }
    static std::string_view role_name(uint32_t role) {
        return role == LINNET_ROLE_SYSTEM ? "system" : role == LINNET_ROLE_USER ? "user" : "assistant";
    }

private:
    const Tokenizer& tokenizer_;
    ChatTemplate template_;
    Encoder& encoder_;
    Error& error_;
    Status status_ = Status::ok;
};

// The conversation, a system message that is given apart in front.
size_t message_count(const ChatRequest& request) { return request.count + (request.system != nullptr ? 1 : 0); }
const linnet_message& message_at(const ChatRequest& request, size_t i) {
    if (request.system == nullptr) return request.messages[i];
    return i == 0 ? *request.system : request.messages[i - 1];
}

std::string_view text_of(const linnet_message& message) { return {message.text, message.text_bytes}; }

std::string_view python_strip(std::string_view text) { return strip_right(strip_left(text, is_python_space), is_python_space); }

// April 2024: a question opens the answer itself, whatever was asked for; there is no system turn.
void write_phi3(ChatWriter& to, const ChatRequest& request) {
    for (size_t i = 0; i < message_count(request); ++i) {
        const linnet_message& message = message_at(request, i);
        if (message.role == LINNET_ROLE_SYSTEM) {
            to.refuse("has no place for a system message: put its words into the first question.");
        } else if (message.role == LINNET_ROLE_USER) {
            to.open_turn(LINNET_ROLE_USER);
            to.text(text_of(message));
            to.close_answer();
            to.open_turn(LINNET_ROLE_ASSISTANT);
        } else {
            to.text(text_of(message));
            to.close_answer();
        }
    }
}

// Turns that all look alike: role, text, end.
void write_turns(ChatWriter& to, const ChatRequest& request) {
    for (size_t i = 0; i < message_count(request); ++i) {
        const linnet_message& message = message_at(request, i);
        if (message.role == LINNET_ROLE_SYSTEM && message.text_bytes == 0) continue;
        to.open_turn(message.role);
        to.text(text_of(message));
        to.close_answer();
    }
    if (request.add_answer_start) to.open_turn(LINNET_ROLE_ASSISTANT);
}

// [INST] question [/INST] answer, in strict turns; the system message stands inside the first question.
void write_llama2(ChatWriter& to, const ChatRequest& request) {
    bool question_next = true;
    for (size_t i = 0; i < message_count(request); ++i) {
        const linnet_message& message = message_at(request, i);
        if (message.role == LINNET_ROLE_SYSTEM) {
            if (i != 0 || request.continues) return to.refuse("takes a system message only as the first of a conversation.");
            if (message_count(request) == 1) return to.refuse("needs a question after the system message.");
            continue;
        }
        if ((message.role == LINNET_ROLE_USER) != question_next) {
            return to.refuse("needs questions and answers in turns, a question first.");
        }
        if (question_next) {
            const bool system = i == 1 && message_at(request, 0).role == LINNET_ROLE_SYSTEM;
            to.begin_of_text();
            to.text("[INST] ");
            if (system) {
                to.text("<<SYS>>\n");
                to.text(text_of(message_at(request, 0)));
                to.text("\n<</SYS>>\n\n");
                to.text(strip_right(text_of(message), is_python_space));
            } else {
                to.text(python_strip(text_of(message)));
            }
            to.text(" [/INST]");
        } else {
            to.text(" ");
            to.text(python_strip(text_of(message)));
            to.close_answer();
        }
        question_next = !question_next;
    }
}

}  // namespace

Status chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config, const ChatRequest& request, void* workspace,
                   size_t workspace_bytes, int32_t* ids, size_t capacity, size_t& count, Error& error) {
    count = 0;
    const auto chat_template = static_cast<ChatTemplate>(config.chat_template);
    if (chat_template == ChatTemplate::none) {
        return error.fail(Status::unsupported)
               << "This model has no chat template that Linnet knows: give it plain text to go on from.";
    }
    for (size_t i = 0; i < message_count(request); ++i) {
        if (message_at(request, i).role > LINNET_ROLE_ASSISTANT) {
            return error.fail(Status::bad_argument)
                   << "Message " << static_cast<uint64_t>(i) << " has the unknown role " << message_at(request, i).role << '.';
        }
    }
    Encoder encoder;
    // What continues an answer has no space in front; it goes on in the answer's own segment.
    Status status = encoder.open(tokenizer, !request.continues, workspace, workspace_bytes, ids, capacity, error);
    if (status != Status::ok) return status;

    ChatWriter to(tokenizer, chat_template, encoder, error);
    if (request.continues) {
        to.close_answer();
    } else if (config.add_bos != 0 || chat_template == ChatTemplate::phi3) {
        // Llama-2's template brings its own with each question.
        if (chat_template != ChatTemplate::llama2 && tokenizer.bos() >= 0) encoder.put_bos(tokenizer.bos());
    }
    switch (chat_template) {
        case ChatTemplate::phi3: write_phi3(to, request); break;
        case ChatTemplate::llama2: write_llama2(to, request); break;
        default: write_turns(to, request); break;
    }
    if (to.status() != Status::ok) return to.status();
    return encoder.finish(count, error);
}

}  // namespace linnet
