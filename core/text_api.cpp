// The C API's text part: tokens from text, text from tokens, conversations.
#include "core/api_internal.h"
#include "core/text/chat_template.h"
#include "core/text/text_stream.h"

using linnet::ChatRequest;
using linnet::Error;
using linnet::guarded;
using linnet::need_tokenizer;
using linnet::Status;

linnet_status linnet_tokenize(linnet_model* model, const char* text, size_t text_bytes, uint32_t flags, int32_t* tokens,
                              size_t capacity, size_t* count, linnet_error* error) {
    return guarded(error, [&](Error& inner) -> Status {
        if ((flags & ~uint32_t{LINNET_TEXT_SPECIAL | LINNET_TEXT_NO_BOS}) != 0) {
            return inner.fail(Status::bad_argument) << "linnet_tokenize was given unknown flags.";
        }
        if (Status status = need_tokenizer(*model, inner); status != Status::ok) return status;
        linnet::Tokenizer::Options options;
        options.parse_special = (flags & LINNET_TEXT_SPECIAL) != 0;
        options.add_bos = (flags & LINNET_TEXT_NO_BOS) == 0 && model->header.config.add_bos != 0;
        return model->tokenizer.encode({text, text_bytes}, options, model->text_workspace, model->text_workspace_bytes, tokens,
                                       capacity, *count, inner);
    });
}

linnet_status linnet_detokenize(const linnet_model* model, linnet_text_stream* stream, int32_t token, uint32_t flags,
                                char* text, size_t capacity, size_t* text_bytes, linnet_error* error) {
    *text_bytes = 0;
    return guarded(error, [&](Error& inner) -> Status {
        if ((flags & ~uint32_t{LINNET_TEXT_SPECIAL | LINNET_TEXT_NO_BOS}) != 0) {
            return inner.fail(Status::bad_argument) << "linnet_detokenize was given unknown flags.";
        }
        if (Status status = need_tokenizer(*model, inner); status != Status::ok) return status;
        return linnet::stream_token(model->tokenizer, *stream, token, (flags & LINNET_TEXT_SPECIAL) != 0, text, capacity,
                                    *text_bytes, inner);
    });
}

void linnet_detokenize_end(linnet_text_stream* stream, char* text, size_t capacity, size_t* text_bytes) {
    linnet::stream_end(*stream, text, capacity, *text_bytes);
}

namespace {

Status chat(linnet_model& model, const ChatRequest& request, int32_t* tokens, size_t capacity, size_t& count, Error& error) {
    if (Status status = need_tokenizer(model, error); status != Status::ok) return status;
    return linnet::chat_tokens(model.tokenizer, model.header.config, request, model.text_workspace, model.text_workspace_bytes,
                               tokens, capacity, count, error);
}

// Tokens of a conversation whose first `forgotten` messages (after a system message) are left out, with the start of an answer.
// The messages are given in two pieces, as they lie.
Status count_without(linnet_model& model, const linnet_message* messages, size_t count, bool system, size_t forgotten,
                     size_t& tokens, Error& error) {
    const size_t first = (system ? 1 : 0) + forgotten;
    const ChatRequest request{messages + first, count - first, true, false, system ? messages : nullptr};
    return chat(model, request, nullptr, 0, tokens, error);
}

}  // namespace

linnet_status linnet_chat_tokens(linnet_model* model, const linnet_message* messages, size_t message_count, uint32_t flags,
                                 int32_t* tokens, size_t capacity, size_t* count, linnet_error* error) {
    *count = 0;
    return guarded(error, [&](Error& inner) -> Status {
        if ((flags & ~uint32_t{LINNET_CHAT_ANSWER | LINNET_CHAT_CONTINUES}) != 0) {
            return inner.fail(Status::bad_argument) << "linnet_chat_tokens was given unknown flags.";
        }
        const ChatRequest request{messages, message_count, (flags & LINNET_CHAT_ANSWER) != 0,
                                  (flags & LINNET_CHAT_CONTINUES) != 0, nullptr};
        return chat(*model, request, tokens, capacity, *count, inner);
    });
}

linnet_status linnet_chat_fit(linnet_model* model, const linnet_message* messages, size_t message_count, uint32_t answer_tokens,
                              size_t* forgotten, linnet_error* error) {
    *forgotten = 0;
    return guarded(error, [&](Error& inner) -> Status {
        const size_t first = message_count != 0 && messages[0].role == LINNET_ROLE_SYSTEM ? 1 : 0;
        if (message_count == first) return inner.fail(Status::bad_argument) << "There is no message to answer.";
        const uint32_t context = model->plan.context;
        const uint64_t room = context > answer_tokens ? context - answer_tokens : 0;
        // Only places where a question stands (or the very beginning) are candidates. Leaving out more never makes the rest
        // longer, so the first place that fits is found by halving.
        size_t questions = 0;
        for (size_t i = first; i < message_count; ++i) questions += i == first || messages[i].role == LINNET_ROLE_USER;
        const auto place = [&](size_t wanted) {
            size_t at = first;
            for (size_t i = first, seen = 0; i < message_count; ++i) {
                if (i != first && messages[i].role != LINNET_ROLE_USER) continue;
                at = i;
                if (seen++ == wanted) break;
            }
            return at - first;
        };
        size_t low = 0, high = questions, tokens = 0;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            Status status = count_without(*model, messages, message_count, first != 0, place(middle), tokens, inner);
            if (status != Status::ok) return status;
            if (tokens <= room) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        if (low == questions) {
            return inner.fail(Status::does_not_fit)
                   << "The last message has " << static_cast<uint64_t>(tokens)
                   << " tokens with what must stand around it; the context of " << context
                   << " tokens must also hold an answer of " << answer_tokens << ". Shorten it, or plan a larger context.";
        }
        *forgotten = place(low);
        return Status::ok;
    });
}
