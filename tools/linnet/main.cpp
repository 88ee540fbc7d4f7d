// The `linnet` command.
#include <clocale>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include "tools/linnet/command.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/terminal.h"

namespace linnet {

int exit_code(Status status) {
    switch (status) {
        case Status::ok: return exit_success;
        case Status::bad_argument: return exit_usage;
        case Status::does_not_fit: return exit_does_not_fit;
        case Status::cancelled: return exit_cancelled;
        case Status::bad_file:
        case Status::io:
        case Status::unsupported: return exit_bad_input;
    }
    return exit_bad_input;
}

void require(Status status, const Error& error) {
    if (status != Status::ok) throw Failure(exit_code(status), error.text());
}

void require(linnet_status status, const linnet_error& error) {
    if (status != LINNET_OK) throw Failure(exit_code(static_cast<Status>(status)), error.text);
}

namespace {

void describe(CLI::App& app) {
    app.description("Linnet runs language models where you are: offline, in a bounded amount of memory.");
    app.require_subcommand(1);
    app.get_formatter()->label("REQUIRED", "");
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app.get_formatter()->label("Subcommands", "Commands");
    app.get_formatter()->label("Positionals", "Arguments");
    app.set_version_flag("--version", std::string("linnet ") + LINNET_VERSION, "Print the version and exit");
    app.set_help_flag("-h,--help", "Print this help and exit");
    app.footer(
        "'linnet COMMAND --help' explains one command.\n"
        "Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 does not fit, 130 stopped by Ctrl-C.");
    add_chat(app);
    add_run(app);
    add_convert(app);
    add_inspect(app);
    add_plan(app);
    add_tokenize(app);
    add_detokenize(app);
    add_logits(app);
    add_synth(app);
    add_bench(app);
    add_update(app);
}

void complain(const std::string& sentence) {
    if (!sentence.empty()) fprintf(stderr, "linnet: %s\n", for_terminal(sentence).c_str());
}

// The command that was named, and the one within it.
std::vector<CLI::App*> chosen_commands(CLI::App& app) {
    std::vector<CLI::App*> chosen;
    for (CLI::App* at = &app; !at->get_subcommands().empty();) {
        at = at->get_subcommands().front();
        chosen.push_back(at);
    }
    return chosen;
}

int run(int argc, char** argv) {
    CLI::App app;
    app.name("linnet");
    describe(app);
    if (argc < 2) {
        print(app.help());
        finish_output();
        return exit_success;
    }
    try {
        app.parse(argc, argv);
        finish_output();
        return exit_success;
    } catch (const CLI::CallForHelp&) {
        const std::vector<CLI::App*> chosen = chosen_commands(app);
        print(chosen.empty() ? app.help()
                             : chosen.back()->help(chosen.size() > 1 ? "linnet " + chosen.front()->get_name() : "linnet"));
    } catch (const CLI::CallForVersion& version) {
        print(std::string(version.what()) + "\n");
    } catch (const CLI::ParseError& error) {
        std::string what = error.what();
        while (!what.empty() && (what.back() == '\n' || what.back() == '.')) what.pop_back();
        what += ". See: linnet ";
        for (const CLI::App* command : chosen_commands(app)) what += command->get_name() + " ";
        complain(what + "--help");
        return exit_usage;
    }
    finish_output();
    return exit_success;
}

}  // namespace

}  // namespace linnet

int main(int argc, char** argv) {
    using namespace linnet;
    // Only for the width of characters in the line editor: numbers keep their point.
    if (setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    install_interrupts();
    try {
        return run(argc, argv);
    } catch (const Failure& failure) {
        complain(failure.what());
        return failure.code;
    } catch (const std::bad_alloc&) {
        complain("There is not enough memory for this.");
        return exit_does_not_fit;
    } catch (const std::exception& error) {
        complain(error.what());
        return exit_bad_input;
    }
}
