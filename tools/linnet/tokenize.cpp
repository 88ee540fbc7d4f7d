// linnet tokenize and linnet detokenize: text to token ids and back.
#include <charconv>
#include <nlohmann/json.hpp>

#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"
#include "tools/linnet/text_source.h"

namespace linnet {

namespace {

struct TextChoices {
    std::string file;
    std::vector<std::string> ids;
    bool special = false;
    bool bos = false;
    bool json = false;
};

void tokenize_text(const TextChoices& choices) {
    const TextSource source(choices.file);
    Tokenizer::Options options;
    options.parse_special = choices.special;
    options.add_bos = choices.bos;
    const std::vector<int32_t> tokens = source.encode(read_stdin(), options);
    if (choices.json) {
        print(nlohmann::ordered_json{{"tokens", tokens}}.dump() + "\n");
        return;
    }
    std::string line;
    for (const int32_t token : tokens) {
        if (!line.empty()) line += ' ';
        line += std::to_string(token);
    }
    print(line + "\n");
}

void detokenize_ids(const TextChoices& choices) {
    std::string list;
    for (const std::string& id : choices.ids) list += id + " ";
    if (choices.ids.empty()) list = read_stdin();
    std::vector<int32_t> tokens;
    // No ids are no text.
    if (list.find_first_not_of(" \t\r\n") != std::string::npos) tokens = parse_token_list(list, "ID");
    const std::string text = TextSource(choices.file).decode(tokens, choices.special);
    if (choices.json) {
        print(nlohmann::ordered_json{{"text", text}}.dump() + "\n");
        return;
    }
    print_untrusted(text);
    if (stdout_is_terminal()) print("\n");
}

CLI::App& add_command(CLI::App& app, const std::shared_ptr<TextChoices>& choices, const char* name, const char* what) {
    CLI::App& command = *app.add_subcommand(name, what);
    command
        .add_option("FILE", choices->file, "A .linnet file, tokenizer.model, tokenizer.json, a GGUF file or a model's folder")
        ->type_name("")
        ->required();
    command.add_flag("--json", choices->json, "Print one JSON object");
    return command;
}

}  // namespace

void add_tokenize(CLI::App& app) {
    auto choices = std::make_shared<TextChoices>();
    CLI::App& command = add_command(app, choices, "tokenize", "Turn standard input into token ids");
    command.add_flag("--special", choices->special, "Special tokens such as <|user|> in the text become what they name");
    command.add_flag("--bos", choices->bos, "Begin with the token that begins a text");
    command.footer(
        "Every byte of standard input counts, a line break at its end too.\n"
        "Example:\n  printf 'Hello world' | linnet tokenize model.linnet");
    command.callback([choices] { tokenize_text(*choices); });
}

void add_detokenize(CLI::App& app) {
    auto choices = std::make_shared<TextChoices>();
    CLI::App& command = add_command(app, choices, "detokenize", "Turn token ids into text");
    command.add_option("ID", choices->ids, "Token ids; from standard input when there are none")->type_name("");
    command.add_flag("--special", choices->special, "Show special tokens such as <|user|>");
    command.footer("Example:\n  linnet detokenize model.linnet 15043 3186");
    command.callback([choices] { detokenize_ids(*choices); });
}

}  // namespace linnet
