#include "tools/linnet/calibration.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "core/guarded.h"
#include "core/text/utf8.h"
#include "tools/converter/convert.h"
#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/loaded_model.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"
#include "tools/linnet/text_source.h"
#include "tools/linnet/token_progress.h"

namespace linnet {

namespace {

// Each window is read from an empty context. More tokens change the weighing by little (tools/converter/README.md).
constexpr size_t window_tokens = 512;
constexpr size_t most_tokens = 16384;
// Of fewer the means are mostly chance.
constexpr size_t least_tokens = 256;
constexpr uint64_t most_text_bytes = uint64_t{64} << 20;

using Windows = std::vector<std::vector<int32_t>>;

std::string read_text(const std::string& path) {
    std::error_code problem;
    const uint64_t bytes = std::filesystem::file_size(path, problem);
    if (!problem && bytes > most_text_bytes) {
        throw Failure(exit_bad_input, "\"" + path + "\" has " + format_bytes(bytes) + "; calibrating takes at most " +
                                          format_bytes(most_text_bytes) + ", and " + format_number(most_tokens) +
                                          " tokens of them are read. Give a part of it.");
    }
    std::string text = read_whole_file(path);
    if (!valid_utf8(text)) throw Failure(exit_bad_input, "\"" + path + "\" is no text: it is not UTF-8.");
    return text;
}

// As many whole windows as may be, evenly over the text; of a shorter text the one window that there is.
Windows choose_windows(const std::vector<int32_t>& tokens, const ModelConfig& config) {
    const bool bos = config.add_bos != 0 && config.bos_token >= 0;
    const size_t window = std::min<size_t>(window_tokens, config.context);
    const size_t body = window - (bos && window > 1 ? 1 : 0);
    const size_t there = std::max<size_t>(tokens.size() / body, 1);
    const size_t count = std::min(there, std::max<size_t>(most_tokens / window, 1));
    Windows windows;
    for (size_t i = 0; i < count; ++i) {
        const size_t begin = i * there / count * body;
        const size_t end = std::min(begin + body, tokens.size());
        std::vector<int32_t> one;
        if (bos) one.push_back(config.bos_token);
        one.insert(one.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                   tokens.begin() + static_cast<std::ptrdiff_t>(end));
        windows.push_back(std::move(one));
    }
    return windows;
}

class ShowTokens : public Progress {
public:
    explicit ShowTokens(bool forced) : line_("calibrating on", false, forced) {}
    bool update(uint64_t done, uint64_t total) override {
        linnet_progress progress{};
        progress.tokens = static_cast<uint32_t>(total);
        progress.tokens_done = static_cast<float>(done);
        line_.update(progress);
        return true;
    }

private:
    TokenProgress line_;
};

// What is held beside the model while it reads: 12 bytes a column of every matrix, and what is left of converting.
uint64_t held_bytes(const SourceModel& model) {
    uint64_t bytes = 3'000'000;
    for (const SourceTensor& tensor : model.tensors) bytes += uint64_t{12} * tensor.columns;
    return bytes;
}

// The model in int8, whose activations are all but those of the source: opened, and without a name of its own.
class PassingModel {
public:
    PassingModel(const SourceModel& model, const CalibrationChoices& choices, size_t context) : file_(choices.out + ".int8") {
        ConvertOptions options;
        options.weights = WeightFormat::int8;
        // Chosen scales are of no use here, and cost most of the time.
        options.search_scales = false;
        {
            PoolWorkers workers(choices.threads != 0 ? choices.threads : available_threads());
            ProgressLine line("preparing", choices.progress);
            OutputProgress progress(file_, line);
            ConvertReport report;
            Error error;
            Status status = write_container(model, options, file_, &workers, &progress, report, error);
            line.clear();
            if (status == Status::cancelled && progress.error().failed()) require(progress.error().status(), progress.error());
            require(status, error);
            require(file_.flush(error), error);
        }
        ModelChoices loading;
        loading.file = file_.passing_name();
        loading.memory = choices.memory;
        loading.beside = held_bytes(model);
        loading.threads = choices.threads;
        loading.progress = choices.progress;
        loading.context = static_cast<uint32_t>(context);
        loaded_.emplace(loading);
        loaded_->load();
    }
    LoadedModel& loaded() { return *loaded_; }

private:
    OutputFile file_;
    std::optional<LoadedModel> loaded_;
};

}  // namespace

Calibration calibrate(const SourceModel& model, const CalibrationChoices& choices) {
    const auto start = std::chrono::steady_clock::now();
    if (model.tokenizer_block.empty()) {
        throw Failure(exit_bad_input, "This model has no tokenizer that Linnet can use, so it cannot read \"" + choices.text +
                                          "\". Convert without --calibrate.");
    }
    std::error_code problem;
    if (std::filesystem::exists(choices.out, problem) && !std::filesystem::is_regular_file(choices.out, problem)) {
        throw Failure(exit_usage, "--calibrate writes a second file beside OUT for a while: OUT must be a regular file.");
    }
    Calibration calibration;
    Windows windows;
    {
        const std::vector<int32_t> tokens = TextSource(model.tokenizer_block).encode(read_text(choices.text), {});
        calibration.text_tokens = tokens.size();
        if (tokens.size() < least_tokens) {
            throw Failure(exit_bad_input, "\"" + choices.text + "\" has " + format_number(tokens.size()) +
                                              " tokens; calibrating takes " + format_number(least_tokens) + " at least, and " +
                                              format_number(most_tokens) + " are better.");
        }
        windows = choose_windows(tokens, model.config);
    }
    size_t longest = 0;
    for (const std::vector<int32_t>& window : windows) {
        longest = std::max(longest, window.size());
        calibration.tokens += window.size();
    }
    calibration.windows = static_cast<uint32_t>(windows.size());

    PassingModel passing(model, choices, longest);
    LoadedModel& loaded = passing.loaded();
    ShowTokens progress(choices.progress);
    linnet_error error;
    linnet_status status;
    {
        const StopOnInterrupt stop(loaded.posix());
        status = guarded(&error, [&](Error& inner) {
            return gather_importance(*loaded.session(), windows, &progress, calibration.importance, inner);
        });
    }
    if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
    loaded.require_platform(status, error);
    calibration.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return calibration;
}

}  // namespace linnet
