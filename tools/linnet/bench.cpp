// linnet bench: how fast a model runs here, beside how fast this machine can read and multiply at all.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/bench/report.h"
#include "tools/linnet/bench_surroundings.h"
#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/generation.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/loaded_model.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct BenchChoices {
    ModelChoices model;
    std::string prompts;  // empty: the usual ones
    uint32_t decode = 32;
    uint32_t repeat = 0;  // 0: the usual number
    std::string svg;
    bool no_cold = false;
    bool json = false;
};

constexpr uint32_t most_tokens = 1u << 20;
constexpr uint32_t usual_prompts[] = {32, 128, 512, 2048};
// Without --repeat: fewer where rounds take long, so that a slow machine answers within minutes as well.
constexpr uint32_t usual_rounds = 5;
constexpr uint32_t least_rounds = 3;
constexpr double enough_seconds = 60;

std::vector<uint32_t> parse_lengths(const std::string& text) {
    std::vector<uint32_t> lengths;
    for (size_t from = 0; from <= text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        const char* end = text.data() + comma;
        uint32_t value = 0;
        const auto [rest, problem] = std::from_chars(text.data() + from, end, value);
        if (problem != std::errc() || rest != end || value > most_tokens) {
            throw Failure(exit_usage, "--prompt: \"" + text + "\" is not a list of whole numbers from 0 to " +
                                          std::to_string(most_tokens) + ", like 32,128,512.");
        }
        lengths.push_back(value);
        from = comma + 1;
    }
    std::sort(lengths.begin(), lengths.end());
    lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
    return lengths;
}

// The lengths that are measured: those that were asked for, or the usual ones that the context holds.
std::vector<uint32_t> choose_lengths(const BenchChoices& choices, uint32_t model_context) {
    const uint32_t context = choices.model.context != 0 ? choices.model.context : model_context;
    if (!choices.prompts.empty()) {
        std::vector<uint32_t> lengths = parse_lengths(choices.prompts);
        if (uint64_t{lengths.back()} + choices.decode > context) {
            throw Failure(exit_does_not_fit, "A prompt of " + format_number(lengths.back()) + " tokens and " +
                                                 format_number(choices.decode) + " after it do not fit a context of " +
                                                 format_number(context) + " tokens. Ask for less with --prompt or --decode" +
                                                 (choices.model.context != 0 ? ", or for a larger --context." : "."));
        }
        return lengths;
    }
    std::vector<uint32_t> lengths;
    for (const uint32_t length : usual_prompts) {
        if (uint64_t{length} + choices.decode <= context) lengths.push_back(length);
    }
    if (lengths.empty() && choices.decode <= context) lengths.push_back(context - choices.decode);
    if (lengths.empty()) {
        throw Failure(exit_does_not_fit, "--decode " + std::to_string(choices.decode) + " does not fit a context of " +
                                             format_number(context) + " tokens.");
    }
    return lengths;
}

// Both ceilings, in memory of their own but for the weights.
class Ceilings {
public:
    Ceilings(LoadedModel& model, const ModelWork& work) : model_(model) {
        const KernelTable* table = select_kernels(model.info().kernels);
        if (!read_.use(*model.model())) {
            const size_t bytes = ReadCeiling::bytes_for(model.plan().weight_bytes_per_token);
            if (read_memory_.allocate(bytes)) read_.create(read_memory_.data(), bytes);
        }
        const uint32_t threads = model.threads();
        if (table != nullptr && dot_memory_.allocate(DotCeiling::bytes_for(work, threads))) {
            dot_.create(*table, work, threads, dot_memory_.data());
            has_dot_ = true;
        }
    }
    const ReadCeiling& read() const { return read_; }

    // Work between two times of measuring what bounds it, so that both have had the same machine. Of the two the better counts.
    template <typename Work>
    void around(BenchRow& row, bool prompt, const Work& work) {
        const Found before = measure(prompt);
        row.rates.push_back(work());
        const Found after = measure(prompt);
        if (before.read > 0) row.read_ceilings.push_back(std::max(before.read, after.read));
        if (before.dots > 0) row.dot_ceilings.push_back(std::max(before.dots, after.dots));
    }

private:
    struct Found {
        double read = 0;
        double dots = 0;
    };
    Found measure(bool prompt) {
        linnet_settle(model_.model());  // no reading ahead may be under way
        Found found;
        if (!prompt && read_.bytes() != 0) found.read = read_.measure(model_.platform(), 1);
        if (has_dot_) found.dots = dot_.measure(model_.platform(), prompt ? DotCeiling::many_tokens : 1, 2);
        return found;
    }

    LoadedModel& model_;
    ArenaMemory read_memory_;
    ArenaMemory dot_memory_;
    ReadCeiling read_;
    DotCeiling dot_;
    bool has_dot_ = false;
};

class Bench {
public:
    Bench(LoadedModel& model, uint32_t tokens) : model_(model) {
        // Random tokens: a real text would do the same work.
        uint64_t state = 1;
        for (uint32_t i = 0; i < tokens; ++i) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            tokens_.push_back(static_cast<int32_t>((state >> 33) % model.info().vocabulary));
        }
    }

    // Tokens a second, from an empty context on.
    double prefill(uint32_t count) {
        linnet_error error;
        require(linnet_rewind(model_.session(), 0, &error), error);
        return count == 0 ? 0 : timed(0, count, count);
    }
    // Where prefill() has ended.
    double decode(uint32_t after, uint32_t count) {
        const uint64_t before = from_storage();
        const double rate = timed(after, count, 1);
        streamed_per_token_ = static_cast<double>(from_storage() - before) / count;
        return rate;
    }
    // Bytes that each token of the last decode() read from storage: weights, keys and values.
    double streamed_per_token() const { return streamed_per_token_; }

private:
    uint64_t from_storage() {
        linnet_stats stats;
        linnet_get_stats(model_.session(), &stats);
        return stats.bytes_streamed + stats.scratch_bytes_read;
    }
    double timed(uint32_t from, uint32_t count, uint32_t at_a_time) {
        const linnet_platform& platform = model_.platform();
        const StopOnInterrupt stop(model_.posix());
        linnet_error error;
        const uint64_t start = platform.ticks(platform.context);
        for (uint32_t i = 0; i < count; i += at_a_time) {
            const linnet_status status = linnet_evaluate(model_.session(), tokens_.data() + from + i, at_a_time, &error);
            if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
            model_.require_platform(status, error);
        }
        return tokens_per_second(count, platform.ticks(platform.context) - start);
    }

    LoadedModel& model_;
    std::vector<int32_t> tokens_;
    double streamed_per_token_ = 0;
};

BenchRow row_of(uint32_t after, uint32_t tokens) {
    BenchRow row;
    row.after = after;
    row.tokens = tokens;
    return row;
}

// Rounds over all lengths: what else the machine does meets every length alike.
void measure_rounds(LoadedModel& model, const BenchChoices& choices, const std::vector<uint32_t>& lengths, Ceilings& ceilings,
                    Bench& bench, BenchReport& report) {
    for (const uint32_t length : lengths) {
        if (length != 0) report.prefill.push_back(row_of(0, length));
        if (choices.decode != 0) report.decode.push_back(row_of(length, choices.decode));
    }
    report.read_ceiling_bytes = choices.decode != 0 ? ceilings.read().bytes() : 0;
    report.read_ceiling_of_weights = ceilings.read().of_weights();
    const uint32_t rounds = choices.repeat != 0 ? choices.repeat : usual_rounds;
    const uint64_t steps = uint64_t{rounds} * lengths.size();
    ProgressLine line("measuring", choices.model.progress);
    for (uint32_t round = 0; round < rounds; ++round) {
        if (choices.repeat == 0 && round >= least_rounds && line.seconds() > enough_seconds) break;
        auto prefill = report.prefill.begin();
        for (size_t i = 0; i < lengths.size(); ++i) {
            if (lengths[i] == 0) {
                bench.prefill(0);
            } else {
                ceilings.around(*prefill++, true, [&] { return bench.prefill(lengths[i]); });
            }
            if (choices.decode != 0) {
                ceilings.around(report.decode[i], false, [&] { return bench.decode(lengths[i], choices.decode); });
            }
            line.update(round * lengths.size() + i + 1, steps);
        }
        if (bench.streamed_per_token() > 0) {
            linnet_settle(model.model());
            report.storage_rate = std::max(report.storage_rate, measure_rates(model).read_bytes_per_second);
        }
        ++report.rounds;
    }
    report.streamed_per_token = bench.streamed_per_token();
}

// ---- what is shown -----------------------------------------------------------------------------------------------------

class JsonObject {
public:
    explicit JsonObject(nlohmann::ordered_json& json) : json_(json) {}
    void text(const char* name, const std::string& value) { json_[name] = value; }
    void number(const char* name, double value) { json_[name] = value; }
    void number(const char* name, uint64_t value) { json_[name] = value; }
    void flag(const char* name, bool value) { json_[name] = value; }
    void numbers(const char* name, const std::vector<double>& values) { json_[name] = values; }
    template <typename Fill>
    void group(const char* name, Fill fill) {
        JsonObject inner(json_[name] = nlohmann::ordered_json::object());
        fill(inner);
    }
    template <typename Item, typename Fill>
    void list(const char* name, const std::vector<Item>& items, Fill fill) {
        nlohmann::ordered_json& array = json_[name] = nlohmann::ordered_json::array();
        for (const Item& item : items) {
            JsonObject inner(array.emplace_back(nlohmann::ordered_json::object()));
            fill(item, inner);
        }
    }

private:
    nlohmann::ordered_json& json_;
};

std::string rate_text(double value) { return format_fixed(value, value < 99.95 ? 1 : 0); }

std::string short_time(double seconds) {
    return seconds < 0.0995 ? format_fixed(seconds * 1e3, 1) + " ms" : format_fixed(seconds, 2) + " s";
}

std::string right(const std::string& text, size_t columns) {
    return std::string(text.size() < columns ? columns - text.size() : 0, ' ') + text;
}

// 79 columns at the most.
std::string table_line(const std::string& name, const std::string& middle, const std::string& range, const std::string& bytes,
                       const std::string& macs, const std::string& share) {
    return name + std::string(name.size() < 19 ? 19 - name.size() : 1, ' ') + right(middle, 8) + right(range, 17) +
           right(bytes, 8) + right(macs, 9) + (share.empty() ? "" : "  " + share) + "\n";
}

std::string table(const BenchReport& report) {
    std::string text = table_line("", "tok/s", "least to most", "GB/s", "GMAC/s", "of the limit");
    const auto line = [&](const std::string& name, const BenchRow& row) {
        text += table_line(name, rate_text(row.median), rate_text(row.least) + " to " + rate_text(row.most),
                           rate_text(row.bytes_per_second / 1e9), rate_text(row.macs_per_second / 1e9),
                           row.bound_tokens_per_second > 0 ? format_fixed(row.share * 100, 0) + "% (" + row.bound + ")" : "");
    };
    for (const BenchRow& row : report.prefill) line("prefill " + right(format_number(row.tokens), 10), row);
    for (const BenchRow& row : report.decode) line("decode after " + right(format_number(row.after), 5), row);
    return text;
}

// Where one line says too much for a terminal, the rest goes under it.
Rows details(LoadedModel& model, const BenchReport& report) {
    Rows rows;
    rows.emplace_back("machine", report.machine.processor + ", " + std::to_string(report.machine.cores) +
                                     (report.machine.cores == 1 ? " core" : " cores") +
                                     ", huge pages: " + report.machine.huge_pages);
    rows.emplace_back("read ceiling", format_fixed(report.read_ceiling / 1e9, 1) + " GB/s (at best " +
                                          format_fixed(report.read_ceiling_most / 1e9, 1) + "), of " +
                                          (report.read_ceiling_of_weights ? "the weights, " : "a buffer of ") +
                                          format_bytes(report.read_ceiling_bytes));
    rows.emplace_back("dot ceiling", rate_text(report.dot_ceiling / 1e9) + " GMAC/s from the cache, " +
                                         rate_text(report.dot_ceiling_one / 1e9) + " with one token at a time");
    rows.emplace_back("weights read", format_bytes(report.plan.weight_bytes_per_token) + " a token, for " +
                                          format_parameters(report.work.layer_macs + report.work.output_macs) +
                                          " multiplications");
    if (report.streamed_per_token > 0) {
        const double bound = report.storage_rate / report.streamed_per_token;
        rows.emplace_back("streamed", format_bytes(static_cast<uint64_t>(report.streamed_per_token)) +
                                          " a token, from storage that gives " + format_fixed(report.storage_rate / 1e9, 2) +
                                          " GB/s");
        rows.emplace_back("", std::string(model.posix().reads_directly() ? "past" : "through") + " the system's cache");
        rows.emplace_back("storage bound", format_fixed(bound, 1) + " tok/s");
    }
    const LoadReport& load = report.load;
    std::string first = short_time(load.cached_seconds);
    if (load.cold_seconds > 0) {
        first = short_time(load.cold_seconds) + " from a cold start, " + first + " from the system's cache";
    }
    rows.emplace_back("first token", first);
    if (load.storage_bytes_per_second > 0) {
        rows.emplace_back("storage", format_fixed(load.storage_bytes_per_second / 1e9, 2) + " GB/s read, which is " +
                                         short_time(static_cast<double>(load.file_bytes) / load.storage_bytes_per_second) +
                                         " for the file of " + format_bytes(load.file_bytes));
    }
    rows.emplace_back(
        "memory", format_bytes(report.plan.total_bytes) + " planned, " + format_bytes(report.peak_bytes) + " at most in all");
    return rows;
}

void write_plot(const BenchReport& report, OutputFile& file) {
    const std::string svg = plot_report(report);
    Error error;
    require(file.write(svg.data(), svg.size(), error), error);
    file.finish();
}

void bench(const BenchChoices& choices) {
    ModelWork work{};
    std::vector<uint32_t> lengths;
    {
        LoadedModel model(choices.model);
        Error error;
        require(read_work(model.platform(), work, error), error);
        lengths = choose_lengths(choices, work.context);
    }
    if (lengths.back() == 0 && choices.decode == 0)
        throw Failure(exit_usage, "--prompt and --decode are both 0: there is nothing to measure.");
    // Before minutes are spent: whether the picture can be written where it is to go.
    std::unique_ptr<OutputFile> picture;
    if (!choices.svg.empty()) {
        refuse_same_file(choices.model.file, choices.svg);
        picture = std::make_unique<OutputFile>(choices.svg);
    }
    const uint32_t context = choices.model.context != 0 ? 0 : lengths.back() + choices.decode;
    BenchReport report;
    report.work = work;
    report.machine = describe_machine();
    if (!choices.no_cold) measure_cold_start(choices.model, context, report.load);

    const auto begin = std::chrono::steady_clock::now();
    LoadedModel model(choices.model);
    const Start start =
        start_model(model, context, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    report.load.cached_seconds = start.first_token_seconds;
    report.load.loading_seconds = start.loading_seconds;
    report.load.file_bytes = model.platform().file_bytes;
    report.model = model.name();
    report.kernels = model.info().kernels;
    report.threads = model.threads();
    report.plan = model.plan();
    Bench bench(model, lengths.back() + choices.decode);
    // Once without measuring: pages, caches, clock speed.
    bench.prefill(lengths.front());
    if (choices.decode != 0) bench.decode(lengths.front(), choices.decode);
    report.peak_bytes = peak_memory();  // before the buffers of the ceilings are there
    report.machine.huge_page_bytes = huge_page_bytes();
    Ceilings ceilings(model, work);
    measure_rounds(model, choices, lengths, ceilings, bench, report);
    report.past_cache = model.posix().reads_directly();
    finish_report(report);

    if (picture != nullptr) write_plot(report, *picture);
    if (choices.json) {
        nlohmann::ordered_json out;
        JsonObject object(out);
        describe_report(report, object);
        print(out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
        return;
    }
    print(report.model + ", " + report.kernels + ", " + std::to_string(report.threads) +
          (report.threads == 1 ? " thread" : " threads") + ", medians of " + std::to_string(report.rounds) +
          (report.rounds == 1 ? " round\n\n" : " rounds\n\n") + table(report) + "\n" + aligned(details(model, report)));
}

}  // namespace

void add_bench(CLI::App& app) {
    auto choices = std::make_shared<BenchChoices>();
    CLI::App& command = *app.add_subcommand("bench", "Measure how fast a model runs on this machine");
    add_model_choices(command, choices->model);
    command
        .add_option("--prompt", choices->prompts,
                    "Lengths of the prompt, in tokens (32,128,512,2048, as far as the context holds them); 0: none")
        ->type_name("N,N,...")
        ->check(CLI::Validator(
            [](std::string& text) {
                parse_lengths(text);
                return std::string();
            },
            "", "lengths"));
    command.add_option("--decode", choices->decode, "Tokens generated one by one after each of them (32)")
        ->type_name("N")
        ->check(whole_number(0, most_tokens));
    command
        .add_option("--repeat", choices->repeat,
                    "Rounds; the medians are shown, and the least and the most (5, or 3 where they take a minute)")
        ->type_name("N")
        ->check(whole_number(1, 1000));
    command.add_option("--svg", choices->svg, "Write a picture of it as well")->type_name("FILE");
    command.add_flag("--no-cold", choices->no_cold,
                     "Leave out the cold start, for which the file is dropped from the system's cache");
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer(
        "The limits are measured in the same rounds with the same threads, right before and after what they bound: of the two\n"
        "the better counts, and of the rounds the median. Memory: a plain loop that reads as many bytes as a token reads of\n"
        "weights, at most 256 MiB. Dots: the kernels' own multiplications with weights that stay in the processor's cache,\n"
        "with one token at a time for decoding and with 64 for prompts. Storage: where weights stream, its best rate over\n"
        "what a token reads from it. The share is of the lowest. tools/bench/README.md explains the names in the JSON.\n"
        "Examples:\n  linnet bench model.linnet --threads 2\n  linnet bench model.linnet --prompt 128 --decode 64 --json\n"
        "  linnet bench model.linnet --svg speed.svg");
    command.callback([choices] { bench(*choices); });
}

}  // namespace linnet
