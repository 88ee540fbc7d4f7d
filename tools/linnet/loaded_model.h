// A model that a command has opened: its options, its platform, its arena, one session.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "core/linnet.h"
#include "platform/posix/posix.h"

namespace linnet {

// What the options --memory, --context, --threads, --kv, --kernels, --batch and the like say.
struct ModelChoices {
    std::string file;
    std::string memory;
    std::string kv = "int8";
    std::string direct = "auto";
    std::string scratch_folder;
    std::string kernels;  // empty: LINNET_KERNELS, or the best
    uint32_t context = 0;
    uint32_t threads = 0;
    uint32_t batch = 0;
    uint64_t beside = 0;  // bytes that a command holds itself while it works with the model: under the same ceiling
    bool progress = false;
    bool no_verify = false;
};

// Gives a command FILE and these options.
void add_model_choices(CLI::App& command, ModelChoices& choices);

// Numbers on the command line: whole, from `least` to `most`; refused otherwise with the option's name.
CLI::Validator whole_number(uint64_t least, uint64_t most);
// What --memory says, like 2GB or 1.5GiB.
CLI::Validator memory_size();

// What a process of this command has beside the arena, by the system's account: the program and its libraries (4 MB, measured with
// every ceiling of tools/measure_ceilings.py), its threads' stacks, the text, a row of logits. Taken off the ceiling.
inline constexpr uint64_t program_bytes = 8'000'000;

class LoadedModel {
public:
    // Opens the file and plans; load() reads the weights. Throws a Failure.
    explicit LoadedModel(const ModelChoices& choices);
    ~LoadedModel() { linnet_close(model_); }
    LoadedModel(const LoadedModel&) = delete;
    LoadedModel& operator=(const LoadedModel&) = delete;

    // Tokens that a session is to hold; before load().
    void set_context(uint32_t tokens) {
        options_.context = tokens;
        planned_ = false;
    }
    const linnet_plan& plan();
    void load();

    linnet_model* model() const { return model_; }
    linnet_session* session() const { return session_; }
    const linnet_info& info() const { return info_; }
    const linnet_options& options() const { return options_; }
    PosixPlatform& posix() { return posix_; }
    const linnet_platform& platform() const { return posix_.platform(); }
    std::string name() const;  // the file's, which the person has chosen; what a model calls itself may be anything
    bool progress() const { return progress_; }  // shown even where stderr is no terminal
    uint32_t threads() const { return posix_.platform().threads; }
    double load_seconds() const { return load_seconds_; }
    // Throws what the core reports; where the storage failed, with what the system says of it.
    void require_platform(linnet_status status, const linnet_error& error) const;

private:
    std::string file_;
    std::string kernels_;
    bool progress_;
    PosixPlatform posix_;
    linnet_options options_;
    linnet_plan plan_{};
    bool planned_ = false;
    ArenaMemory memory_;
    linnet_model* model_ = nullptr;
    linnet_session* session_ = nullptr;
    linnet_info info_{};
    double load_seconds_ = 0;
};

// Text to tokens, as a whole.
std::vector<int32_t> tokenize(linnet_model* model, const std::string& text, uint32_t flags);
std::vector<int32_t> chat_tokens(linnet_model* model, const std::vector<linnet_message>& messages, uint32_t flags);

// Measures how fast this machine reads and computes with the model, in memory of its own that is given back. Throws a Failure; where
// there is not the memory or the clock for it, the rates are 0.
linnet_rates measure_rates(LoadedModel& model);

// What the process has held at most, in bytes of physical memory.
uint64_t peak_memory();

}  // namespace linnet
