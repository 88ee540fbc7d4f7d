// linnet bench: how fast a model runs here, beside how fast this machine can read at all.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/linnet/command.h"
#include "tools/linnet/generation.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/loaded_model.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct BenchChoices {
    ModelChoices model;
    uint32_t prompt = 128;
    uint32_t decode = 64;
    uint32_t repeat = 5;
    bool json = false;
};

// Weights below this size may come from the processor's caches, and not from memory.
constexpr uint64_t cached = 64'000'000;

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double best(const std::vector<double>& values) { return values.empty() ? 0 : *std::max_element(values.begin(), values.end()); }

// Reads a buffer from end to end with all threads: the ceiling of every decoder whose weights do not fit the caches.
class ReadCeiling {
public:
    bool create() {
        // Far larger than any cache, and modest beside a small machine's memory.
        if (!memory_.allocate(size_t{256} << 20)) return false;
        // Every page is made, or the system's one page of zeros would be read from the cache.
        auto* words = static_cast<uint64_t*>(memory_.data());
        for (size_t i = 0; i < memory_.size() / 8; i += 64) words[i] = i;
        return true;
    }
    // Bytes a second.
    double measure(const linnet_platform& platform) {
        pieces_ = std::max(1u, platform.threads) * 8;
        const uint64_t start = platform.ticks(platform.context);
        platform.parallel(
            platform.context, [](void* self, uint32_t index) { static_cast<ReadCeiling*>(self)->read(index); }, this, pieces_);
        const uint64_t microseconds = platform.ticks(platform.context) - start;
        return microseconds == 0 ? 0 : static_cast<double>(memory_.size()) * 1e6 / static_cast<double>(microseconds);
    }

private:
    void read(uint32_t index) {
        const size_t words = memory_.size() / 8 / pieces_ / 32 * 32;
        const uint64_t* at = static_cast<const uint64_t*>(memory_.data()) + words * index;
        uint64_t sums[32] = {};
        for (size_t i = 0; i < words; i += 32) {
            for (size_t k = 0; k < 32; ++k) sums[k] += at[i + k];
        }
        uint64_t sum = 0;
        for (const uint64_t one : sums) sum += one;
        // A use that the compiler cannot see through.
        asm volatile("" : : "r"(sum));
    }

    ArenaMemory memory_;
    uint32_t pieces_ = 1;
};

class Bench {
public:
    Bench(LoadedModel& model, const BenchChoices& choices) : model_(model), choices_(choices) {
        // Random tokens: a real text would do the same work.
        uint64_t state = 1;
        for (uint32_t i = 0; i < choices.prompt + choices.decode; ++i) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            tokens_.push_back(static_cast<int32_t>((state >> 33) % model.info().vocabulary));
        }
    }

    // Tokens a second.
    double prefill() {
        linnet_error error;
        require(linnet_rewind(model_.session(), 0, &error), error);
        return choices_.prompt == 0 ? 0 : timed(tokens_.data(), choices_.prompt, choices_.prompt);
    }
    double decode() {
        const uint64_t before = from_storage();
        const double rate = choices_.decode == 0 ? 0 : timed(tokens_.data() + choices_.prompt, choices_.decode, 1);
        streamed_ = from_storage() - before;
        return rate;
    }
    // Bytes that each token of the last decode() read from storage: weights, keys and values.
    double streamed_per_token() const {
        return choices_.decode == 0 ? 0 : static_cast<double>(streamed_) / static_cast<double>(choices_.decode);
    }

private:
    uint64_t from_storage() {
        linnet_stats stats;
        linnet_get_stats(model_.session(), &stats);
        return stats.bytes_streamed + stats.scratch_bytes_read;
    }
    double timed(const int32_t* tokens, uint32_t count, uint32_t at_a_time) {
        const linnet_platform& platform = model_.platform();
        const StopOnInterrupt stop(model_.posix());
        linnet_error error;
        const uint64_t start = platform.ticks(platform.context);
        for (uint32_t i = 0; i < count; i += at_a_time) {
            const linnet_status status = linnet_evaluate(model_.session(), tokens + i, at_a_time, &error);
            if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
            model_.require_platform(status, error);
        }
        return tokens_per_second(count, platform.ticks(platform.context) - start);
    }

    LoadedModel& model_;
    const BenchChoices& choices_;
    std::vector<int32_t> tokens_;
    uint64_t streamed_ = 0;
};

std::string rate(const std::vector<double>& values) {
    const auto digits = [](double value) { return value < 99.95 ? 1 : 0; };
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const double middle = median(values);
    return format_fixed(middle, digits(middle)) + " tok/s   (" + format_fixed(*least, digits(*least)) + " to " +
           format_fixed(*most, digits(*most)) + ")";
}

void bench(const BenchChoices& choices) {
    if (choices.prompt == 0 && choices.decode == 0)
        throw Failure(exit_usage, "--prompt and --decode are both 0: there is nothing to measure.");
    LoadedModel model(choices.model);
    if (choices.model.context == 0) model.set_context(choices.prompt + choices.decode);
    model.load();
    Bench bench(model, choices);
    bench.prefill();  // once without measuring: pages, caches, clock speed
    bench.decode();
    const uint64_t peak = peak_memory();  // before the buffer of the ceiling is there
    ReadCeiling ceiling;
    const bool has_ceiling = ceiling.create();

    std::vector<double> prefill;
    std::vector<double> decode;
    std::vector<double> read;
    std::vector<double> storage;
    ProgressLine line("measuring", choices.model.progress);
    for (uint32_t i = 0; i < choices.repeat; ++i) {
        prefill.push_back(bench.prefill());
        decode.push_back(bench.decode());
        if (has_ceiling) read.push_back(ceiling.measure(model.platform()));
        linnet_settle(model.model());
        if (bench.streamed_per_token() > 0) storage.push_back(measure_rates(model).read_bytes_per_second);
    }
    const uint64_t bytes = model.plan().weight_bytes_per_token;
    const double decode_rate = median(decode);
    const double weights_rate = decode_rate * static_cast<double>(bytes);
    // A ceiling is what the machine has been seen to do: the best of the rounds, for the others have shared it.
    const double read_rate = best(read);
    const double share = read_rate > 0 ? weights_rate / read_rate : 0;
    const double streamed = bench.streamed_per_token();
    const double storage_rate = best(storage);
    const double bound = streamed > 0 ? storage_rate / streamed : 0;
    const double bound_share = bound > 0 ? decode_rate / bound : 0;
    if (choices.json) {
        const nlohmann::ordered_json out = {
            {"model", model.name()},
            {"threads", model.threads()},
            {"kernels", model.info().kernels},
            {"prompt", choices.prompt},
            {"decode", choices.decode},
            {"repeat", choices.repeat},
            {"prefill_tokens_per_second", median(prefill)},
            {"decode_tokens_per_second", decode_rate},
            {"prefill_all", prefill},
            {"decode_all", decode},
            {"weight_bytes_per_token", bytes},
            {"weight_bytes_per_second", weights_rate},
            {"read_ceiling_bytes_per_second", read_rate},
            {"share_of_read_ceiling", share},
            {"streamed_bytes_per_token", streamed},
            {"storage_bytes_per_second", storage_rate},
            {"past_cache", model.posix().reads_directly()},
            {"storage_bound_tokens_per_second", bound},
            {"share_of_storage_bound", bound_share},
            {"arena_bytes", model.plan().total_bytes},
            {"peak_bytes", peak},
            {"load_seconds", model.load_seconds()},
        };
        print(out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
        return;
    }
    Rows rows = {{"kernels", std::string(model.info().kernels) + ", " + std::to_string(model.threads()) +
                                 (model.threads() == 1 ? " thread" : " threads")}};
    if (choices.prompt != 0) rows.emplace_back("prefill " + std::to_string(choices.prompt), rate(prefill));
    if (choices.decode != 0) {
        rows.emplace_back("decode " + std::to_string(choices.decode), rate(decode));
        rows.emplace_back("weights read", format_bytes(bytes) + " a token, " + format_fixed(weights_rate / 1e9, 1) + " GB/s");
        if (has_ceiling) {
            rows.emplace_back("read ceiling", format_fixed(read_rate / 1e9, 1) + " GB/s measured here; " +
                                                  (bytes < cached ? "these weights fit the caches"
                                                                  : format_fixed(share * 100, 0) + "% of it is used"));
        }
        if (streamed > 0) {
            rows.emplace_back("streamed", format_bytes(static_cast<uint64_t>(streamed)) + " a token, from storage that gives " +
                                              format_fixed(storage_rate / 1e9, 2) + " GB/s " +
                                              (model.posix().reads_directly() ? "past" : "through") + " the system's cache");
            rows.emplace_back("storage bound",
                              format_fixed(bound, 1) + " tok/s; " + format_fixed(bound_share * 100, 0) + "% of it is reached");
        }
    }
    rows.emplace_back("memory", format_bytes(model.plan().total_bytes) + " planned, " + format_bytes(peak) + " at most in all");
    rows.emplace_back("loading", format_seconds(model.load_seconds()));
    print(model.name() + ", medians of " + std::to_string(choices.repeat) +
          (choices.repeat == 1 ? " round\n\n" : " rounds\n\n") + aligned(rows));
}

}  // namespace

void add_bench(CLI::App& app) {
    auto choices = std::make_shared<BenchChoices>();
    CLI::App& command = *app.add_subcommand("bench", "Measure how fast a model runs on this machine");
    add_model_choices(command, choices->model);
    command.add_option("--prompt", choices->prompt, "Tokens of the prompt (128)")
        ->type_name("N")
        ->check(whole_number(0, 1u << 20));
    command.add_option("--decode", choices->decode, "Tokens generated one by one after it (64)")
        ->type_name("N")
        ->check(whole_number(0, 1u << 20));
    command.add_option("--repeat", choices->repeat, "Rounds; the medians are shown, and the least and the most (5)")
        ->type_name("N")
        ->check(whole_number(1, 1000));
    command.add_flag("--json", choices->json, "Print one JSON object");
    command.footer(
        "The read ceiling is a plain loop over 256 MiB with the same threads, in the same rounds, the best of them: a\n"
        "model larger than the caches cannot decode faster than that allows. Where weights stream, the storage is measured in\n"
        "the same rounds as well: what a token reads from it, over its best rate, is the other bound.\n"
        "Example:\n  linnet bench model.linnet --threads 2");
    command.callback([choices] { bench(*choices); });
}

}  // namespace linnet
