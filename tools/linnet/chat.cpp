// linnet chat: a conversation in the terminal.
#include <cstdio>

#include "tools/linnet/command.h"
#include "tools/linnet/conversation.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/line_editor.h"
#include "tools/linnet/saved_session.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct ChatChoices {
    ModelChoices model;
    GenerationChoices generation;
    std::string system;
    std::string prompt;
    std::string session;
    bool stats = false;
};

constexpr char commands_help[] =
    "  /clear          forget the conversation\n"
    "  /system TEXT    how the model is to behave; without TEXT: nothing is said about it\n"
    "  /stats          speed, memory, and how full the context is\n"
    "  /help           this list\n"
    "  /exit           leave (Ctrl-D does it too)\n"
    "  Ctrl-C stops an answer, and gives up a line.\n"
    "  A line that begins with // is a question that begins with /.\n";

class Chat {
public:
    Chat(LoadedModel& model, const ChatChoices& choices)
        : model_(model), choices_(choices), conversation_(model, choices.generation) {
        SavedSession saved;
        if (!choices.session.empty() && load_session(choices.session, model, true, saved)) {
            const bool other = !choices.system.empty() && choices.system != saved.system;
            conversation_.go_on(std::move(saved));
            if (other) conversation_.set_system(choices.system);
        } else {
            conversation_.set_system(choices.system);
        }
    }

    // What was said before, for a person who goes on with it.
    void show_past() const {
        constexpr size_t shown = 6;
        const std::vector<ChatMessage>& messages = conversation_.messages();
        if (messages.empty()) return;
        const size_t first = messages.size() > shown ? messages.size() - shown : 0;
        if (first != 0) note("(" + format_number(first) + " earlier messages)");
        for (size_t i = first; i < messages.size(); ++i) {
            const size_t begin = messages[i].text.find_first_not_of(" \n");
            if (messages[i].role == LINNET_ROLE_USER) print("> ");
            print_untrusted(begin == std::string::npos ? "" : messages[i].text.substr(begin));
            print("\n");
        }
        print("\n");
        flush_output();
    }

    void save() const {
        if (!choices_.session.empty()) save_session(choices_.session, model_, conversation_.state());
    }

    // One question and its answer. A question that is refused is not the end of the conversation.
    void ask(const std::string& question) {
        bool begun = false;
        bool line_open = false;
        Conversation::Turn turn = conversation_.ask(question, [&](const AnswerToken& piece) {
            std::string text = piece.text;
            if (!begun) text.erase(0, text.find_first_not_of(" \n"));
            if (text.empty()) return;
            begun = true;
            line_open = text.back() != '\n';
            print_untrusted(text);
            flush_output();
        });
        if (line_open) print("\n");
        flush_output();
        if (turn.stopped_before_answer) {
            note("Stopped before the answer began: the question is forgotten.");
            return;
        }
        if (turn.forgotten != 0) {
            note("The context of " + format_number(model_.info().context) + " tokens was full: the oldest " +
                 format_number(turn.forgotten) + (turn.forgotten == 1 ? " message is" : " messages are") + " forgotten.");
        }
        switch (turn.answer.generated.finish) {
            case LINNET_FINISH_CANCELLED: note("Stopped."); break;
            case LINNET_FINISH_CONTEXT:
                note("The context is full, and the answer ends here. --context asks for a larger one.");
                break;
            case LINNET_FINISH_LENGTH: note("The answer has reached the number of tokens that -n allows."); break;
            default: break;
        }
        last_ = statistics_line(model_, turn.prompt_tokens, turn.prompt_microseconds, turn.answer);
        if (choices_.stats) note(last_);
        save();
    }

    // False: leave.
    bool obey(const std::string& line) {
        const size_t space = line.find(' ');
        const std::string command = line.substr(0, space);
        std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
        rest.erase(0, rest.find_first_not_of(' '));
        if (command == "/exit" || command == "/quit") return false;
        if (command == "/help") {
            fputs(commands_help, stderr);
        } else if (command == "/clear") {
            conversation_.clear();
            save();
            note("The conversation is forgotten.");
        } else if (command == "/system") {
            conversation_.set_system(rest);
            save();
            note(rest.empty() ? "The model is told nothing about how to behave."
                              : "The model is told how to behave, from the next question on.");
        } else if (command == "/stats") {
            if (!last_.empty()) note(last_);
            note(format_number(conversation_.turns()) + (conversation_.turns() == 1 ? " turn, " : " turns, ") +
                 format_number(conversation_.tokens()) + " of " + format_number(model_.info().context) +
                 " tokens of context · " + model_.info().kernels + " kernels, " + std::to_string(model_.threads()) +
                 (model_.threads() == 1 ? " thread" : " threads"));
        } else {
            note("There is no " + command + ". /help lists what there is.");
        }
        return true;
    }

private:
    LoadedModel& model_;
    const ChatChoices& choices_;
    Conversation conversation_;
    std::string last_;
};

void talk(LoadedModel& model, Chat& chat) {
    LineEditor editor;
    if (editor.interactive()) {
        note(model.name() + " · " + format_parameters(model.info().parameters) + " parameters · context " +
             format_number(model.info().context) + " tokens · " + format_bytes(model.plan().total_bytes) + " of memory");
        note("Ctrl-C stops an answer, Ctrl-D leaves, /help shows more.\n");
        chat.show_past();
    }
    // Over all of it, so that no moment is left in which Ctrl-C ends the program and not the answer.
    StopOnInterrupt stop(model.posix());
    std::string line;
    for (;;) {
        const LineEditor::Result result = editor.read(line);
        if (result == LineEditor::Result::end) {
            if (editor.interactive()) print("\n");
            return;
        }
        if (result == LineEditor::Result::interrupted && !editor.interactive()) throw Failure(exit_cancelled, "");
        stop.reset();
        if (result == LineEditor::Result::interrupted || line.find_first_not_of(" \t") == std::string::npos) continue;
        try {
            if (line[0] == '/' && line.compare(0, 2, "//") != 0) {
                if (!chat.obey(line)) return;
            } else {
                chat.ask(line[0] == '/' ? line.substr(1) : line);
            }
        } catch (const OutputFailure&) {
            throw;
        } catch (const Failure& failure) {
            flush_output();
            fprintf(stderr, "linnet: %s\n", for_terminal(failure.what()).c_str());
        }
        if (editor.interactive()) {
            print("\n");
            flush_output();
        }
    }
}

void chat(const ChatChoices& choices, bool one_question) {
    if (one_question && choices.prompt.find_first_not_of(" \t\n") == std::string::npos) {
        throw Failure(exit_usage, "--prompt is empty.");
    }
    if (!choices.session.empty()) check_session_path(choices.session, choices.model.file);
    LoadedModel model(choices.model);
    model.load();
    Chat chat(model, choices);
    if (one_question) {
        chat.ask(choices.prompt);
    } else {
        talk(model, chat);
    }
}

}  // namespace

void add_chat(CLI::App& app) {
    auto choices = std::make_shared<ChatChoices>();
    CLI::App& command = *app.add_subcommand("chat", "Talk with a model in the terminal");
    add_model_choices(command, choices->model);
    command.add_option("--system", choices->system, "How the model is to behave")->type_name("TEXT");
    const CLI::Option* prompt =
        command.add_option("--prompt", choices->prompt, "Answer this one question and exit")->type_name("TEXT");
    command.add_option("--session", choices->session, "Go on with the conversation in this file; it is kept after each answer")
        ->type_name("FILE");
    command.add_flag("--stats", choices->stats, "Print speed and memory to standard error after each answer");
    add_generation_choices(command, choices->generation);
    command.footer(std::string("In a conversation:\n") + commands_help +
                   "Where standard input is no terminal, each line of it is a question.\n"
                   "Examples:\n"
                   "  linnet chat model.linnet\n"
                   "  linnet chat model.linnet --session holiday.session\n"
                   "  linnet chat model.linnet --system \"Answer in one sentence.\" --temperature 0");
    command.callback([choices, prompt] { chat(*choices, prompt->count() != 0); });
}

}  // namespace linnet
