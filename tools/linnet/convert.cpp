// linnet convert: a GGUF file, a Hugging Face folder or a llama2.c file to a .linnet file.
#include "tools/converter/convert.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "platform/posix/posix.h"
#include "tools/converter/source.h"
#include "tools/linnet/calibration.h"
#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/loaded_model.h"
#include "tools/linnet/names.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct ConvertChoices {
    std::string in;
    std::string out;
    std::string weights = "int4";
    std::string output_weights = "int8";
    std::string calibrate;  // a text
    std::string memory;
    uint32_t group = 32;
    uint32_t threads = 0;
    bool window_includes_self = false;
    bool rounding = false;
    bool progress = false;
    bool json = false;
};

WeightFormat weight_format(const std::string& name, const char* option) {
    if (name == "int4") return WeightFormat::int4;
    if (name == "int8") return WeightFormat::int8;
    if (name == "f32") return WeightFormat::f32;
    throw Failure(exit_usage, std::string(option) + ": \"" + name + "\" is not one of int4, int8 and f32.");
}

double relative(double squared_error, double squares) { return squares > 0 ? std::sqrt(squared_error / squares) : 0; }

nlohmann::ordered_json report_json(const ConvertReport& report, const SourceModel& model,
                                   const std::optional<Calibration>& calibration, double seconds) {
    nlohmann::ordered_json out = {{"name", model.name},
                                  {"file_bytes", report.file_bytes},
                                  {"parameters", report.parameters},
                                  {"exact_weights", report.exact_weights},
                                  {"seconds", seconds},
                                  {"peak_bytes", peak_memory()},
                                  {"notes", model.notes}};
    if (calibration) {
        out["calibration"] = {{"text_tokens", calibration->text_tokens},
                              {"tokens", calibration->tokens},
                              {"windows", calibration->windows},
                              {"seconds", calibration->seconds}};
    }
    out["errors"] = nlohmann::ordered_json::array();
    for (const RoleError& role : report.errors) {
        out["errors"].push_back({{"role", role_name(role.role)},
                                 {"weights", role.weights},
                                 {"error", relative(role.squared_error, role.squares)},
                                 {"rounding_error", relative(role.squared_error_rounding, role.squares)}});
    }
    return out;
}

// How far the stored weights are from the given ones, and how far plain rounding would have been.
std::string error_table(const ConvertReport& report, bool weighted) {
    bool any = false;
    for (const RoleError& role : report.errors) any = any || role.squared_error > 0 || role.squared_error_rounding > 0;
    if (!any) return {};
    std::string table = weighted ? "  relative error by importance     stored   plain rounding\n"
                                 : "  relative error of the weights    stored   plain rounding\n";
    for (const RoleError& role : report.errors) {
        if (role.weights == 0) continue;
        char line[128];
        snprintf(line, sizeof line, "  %-30s %7.3f%%  %14.3f%%\n", role_name(role.role),
                 100 * relative(role.squared_error, role.squares), 100 * relative(role.squared_error_rounding, role.squares));
        table += line;
    }
    return table;
}

void convert(const ConvertChoices& choices) {
    ConvertOptions options;
    options.weights = weight_format(choices.weights, "--weights");
    options.output =
        options.weights == WeightFormat::int4 ? weight_format(choices.output_weights, "--output-weights") : options.weights;
    if (choices.group != 32 && choices.group != 64 && choices.group != 128) {
        throw Failure(exit_usage, "--group: " + std::to_string(choices.group) + " is not one of 32, 64 and 128.");
    }
    options.group = choices.group;
    options.search_scales = !choices.rounding;
    if (choices.calibrate.empty() && !choices.memory.empty()) {
        throw Failure(exit_usage, "--memory is the ceiling of --calibrate; without it converting takes little memory.");
    }
    if (!choices.calibrate.empty() && choices.rounding) {
        throw Failure(exit_usage,
                      "--calibrate chooses scales by what errors cost, and --rounding chooses none. Leave one out.");
    }
    if (!choices.calibrate.empty() && options.weights != WeightFormat::int4) {
        throw Failure(exit_usage, "--calibrate chooses the scales of int4 weights; --weights is " + choices.weights + ".");
    }

    const SourcePath source = find_source(choices.in);
    refuse_same_file(choices.in, choices.out);
    FileFolder folder(source.folder);
    SourceOptions source_options;
    source_options.window_includes_self = choices.window_includes_self;
    SourceModel model;
    Error error;
    require(open_source(folder, source.main, source_options, model, error), error);
    for (const std::string& text : model.notes) note("note: " + text);

    std::optional<Calibration> calibration;
    if (!choices.calibrate.empty()) {
        if (keeps_all_int4(model, options)) {
            throw Failure(exit_usage,
                          "All weights that become int4 come as Q4_0, which a group of 32 keeps exactly: there is nothing "
                          "to calibrate. Leave --calibrate out, or take --group 64.");
        }
        calibration.emplace(calibrate(model, {choices.calibrate, choices.out, choices.memory.empty() ? "1GB" : choices.memory,
                                              choices.threads, choices.progress}));
        options.importance = &calibration->importance;
    }

    PoolWorkers workers(choices.threads != 0 ? choices.threads : available_threads());
    OutputFile file(choices.out);
    ProgressLine line("converting", choices.progress);
    OutputProgress progress(file, line);
    ConvertReport report;
    const Status status = write_container(model, options, file, &workers, &progress, report, error);
    const double seconds = line.seconds();
    line.clear();
    if (status == Status::cancelled && progress.error().failed()) require(progress.error().status(), progress.error());
    require(status, error);
    file.finish();

    if (choices.json) {
        print(report_json(report, model, calibration, seconds).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
              "\n");
        return;
    }
    const std::string rate =
        seconds >= 0.05 ? ", " + format_bytes(static_cast<uint64_t>(static_cast<double>(report.file_bytes) / seconds)) + "/s"
                        : "";
    print(for_terminal("Wrote " + choices.out + ": " + format_parameters(report.parameters) + " parameters, " +
                       format_bytes(report.file_bytes) + " in " + format_seconds(seconds) + rate + ".\n"));
    if (report.exact_weights != 0) {
        print(format_parameters(report.exact_weights) + " weights came from Q4_0 and were kept exactly.\n");
    }
    if (calibration) {
        print(for_terminal("Calibrated on " + format_number(calibration->tokens) + " of the " +
                           format_number(calibration->text_tokens) + " tokens of " + choices.calibrate + ", in " +
                           format_seconds(calibration->seconds) + ".\n"));
    }
    print(error_table(report, calibration.has_value()));
}

struct SynthChoices {
    std::string shape;
    std::string out;
    uint64_t seed = 0;
    uint32_t group = 32;
    uint32_t threads = 0;
    bool progress = false;
    bool json = false;
};

std::string shape_list() {
    std::string list;
    for (const std::string& shape : synth_shapes()) list += (list.empty() ? "" : ", ") + shape;
    return list;
}

// The same in lines of a help text.
std::string wrapped(const std::vector<std::string>& words) {
    std::string text;
    size_t width = 8;
    for (const std::string& word : words) {
        if (!text.empty()) text += width + word.size() > 100 ? ",\n        " : ", ";
        width = width + word.size() > 100 ? 8 : width + word.size() + 2;
        text += word;
    }
    return text;
}

void synth(const SynthChoices& choices) {
    if (choices.group != 32 && choices.group != 64 && choices.group != 128) {
        throw Failure(exit_usage, "--group: " + std::to_string(choices.group) + " is not one of 32, 64 and 128.");
    }
    const std::vector<std::string> shapes = synth_shapes();
    if (std::find(shapes.begin(), shapes.end(), choices.shape) == shapes.end()) {
        throw Failure(exit_usage, "There is no shape \"" + choices.shape + "\". There are: " + shape_list() + ".");
    }
    PoolWorkers workers(choices.threads != 0 ? choices.threads : available_threads());
    OutputFile file(choices.out);
    ProgressLine line("making", choices.progress);
    OutputProgress progress(file, line);
    Error error;
    const Status status = synthesise(choices.shape, choices.seed, choices.group, file, &workers, &progress, error);
    const double seconds = line.seconds();
    line.clear();
    if (status == Status::cancelled && progress.error().failed()) require(progress.error().status(), progress.error());
    require(status, error);
    file.finish();
    if (choices.json) {
        const nlohmann::ordered_json out = {
            {"shape", choices.shape}, {"seed", choices.seed}, {"file_bytes", file.written()}, {"seconds", seconds}};
        print(out.dump(2) + "\n");
        return;
    }
    print(for_terminal("Wrote " + choices.out + ": " + choices.shape + " with random weights, " + format_bytes(file.written()) +
                       " in " + format_seconds(seconds) + ".\n"));
}

}  // namespace

void add_convert(CLI::App& app) {
    auto choices = std::make_shared<ConvertChoices>();
    CLI::App& command = *app.add_subcommand("convert", "Make a .linnet file from a GGUF file or a Hugging Face folder");
    command.add_option("IN", choices->in, "A GGUF file (one part of a split one), a Hugging Face folder, or a llama2.c .bin")
        ->type_name("")
        ->required();
    command.add_option("OUT", choices->out, "The .linnet file to write")->type_name("")->required();
    command.add_option("--weights", choices->weights, "Numbers that the weights are stored in: int4, int8 or f32 (int4)")
        ->type_name("FORMAT");
    command.add_option("--group", choices->group, "Weights that share a scale: 32, 64 or 128 (32)")
        ->type_name("N")
        ->check(whole_number(1, 1024));
    command
        .add_option("--output-weights", choices->output_weights,
                    "The output matrix, where weights are int4: int8, int4 or f32 (int8)")
        ->type_name("FORMAT");
    command.add_flag("--window-includes-self", choices->window_includes_self,
                     "A sliding window of w is w keys, the token's own among them, and not w before it");
    command.add_flag("--rounding", choices->rounding, "Round plainly instead of searching scales, for comparison");
    command
        .add_option("--calibrate", choices->calibrate,
                    "Let the model read this text first, and choose int4 scales by what errors cost on it")
        ->type_name("TEXT");
    command.add_option("--memory", choices->memory, "Ceiling for the memory of --calibrate (1GB)")
        ->type_name("SIZE")
        ->check(memory_size());
    command.add_option("--threads", choices->threads, "Threads to compute with (all that there are)")
        ->type_name("N")
        ->check(whole_number(1, 256));
    command.add_flag("--progress", choices->progress, "Show progress even where stderr is no terminal");
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer(
        "The file appears under its name when it is complete. Weights that come as Q4_0 are kept exactly by int4, group 32.\n"
        "--calibrate takes UTF-8 text of the kind that the model is for: 256 tokens at least; of more than 16,384 it reads "
        "16,384,\n"
        "spread over the text. For that time a second file stands beside OUT, the model in int8.\n"
        "Examples:\n"
        "  linnet convert Phi-3-mini-4k-instruct-q4.gguf phi-3.linnet\n"
        "  linnet convert Phi-3-mini-4k-instruct/ phi-3.linnet --group 64\n"
        "  linnet convert Phi-3-mini-4k-instruct/ phi-3.linnet --calibrate texts.txt");
    command.callback([choices] { convert(*choices); });
}

void add_synth(CLI::App& app) {
    auto choices = std::make_shared<SynthChoices>();
    CLI::App& command = *app.add_subcommand("synth", "Make a model of a known shape with random weights, to measure with");
    command.add_option("SHAPE", choices->shape, "The shape to make, see below")->type_name("")->required();
    command.add_option("OUT", choices->out, "The .linnet file to write")->type_name("")->required();
    command.add_option("--seed", choices->seed, "The weights follow from it alone (0)")
        ->type_name("S")
        ->check(whole_number(0, UINT64_MAX));
    command.add_option("--group", choices->group, "Weights that share a scale: 32, 64 or 128 (32)")
        ->type_name("N")
        ->check(whole_number(1, 1024));
    command.add_option("--threads", choices->threads, "Threads to compute with (all that there are)")
        ->type_name("N")
        ->check(whole_number(1, 256));
    command.add_flag("--progress", choices->progress, "Show progress even where stderr is no terminal");
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer("Shapes: " + wrapped(synth_shapes()) + "\nExample:\n  linnet synth phi-3-mini phi-3-random.linnet --seed 1");
    command.callback([choices] { synth(*choices); });
}

}  // namespace linnet
