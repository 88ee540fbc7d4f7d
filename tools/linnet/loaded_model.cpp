#include "tools/linnet/loaded_model.h"

#include <sys/resource.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/linnet/command.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

CLI::Validator whole_number(uint64_t least, uint64_t most) {
    return CLI::Validator(
        [least, most](std::string& text) -> std::string {
            uint64_t value = 0;
            const char* end = text.data() + text.size();
            const auto [rest, problem] = std::from_chars(text.data(), end, value);
            if (problem == std::errc() && rest == end && value >= least && value <= most) return {};
            return "\"" + text + "\" is not a whole number from " + std::to_string(least) + " to " + std::to_string(most);
        },
        "", "whole number");
}

CLI::Validator memory_size() {
    return CLI::Validator(
        [](std::string& text) {
            // Refused here already, so that an empty size is not taken for none.
            parse_size(text, "--memory");
            return std::string();
        },
        "", "size");
}

void add_model_choices(CLI::App& command, ModelChoices& choices) {
    command.add_option("FILE", choices.file, "The model, a .linnet file")->required()->type_name("");
    command.add_option("--memory", choices.memory, "Ceiling for all the memory of this process, like 2GB or 1.5GiB")
        ->type_name("SIZE")
        ->check(memory_size());
    command.add_option("--context", choices.context, "Tokens that a conversation can hold (the model's own, at most 4096)")
        ->type_name("N")
        ->check(whole_number(1, 1u << 21));
    command.add_option("--threads", choices.threads, "Threads to compute with (all that there are)")
        ->type_name("N")
        ->check(whole_number(1, 256));
    command.add_option("--kv", choices.kv, "Numbers in the KV cache: int8, int4, f16 or f32 (int8)")->type_name("FORMAT");
    command.add_option("--batch", choices.batch, "Tokens of the prompt that are computed together (64)")
        ->type_name("N")
        ->check(whole_number(1, 512));
    command.add_option("--kernels", choices.kernels, "scalar, avx2, avx512, … (the best; or the environment's LINNET_KERNELS)")
        ->type_name("NAME");
    command
        .add_option("--direct", choices.direct, "Read past the system's cache what streams: on, off, or by free memory (auto)")
        ->type_name("WHEN");
    command
        .add_option("--scratch-folder", choices.scratch_folder,
                    "Where keys and values go that do not fit into memory ($TMPDIR, the model's folder or /var/tmp)")
        ->type_name("FOLDER");
    command.add_flag("--no-verify", choices.no_verify, "Do not compare the weights' checksums while they load");
    command.add_flag("--progress", choices.progress, "Show progress even where stderr is no terminal");
}

namespace {

uint32_t kv_format(const std::string& name) {
    if (name == "int8") return LINNET_KV_INT8;
    if (name == "f16") return LINNET_KV_F16;
    if (name == "f32") return LINNET_KV_F32;
    if (name == "int4") return LINNET_KV_INT4;
    throw Failure(exit_usage, "--kv: \"" + name + "\" is not one of int8, int4, f16 and f32.");
}

DirectReads direct_reads(const std::string& when) {
    if (when == "auto") return DirectReads::automatic;
    if (when == "on") return DirectReads::always;
    if (when == "off") return DirectReads::never;
    throw Failure(exit_usage, "--direct: \"" + when + "\" is not one of auto, on and off.");
}

// All the memory that this machine can give to a process, swap included; UINT64_MAX where that is not known.
uint64_t most_memory() {
    uint64_t kilobytes = 0;
    if (FILE* file = fopen("/proc/meminfo", "re")) {
        char line[256];
        unsigned long long value = 0;
        while (fgets(line, sizeof line, file) != nullptr) {
            if (sscanf(line, "MemTotal: %llu", &value) == 1 || sscanf(line, "SwapTotal: %llu", &value) == 1) kilobytes += value;
        }
        fclose(file);
    }
    uint64_t most = kilobytes == 0 ? UINT64_MAX : kilobytes * 1024;
    if (FILE* file = fopen("/sys/fs/cgroup/memory.max", "re")) {
        unsigned long long limit = 0;
        if (fscanf(file, "%llu", &limit) == 1 && limit < most) most = limit;
        fclose(file);
    }
    return most;
}

}  // namespace

LoadedModel::LoadedModel(const ModelChoices& choices)
    : file_(choices.file), kernels_(choices.kernels), progress_(choices.progress), options_(linnet_default_options()) {
    options_.kv_format = kv_format(choices.kv);
    options_.context = choices.context;
    options_.batch = choices.batch;
    options_.verify = choices.no_verify ? 0 : 1;
    if (!choices.memory.empty()) {
        options_.memory = parse_size(choices.memory, "--memory");
        options_.program_bytes = program_bytes + choices.beside;
    }
    if (kernels_.empty()) {
        const char* environment = getenv("LINNET_KERNELS");
        if (environment != nullptr) kernels_ = environment;
    }
    if (!kernels_.empty()) options_.kernels = kernels_.c_str();
    PosixOptions storage;
    storage.direct = direct_reads(choices.direct);
    storage.scratch_folder = choices.scratch_folder;
    std::string problem;
    if (!posix_.open(file_, choices.threads, problem, storage)) throw Failure(exit_bad_input, problem);
}

void LoadedModel::require_platform(linnet_status status, const linnet_error& error) const {
    if (status == LINNET_IO && !posix_.scratch_problem().empty()) throw Failure(exit_bad_input, posix_.scratch_problem());
    if (status == LINNET_IO && !posix_.problem().empty()) {
        throw Failure(exit_bad_input, "Cannot read \"" + file_ + "\": " + posix_.problem() + ".");
    }
    require(status, error);
}

const linnet_plan& LoadedModel::plan() {
    if (!planned_) {
        linnet_error error;
        require_platform(linnet_make_plan(&posix_.platform(), &options_, &plan_, &error), error);
        planned_ = true;
    }
    return plan_;
}

void LoadedModel::load() {
    const uint64_t bytes = plan().total_bytes;
    const uint64_t most = most_memory();
    if (bytes > most || !memory_.allocate(bytes)) {
        throw Failure(exit_does_not_fit, "This model with a context of " + std::to_string(plan_.context) + " tokens needs " +
                                             format_bytes(bytes) + " of memory, and this machine has not got that" +
                                             (most != UINT64_MAX ? " (" + format_bytes(most) + " in all)" : "") +
                                             ". Ask for a smaller --context, or take a smaller model.");
    }
    struct Watch {
        ProgressLine line;
        uint64_t total;
    } watch{ProgressLine("loading", progress_, 1.0), posix_.platform().file_bytes};
    posix_.watch(
        [](void* context, uint64_t done) {
            auto& self = *static_cast<Watch*>(context);
            self.line.update(done < self.total ? done : self.total, self.total);
        },
        &watch);
    linnet_error error;
    linnet_status status;
    {
        const StopOnInterrupt stop(posix_);
        status = linnet_open(&posix_.platform(), &options_, memory_.data(), memory_.size(), &model_, &error);
    }
    posix_.watch(nullptr, nullptr);
    load_seconds_ = watch.line.seconds();
    watch.line.clear();
    if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
    require_platform(status, error);
    linnet_get_info(model_, &info_);
    require(linnet_session_open(model_, &session_, &error), error);
}

std::string LoadedModel::name() const {
    const std::string file = file_.substr(file_.rfind('/') + 1);
    const size_t dot = file.rfind(".linnet");
    return for_terminal(dot == std::string::npos || dot == 0 ? file : file.substr(0, dot));
}

std::vector<int32_t> tokenize(linnet_model* model, const std::string& text, uint32_t flags) {
    linnet_error error;
    size_t count = 0;
    require(linnet_tokenize(model, text.data(), text.size(), flags, nullptr, 0, &count, &error), error);
    std::vector<int32_t> tokens(count);
    require(linnet_tokenize(model, text.data(), text.size(), flags, tokens.data(), count, &count, &error), error);
    return tokens;
}

std::vector<int32_t> chat_tokens(linnet_model* model, const std::vector<linnet_message>& messages, uint32_t flags) {
    linnet_error error;
    size_t count = 0;
    require(linnet_chat_tokens(model, messages.data(), messages.size(), flags, nullptr, 0, &count, &error), error);
    std::vector<int32_t> tokens(count);
    require(linnet_chat_tokens(model, messages.data(), messages.size(), flags, tokens.data(), count, &count, &error), error);
    return tokens;
}

linnet_rates measure_rates(LoadedModel& model) {
    // Under a small ceiling no more than that: who sets one may have no more.
    const uint64_t ceiling = model.options().memory;
    uint64_t bytes = 4 * LINNET_MEASURE_BYTES;  // a server's caches are larger than a phone's
    if (ceiling != 0 && ceiling < bytes + program_bytes) {
        bytes = std::max<uint64_t>(ceiling > program_bytes ? ceiling - program_bytes : 0, 1 << 20);
    }
    ArenaMemory memory;
    linnet_rates rates{};
    if (!memory.allocate(static_cast<size_t>(bytes))) return rates;
    linnet_error error;
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        status = linnet_measure(&model.platform(), &model.options(), memory.data(), memory.size(), &rates, &error);
    }
    if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
    if (status == LINNET_DOES_NOT_FIT || status == LINNET_UNSUPPORTED) return {};
    model.require_platform(status, error);
    return rates;
}

uint64_t peak_memory() {
    struct rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace linnet
