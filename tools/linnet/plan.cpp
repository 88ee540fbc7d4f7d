// linnet plan: what a model would need, by purpose, from its header alone.
#include <nlohmann/json.hpp>

#include "tools/linnet/command.h"
#include "tools/linnet/loaded_model.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct PlanChoices {
    ModelChoices model;
    bool json = false;
};

void plan(const PlanChoices& choices) {
    LoadedModel model(choices.model);
    const linnet_plan& plan = model.plan();
    struct Purpose {
        const char* key;
        const char* name;
        uint64_t bytes;
    };
    const Purpose purposes[] = {
        {"weights", "weights, resident", plan.weights_bytes},  {"kv_cache", "KV cache", plan.kv_bytes},
        {"activations", "activations", plan.activation_bytes}, {"tokenizer", "tokenizer", plan.tokenizer_bytes},
        {"sessions", "session", plan.session_bytes},           {"other", "the rest", plan.other_bytes},
    };
    if (choices.json) {
        nlohmann::ordered_json out;
        for (const Purpose& purpose : purposes) out["bytes"][purpose.key] = purpose.bytes;
        out["total_bytes"] = plan.total_bytes;
        out["ceiling_bytes"] = model.options().memory;
        out["context"] = plan.context;
        out["batch"] = plan.batch;
        out["threads"] = model.threads();
        out["layers_resident"] = plan.layers_resident;
        out["layers_streamed"] = plan.layers_streamed;
        out["streamed_bytes_per_pass"] = plan.streamed_bytes_per_pass;
        out["weight_bytes_per_token"] = plan.weight_bytes_per_token;
        print(out.dump(2) + "\n");
        return;
    }
    // Right-aligned exact figures, so that they can be added up; the round ones beside them.
    std::string table;
    const auto line = [&](const std::string& name, uint64_t bytes) {
        const std::string exact = format_number(bytes);
        const std::string round = format_bytes(bytes);
        table += "  " + name + std::string(20 - name.size(), ' ') + std::string(16 - std::min<size_t>(16, exact.size()), ' ') +
                 exact + std::string(14 - std::min<size_t>(14, round.size()), ' ') + round + "\n";
    };
    table += "  " + std::string(31, ' ') + "bytes\n";
    for (const Purpose& purpose : purposes) line(purpose.name, purpose.bytes);
    table += "  " + std::string(50, '-') + "\n";
    line("in all", plan.total_bytes);
    if (model.options().memory != 0) line("ceiling", model.options().memory);
    print(table + "\n");
    print(aligned(
        {{"context", format_number(plan.context) + " tokens"},
         {"batch", format_number(plan.batch) + " tokens of the prompt together"},
         {"threads", std::to_string(model.threads())},
         {"layers", std::to_string(plan.layers_resident) + " resident, " + std::to_string(plan.layers_streamed) + " streamed"},
         {"read for a token", format_bytes(plan.weight_bytes_per_token) + " of weights"}}));
}

}  // namespace

void add_plan(CLI::App& app) {
    auto choices = std::make_shared<PlanChoices>();
    CLI::App& command = *app.add_subcommand("plan", "Show how much memory a model needs, and for what");
    add_model_choices(command, choices->model);
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer(
        "Nothing is loaded. Exit code 4 and the smallest ceiling that would do when it does not fit.\n"
        "Example:\n  linnet plan model.linnet --memory 2GB --context 4096");
    command.callback([choices] { plan(*choices); });
}

}  // namespace linnet
