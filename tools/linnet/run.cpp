// linnet run: one completion to stdout.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/generation.h"
#include "tools/linnet/saved_session.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct RunChoices {
    ModelChoices model;
    GenerationChoices generation;
    std::string prompt;
    std::string system;
    std::string session;
    bool has_prompt = false;
    bool chat = false;
    bool special = false;
    bool logits = false;
    bool stats = false;
    bool json = false;
};

// A token's text on one line, in quotes.
std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// All that the session is to hold before the answer.
std::vector<int32_t> prompt_tokens(linnet_model* model, const RunChoices& choices, const std::string& prompt,
                                   const SavedSession& saved) {
    std::vector<int32_t> tokens = saved.history;
    std::vector<int32_t> more;
    if (choices.chat) {
        std::vector<linnet_message> messages;
        const bool first = tokens.empty();
        if (first && !choices.system.empty()) {
            messages.push_back({LINNET_ROLE_SYSTEM, choices.system.data(), choices.system.size()});
        }
        messages.push_back({LINNET_ROLE_USER, prompt.data(), prompt.size()});
        more = chat_tokens(model, messages, first ? LINNET_CHAT_ANSWER : LINNET_CHAT_ANSWER | LINNET_CHAT_CONTINUES);
    } else if (tokens.empty() || !prompt.empty()) {
        const uint32_t flags = choices.special ? LINNET_TEXT_SPECIAL : LINNET_TEXT_PLAIN;
        more = tokenize(model, prompt, tokens.empty() ? flags : flags | LINNET_TEXT_NO_BOS);
    }
    tokens.insert(tokens.end(), more.begin(), more.end());
    return tokens;
}

void run(const RunChoices& choices) {
    if (!choices.system.empty() && !choices.chat) throw Failure(exit_usage, "--system needs --chat.");
    const bool keeps = !choices.session.empty();
    if (!choices.has_prompt && (choices.chat || !keeps))
        throw Failure(exit_usage, "--prompt is required: the text to go on from.");
    if (keeps) check_session_path(choices.session, choices.model.file);
    const std::string prompt = choices.prompt == "-" ? read_stdin() : choices.prompt;
    LoadedModel model(choices.model);
    model.load();

    SavedSession saved;
    saved.chat = choices.chat;
    saved.system = choices.system;
    const bool goes_on = keeps && load_session(choices.session, model, choices.chat, saved);
    if (goes_on && !choices.system.empty() && choices.system != saved.system) {
        throw Failure(exit_usage, "The session has begun with another --system. Begin a new one, or leave it out.");
    }
    const size_t before = linnet_length(model.session());
    const std::vector<int32_t> tokens = prompt_tokens(model.model(), choices, prompt, saved);
    if (tokens.empty()) throw Failure(exit_usage, "The prompt is empty, and this model has no token to begin a text with.");

    const linnet_platform& platform = model.platform();
    const uint64_t start = platform.ticks(platform.context);
    if (!evaluate_prompt(model, tokens)) throw Failure(exit_cancelled, "");
    const uint64_t prompt_microseconds = platform.ticks(platform.context) - start;
    const size_t evaluated = std::max<size_t>(1, tokens.size() - std::min(before, tokens.size()));

    const bool streams = !choices.json && !choices.logits;
    const Answer answer = generate_answer(model, choices.generation, [&](const AnswerToken& piece) {
        if (streams) {
            print_untrusted(piece.text);
            flush_output();
        } else if (!choices.json && piece.token >= 0) {
            print(std::to_string(piece.token) + "\t" + format_fixed(piece.logit, 6) + "\t" + quoted(for_terminal(piece.text)) +
                  "\n");
            flush_output();
        }
    });
    if (choices.json) {
        nlohmann::ordered_json out = {
            {"text", answer.text},
            {"finish", answer.finish_name()},
            {"prompt_tokens", tokens.size()},
            {"answer_tokens", answer.generated.tokens},
            {"prefill_tokens_per_second", tokens_per_second(evaluated, prompt_microseconds)},
            {"decode_tokens_per_second", tokens_per_second(answer.generated.tokens, answer.microseconds)},
            {"passes", answer.generated.passes},
            {"drafted", answer.generated.drafted},
            {"accepted", answer.generated.accepted},
            {"tokens_per_pass", answer.tokens_per_pass()},
            {"arena_bytes", model.plan().total_bytes},
            {"peak_bytes", peak_memory()},
            {"kernels", model.info().kernels},
            {"threads", model.threads()}};
        out["tokens"] = nlohmann::ordered_json::array();
        for (const AnswerToken& piece : answer.tokens) {
            out["tokens"].push_back({{"id", piece.token}, {"logit", piece.logit}, {"text", piece.text}});
        }
        print(out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    } else if (streams) {
        print("\n");
    }
    flush_output();
    if (choices.stats || (stderr_is_terminal() && stdout_is_terminal())) {
        note(statistics_line(model, evaluated, prompt_microseconds, answer));
    }
    if (keeps) {
        saved.history = tokens;
        for (const AnswerToken& piece : answer.tokens) saved.history.push_back(piece.token);
        if (choices.chat) {
            saved.messages.push_back({LINNET_ROLE_USER, prompt});
            saved.messages.push_back({LINNET_ROLE_ASSISTANT, answer.text});
        }
        save_session(choices.session, model, saved);
    }
    if (answer.generated.finish == LINNET_FINISH_CONTEXT && choices.generation.max_tokens != 0) {
        note("The context of " + std::to_string(model.info().context) + " tokens is full. --context asks for a larger one.");
    }
    if (answer.generated.finish == LINNET_FINISH_CANCELLED) throw Failure(exit_cancelled, "");
}

}  // namespace

void add_run(CLI::App& app) {
    auto choices = std::make_shared<RunChoices>();
    CLI::App& command = *app.add_subcommand("run", "Complete a text, or answer one question");
    add_model_choices(command, choices->model);
    const CLI::Option* prompt =
        command.add_option("--prompt", choices->prompt, "The text to go on from; - reads it from standard input")
            ->type_name("TEXT");
    command.add_flag("--chat", choices->chat, "The prompt is a question: use the model's chat template");
    command.add_option("--system", choices->system, "With --chat: how the model is to behave")->type_name("TEXT");
    command.add_option("--session", choices->session, "Go on with the text or conversation in this file, and keep it there")
        ->type_name("FILE");
    command.add_flag("--special", choices->special, "Special tokens such as <|user|> in the prompt become what they name");
    command.add_flag("--logits", choices->logits, "Print a line for each token: its id, its logit, its text");
    command.add_flag("--stats", choices->stats, "Print speed and memory to standard error");
    command.add_flag("--json", choices->json, "Print one JSON object");
    add_generation_choices(command, choices->generation);
    command.footer(
        "Examples:\n"
        "  linnet run model.linnet --prompt \"Once upon a time\" -n 100 --temperature 0\n"
        "  linnet run model.linnet --chat --prompt \"What is the capital of France?\"\n"
        "  linnet run model.linnet --prompt - < letter.txt\n"
        "  linnet run model.linnet --prompt \"Once upon a time\" -n 100 --session story.session\n"
        "  linnet run model.linnet -n 100 --session story.session");
    command.callback([choices, prompt] {
        choices->has_prompt = prompt->count() != 0;
        run(*choices);
    });
}

}  // namespace linnet
