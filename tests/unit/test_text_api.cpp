// The text part of the C API, over a model that has a tokenizer and nothing else.
#include <doctest/doctest.h>

#include <cstring>

#include "core/session/model.h"
#include "tests/unit/text_support.h"

using namespace linnet;
using namespace linnet::text_tests;

namespace {

struct TextModel {
    TestTokenizer text;
    linnet_model model{};
    linnet_error error{};

    TextModel(const Vocabulary& vocabulary, ChatTemplate chat_template, uint32_t context) {
        REQUIRE(text.open(vocabulary));
        model.tokenizer = text.tokenizer;
        model.text_workspace = text.workspace.data();
        model.text_workspace_bytes = text.workspace.size() * 8;
        model.header.config.chat_template = static_cast<uint32_t>(chat_template);
        model.header.config.add_bos = 1;
        model.plan.context = context;
    }
    // Tokens of a conversation with the start of an answer.
    size_t length(const std::vector<linnet_message>& messages) {
        size_t count = 0;
        REQUIRE(linnet_chat_tokens(&model, messages.data(), messages.size(), LINNET_CHAT_ANSWER, nullptr, 0, &count, &error) ==
                LINNET_OK);
        return count;
    }
};

Vocabulary letters() {
    std::vector<std::string> pieces = {"▁"};
    for (char c = '!'; c <= '~'; ++c) pieces.emplace_back(1, c);
    return small_vocabulary(pieces);
}

linnet_message message(uint32_t role, const char* text) { return {role, text, strlen(text)}; }

}  // namespace

TEST_CASE("text API: tokens and text") {
    TextModel with(letters(), ChatTemplate::zephyr, 100);
    int32_t tokens[16];
    size_t count = 0;
    CHECK(linnet_tokenize(&with.model, "ab", 2, 0, tokens, 16, &count, &with.error) == LINNET_OK);
    CHECK(count == 4);
    CHECK(tokens[0] == 1);
    CHECK(linnet_tokenize(&with.model, "ab", 2, LINNET_TEXT_NO_BOS, nullptr, 0, &count, &with.error) == LINNET_OK);
    CHECK(count == 3);
    CHECK(linnet_tokenize(&with.model, "a</s>", 5, LINNET_TEXT_NO_BOS | LINNET_TEXT_SPECIAL, tokens, 16, &count, &with.error) ==
          LINNET_OK);
    CHECK(count == 3);
    CHECK(tokens[2] == 2);
    CHECK(linnet_tokenize(&with.model, "ab", 2, 64, tokens, 16, &count, &with.error) == LINNET_BAD_ARGUMENT);

    linnet_text_stream stream{};
    char text[512];
    size_t bytes = 0;
    CHECK(linnet_detokenize(&with.model, &stream, 2, LINNET_TEXT_SPECIAL, text, sizeof text, &bytes, &with.error) == LINNET_OK);
    CHECK(std::string(text, bytes) == "</s>");
    CHECK(linnet_detokenize(&with.model, &stream, 3 + 0xc3, 0, text, sizeof text, &bytes, &with.error) == LINNET_OK);
    CHECK(bytes == 0);
    linnet_detokenize_end(&stream, text, sizeof text, &bytes);
    CHECK(std::string(text, bytes) == "\xef\xbf\xbd");
    CHECK(linnet_detokenize(&with.model, &stream, 2, 64, text, sizeof text, &bytes, &with.error) == LINNET_BAD_ARGUMENT);

    linnet_model none{};
    CHECK(linnet_tokenize(&none, "ab", 2, 0, tokens, 16, &count, &with.error) == LINNET_UNSUPPORTED);
    CHECK(linnet_detokenize(&none, &stream, 2, 0, text, sizeof text, &bytes, &with.error) == LINNET_UNSUPPORTED);
    CHECK(linnet_chat_tokens(&none, nullptr, 0, 0, nullptr, 0, &count, &with.error) == LINNET_UNSUPPORTED);
}

TEST_CASE("text API: the fewest of the oldest messages are forgotten") {
    const std::vector<linnet_message> dialogue = {
        message(LINNET_ROLE_USER, "one"),         message(LINNET_ROLE_ASSISTANT, "first answer"),
        message(LINNET_ROLE_USER, "two"),         message(LINNET_ROLE_ASSISTANT, "second"),
        message(LINNET_ROLE_USER, "three"),       message(LINNET_ROLE_ASSISTANT, "x"),
        message(LINNET_ROLE_USER, "the last one")};
    for (const bool system : {false, true}) {
        for (const ChatTemplate chat_template : {ChatTemplate::zephyr, ChatTemplate::llama2}) {
            std::vector<linnet_message> messages = dialogue;
            if (system) messages.insert(messages.begin(), message(LINNET_ROLE_SYSTEM, "be brief"));
            const size_t first = system ? 1 : 0;
            TextModel with(letters(), chat_template, 0);
            std::vector<size_t> lengths;  // with 0, 2, 4, 6 messages forgotten
            for (size_t forgotten = 0; forgotten < dialogue.size(); forgotten += 2) {
                std::vector<linnet_message> rest = messages;
                const auto begin = rest.begin() + static_cast<std::ptrdiff_t>(first);
                rest.erase(begin, begin + static_cast<std::ptrdiff_t>(forgotten));
                lengths.push_back(with.length(rest));
            }
            for (uint32_t context = 1; context < lengths[0] + 10; ++context) {
                with.model.plan.context = context;
                size_t forgotten = 99;
                const linnet_status status =
                    linnet_chat_fit(&with.model, messages.data(), messages.size(), 5, &forgotten, &with.error);
                size_t expected = 0;
                while (expected < lengths.size() && lengths[expected] + 5 > context) ++expected;
                CAPTURE(context);
                if (expected == lengths.size()) {
                    CHECK(status == LINNET_DOES_NOT_FIT);
                } else {
                    CHECK(status == LINNET_OK);
                    CHECK(forgotten == 2 * expected);
                }
            }
            size_t forgotten = 0;
            CHECK(linnet_chat_fit(&with.model, messages.data(), first, 5, &forgotten, &with.error) == LINNET_BAD_ARGUMENT);
        }
    }
}
