// What the commands share: how they end, and how they are found. Each add_…() gives the program one command, in a file of its
// own; it runs from CLI11's callback and ends by returning or by throwing a Failure.
#pragma once

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>

#include "core/base/error.h"
#include "core/linnet.h"

namespace linnet {

enum ExitCode : int {
    exit_success = 0,
    exit_usage = 2,         // an option, or a value of one
    exit_bad_input = 3,     // a file that is malformed or cannot be read or written
    exit_does_not_fit = 4,  // memory or context
    exit_cancelled = 130,   // Ctrl-C, as shells number it
};

// Ends the command: an exit code and one sentence for the person. An empty sentence says nothing.
struct Failure : std::runtime_error {
    Failure(int exit_code, const std::string& sentence) : std::runtime_error(sentence), code(exit_code) {}
    int code;
};

// The same, where standard output can no longer be written: nothing that follows could be shown.
struct OutputFailure : Failure {
    using Failure::Failure;
};

int exit_code(Status status);
// Throws what the core or the converter reports.
void require(Status status, const Error& error);
void require(linnet_status status, const linnet_error& error);

void add_convert(CLI::App& app);
void add_inspect(CLI::App& app);
void add_plan(CLI::App& app);
void add_run(CLI::App& app);
void add_chat(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_detokenize(CLI::App& app);
void add_logits(CLI::App& app);
void add_synth(CLI::App& app);
void add_bench(CLI::App& app);
void add_update(CLI::App& app);

}  // namespace linnet
