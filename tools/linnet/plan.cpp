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
    bool no_measure = false;
    bool json = false;
};

struct Purpose {
    const char* key;
    const char* name;
    uint64_t bytes;
};

std::vector<Purpose> purposes_of(const linnet_plan& plan) {
    return {
        {"weights", "weights, resident", plan.weights_bytes},
        {"ring", "passing through", plan.ring_bytes},
        {"kv_cache", "KV cache", plan.kv_bytes},
        {"activations", "activations", plan.activation_bytes},
        {"tokenizer", "tokenizer", plan.tokenizer_bytes},
        {"sessions", "session", plan.session_bytes},
        {"other", "the rest", plan.other_bytes},
    };
}

// Seconds a token, and what they are by the second; nothing where it is not known.
std::string speed(double seconds) {
    if (!(seconds > 0)) return "not known";
    const double rate = 1 / seconds;
    return (seconds < 0.0995 ? format_fixed(seconds * 1e3, 1) + " ms" : format_fixed(seconds, 2) + " s") + " a token (" +
           format_fixed(rate, rate < 99.95 ? 1 : 0) + " tok/s)";
}

// "x at the start, y with a full context", or x alone where both are the same.
std::string both(const std::string& start, const std::string& full) {
    return start == full ? start : start + " at the start, " + full + " with a full context";
}

void print_json(LoadedModel& model, const linnet_rates* rates) {
    const linnet_plan& plan = model.plan();
    nlohmann::ordered_json out;
    for (const Purpose& purpose : purposes_of(plan)) out["bytes"][purpose.key] = purpose.bytes;
    out["total_bytes"] = plan.total_bytes;
    out["ceiling_bytes"] = model.options().memory;
    out["program_bytes"] = model.options().program_bytes;
    out["context"] = plan.context;
    out["batch"] = plan.batch;
    out["span"] = plan.span;
    out["threads"] = model.threads();
    out["layers_resident"] = plan.layers_resident;
    out["layers_streamed"] = plan.layers_streamed;
    out["page_bytes"] = plan.page_bytes;
    out["pages"] = plan.pages;
    out["pieces"] = plan.pieces;
    out["pieces_resident"] = plan.pieces_resident;
    out["pieces_resident_at_start"] = plan.pieces_resident_at_start;
    out["streamed_bytes_per_pass"] = plan.streamed_bytes_per_pass;
    out["streamed_bytes_per_pass_at_start"] = plan.streamed_bytes_per_pass_at_start;
    out["spilled_bytes"] = plan.spilled_bytes;
    out["weight_bytes_per_token"] = plan.weight_bytes_per_token;
    out["kv_bytes_per_token"] = plan.kv_bytes_per_token;
    if (rates != nullptr) {
        out["rates"] = {{"read_bytes_per_second", rates->read_bytes_per_second},
                        {"compute_bytes_per_second", rates->compute_bytes_per_second},
                        {"use_bytes_per_second", rates->use_bytes_per_second},
                        {"not_hidden", rates->not_hidden},
                        {"past_cache", model.posix().reads_directly()}};
        out["predicted_seconds_per_token_at_start"] = linnet_predict_token_seconds(&plan, rates, 0);
        out["predicted_seconds_per_token"] = linnet_predict_token_seconds(&plan, rates, 1);
    }
    print(out.dump(2) + "\n");
}

void print_text(LoadedModel& model, const linnet_rates* rates) {
    const linnet_plan& plan = model.plan();
    // Right-aligned exact figures, so that they can be added up; the round ones beside them.
    std::string table;
    const auto line = [&](const std::string& name, uint64_t bytes) {
        const std::string exact = format_number(bytes);
        const std::string round = format_bytes(bytes);
        table += "  " + name + std::string(20 - name.size(), ' ') + std::string(16 - std::min<size_t>(16, exact.size()), ' ') +
                 exact + std::string(14 - std::min<size_t>(14, round.size()), ' ') + round + "\n";
    };
    table += "  " + std::string(31, ' ') + "bytes\n";
    for (const Purpose& purpose : purposes_of(plan)) {
        if (purpose.bytes != 0 || plan.ring_bytes != purpose.bytes) line(purpose.name, purpose.bytes);
    }
    table += "  " + std::string(50, '-') + "\n";
    line("in all", plan.total_bytes);
    if (model.options().memory != 0) {
        line("the program itself", model.options().program_bytes);
        line("ceiling", model.options().memory);
    }
    print(table + "\n");
    Rows rows = {
        {"context", format_number(plan.context) + " tokens"},
        {"batch", format_number(plan.batch) + " tokens of the prompt together" +
                      (plan.span > plan.batch ? ", " + format_number(plan.span) + " by each pass over the weights" : "")},
        {"threads", std::to_string(model.threads())},
        {"layers", std::to_string(plan.layers_resident) + " resident, " + std::to_string(plan.layers_streamed) + " streamed" +
                       (plan.streamed_bytes_per_pass != 0 ? " in part or whole" : "")}};
    if (plan.page_bytes != 0) {
        rows.emplace_back("weights", both(format_number(plan.pieces_resident_at_start), format_number(plan.pieces_resident)) +
                                         ", of " + format_number(plan.pieces) + " pieces, are resident");
        rows.emplace_back(
            "pages", format_number(plan.pages) + " of " + format_bytes(plan.page_bytes) + ", shared by weights and KV cache");
        rows.emplace_back(
            "streamed", both(format_bytes(plan.streamed_bytes_per_pass_at_start), format_bytes(plan.streamed_bytes_per_pass)) +
                            ", in each pass over the weights");
        if (plan.spilled_bytes != 0) {
            rows.emplace_back("put aside",
                              format_bytes(plan.spilled_bytes) + " of keys and values in a temporary file, read in each pass");
        }
    }
    rows.emplace_back(
        "read for a token",
        format_bytes(plan.weight_bytes_per_token) + " of weights" +
            (plan.kv_bytes_per_token != 0 ? ", up to " + format_bytes(plan.kv_bytes_per_token) + " of keys and values" : ""));
    if (rates != nullptr) {
        const auto rate = [](double bytes) {
            return bytes > 0 ? format_bytes(static_cast<uint64_t>(bytes)) + " a second" : std::string("not known");
        };
        rows.emplace_back("this machine reads",
                          rate(rates->read_bytes_per_second) + " from storage" +
                              (model.posix().reads_directly() ? ", past the system's cache" : ", through the system's cache"));
        rows.emplace_back("and multiplies", rate(rates->compute_bytes_per_second) + " of weights");
        rows.emplace_back("predicted", both(speed(linnet_predict_token_seconds(&plan, rates, 0)),
                                            speed(linnet_predict_token_seconds(&plan, rates, 1))));
    }
    print(aligned(rows));
}

void plan(const PlanChoices& choices) {
    LoadedModel model(choices.model);
    model.plan();
    linnet_rates rates{};
    if (!choices.no_measure) rates = measure_rates(model);
    const linnet_rates* measured = choices.no_measure ? nullptr : &rates;
    choices.json ? print_json(model, measured) : print_text(model, measured);
}

}  // namespace

void add_plan(CLI::App& app) {
    auto choices = std::make_shared<PlanChoices>();
    CLI::App& command = *app.add_subcommand("plan", "Show how much memory a model needs, and for what");
    add_model_choices(command, choices->model);
    command.add_flag("--no-measure", choices->no_measure, "Only what follows from the file: no rates, no seconds a token");
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer(
        "The seconds a token are the longer of reading what streams and of computing with all of it, and what of the shorter\n"
        "one is not done meanwhile, by rates that are measured here with some of the model's weights, within about a second.\n"
        "Exit code 4 and the smallest ceiling that would do when it does not fit.\n"
        "Example:\n  linnet plan model.linnet --memory 2GB --context 4096");
    command.callback([choices] { plan(*choices); });
}

}  // namespace linnet
