// Which of the chat templates that the core knows a model wants, and what ends its replies.
#include <algorithm>

#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

int32_t find_special(const Vocabulary& vocabulary, std::string_view text) {
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
        const Piece& piece = vocabulary.pieces[id];
        if ((piece.added || piece.kind == Tokenizer::Kind::control) && piece.text == text) return static_cast<int32_t>(id);
    }
    return -1;
}

}  // namespace

// By the words that only one family's template has. A template that is none of them gives none: a wrong one would be worse.
ChatTemplate detect_chat_template(const Vocabulary& vocabulary) {
    const std::string& jinja = vocabulary.chat_template;
    const auto has = [&jinja](std::string_view text) { return jinja.find(text) != std::string::npos; };
    if (jinja.empty()) {
        const auto token = [&](std::string_view text) { return find_special(vocabulary, text) >= 0; };
        if (token("<|user|>") && token("<|assistant|>") && token("<|end|>")) return ChatTemplate::phi35;
        if (token("<|im_start|>") && token("<|im_end|>")) return ChatTemplate::chatml;
        return ChatTemplate::none;
    }
    if (has("<|im_start|>")) return ChatTemplate::chatml;
    if (has("[INST]") && has("<<SYS>>")) return ChatTemplate::llama2;
    if (has("<|end|>")) {
        // Phi-4-mini writes '<|' + role + '|>' and no line breaks at all; some phi-3 models write the role so too, with breaks.
        const bool breaks = has("\\n") || has("\n'") || has("\n\"");
        if (!breaks) return ChatTemplate::phi4_mini;
        return has("<|system|>") || !has("<|user|>") ? ChatTemplate::phi35 : ChatTemplate::phi3;
    }
    if (has("<|user|>") && has("<|assistant|>") && (has("eos_token") || has("</s>"))) return ChatTemplate::zephyr;
    return ChatTemplate::none;
}

std::vector<int32_t> reply_end_tokens(const Vocabulary& vocabulary, ChatTemplate chat_template) {
    std::vector<int32_t> ends;
    const auto add = [&](int32_t id) {
        if (id >= 0 && std::find(ends.begin(), ends.end(), id) == ends.end() && ends.size() < 8) ends.push_back(id);
    };
    add(vocabulary.eos);
    switch (chat_template) {
        case ChatTemplate::phi3:
        case ChatTemplate::phi35:
        case ChatTemplate::phi4_mini:
            // As the models' own generation_config.json: an answer that opens another answer is over too.
            for (const char* text : {"<|end|>", "<|endoftext|>", "<|assistant|>"}) add(find_special(vocabulary, text));
            break;
        case ChatTemplate::llama2:
        case ChatTemplate::zephyr: add(find_special(vocabulary, "</s>")); break;
        case ChatTemplate::chatml:
            for (const char* text : {"<|im_end|>", "<|endoftext|>"}) add(find_special(vocabulary, text));
            break;
        case ChatTemplate::none: break;
    }
    return ends;
}

}  // namespace linnet
