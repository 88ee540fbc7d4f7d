// What a benchmark found, in the terminal and in the browser: the same figures under the same names. README.md of this folder is
// the list of the names for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "tools/bench/ceilings.h"

namespace linnet {

// Tokens a second at one length. 0 is "not known" or "does not bound" in every field that is a rate.
struct BenchRow {
    uint32_t after = 0;         // tokens that stood in the context before the first of these
    uint32_t tokens = 0;        // that were evaluated: in one call (prefill), one by one (decode)
    std::vector<double> rates;  // tokens a second of each round
    // What the machine gave around each round: the better of right before and right after, bytes and multiplications a second.
    // Of a prompt the dots alone.
    std::vector<double> read_ceilings;
    std::vector<double> dot_ceilings;

    // Made by finish_report():
    double median = 0, least = 0, most = 0;
    double bytes_per_token = 0;   // of weights, keys and values that a token reads; a prompt reads the weights once
    double macs_per_token = 0;    // with weights
    double bytes_per_second = 0;  // at the median
    double macs_per_second = 0;
    double memory_bound = 0;       // tokens a second that the median of the read ceilings allows
    double dot_bound = 0;          // that of the dot ceilings
    double storage_bound = 0;      // where weights stream: tokens a second that the storage allows
    const char* bound = "memory";  // the smallest of them: "memory", "dots", "storage"
    double bound_tokens_per_second = 0;
    double share = 0;  // of the smallest
};

// From nothing to the first token's logits: the file is opened, planned, loaded and evaluated.
struct LoadReport {
    double cold_seconds = 0;              // the file's bytes not in the system's cache; 0: not measured
    double cached_seconds = 0;            // in it
    double loading_seconds = 0;           // of that, reading and checking the weights
    double storage_bytes_per_second = 0;  // reading the file from end to end, past or without the cache
    uint64_t file_bytes = 0;
};

struct MachineReport {
    std::string place;             // "native" or "browser"
    std::string processor;         // its name, or the browser's; may be empty
    uint32_t cores = 0;            // that this process may use
    std::string huge_pages;        // "always", "madvise", "never", or "unknown"
    uint64_t huge_page_bytes = 0;  // of this process's memory that stand in them
};

struct BenchReport {
    std::string model;
    std::string kernels;
    uint32_t threads = 1;
    uint32_t rounds = 0;
    MachineReport machine;
    ModelWork work{};
    linnet_plan plan{};
    std::vector<BenchRow> prefill;
    std::vector<BenchRow> decode;

    uint64_t read_ceiling_bytes = 0;       // read for it from end to end:
    bool read_ceiling_of_weights = false;  // the model's own weights, or a buffer
    // Made by finish_report(), medians of what stands in the rows: a machine that is shared gives twice as much in one minute as
    // in the next, and what it once gave says little of what it gave meanwhile.
    double read_ceiling = 0;       // bytes a second
    double read_ceiling_most = 0;  // the best of all
    double dot_ceiling = 0;        // multiplications a second, many tokens together
    double dot_ceiling_one = 0;    // one token

    double streamed_per_token = 0;  // bytes that a decoded token read from storage
    double storage_rate = 0;        // bytes a second in which the core's own reads came, where weights stream
    bool past_cache = false;        // those reads went past the system's cache
    LoadReport load;
    uint64_t peak_bytes = 0;  // of the process (native), of WebAssembly's memory (browser)
};

// Medians, bounds and shares of all rows.
void finish_report(BenchReport& report);

double median_of(std::vector<double> values);

// Every name and value of the report in order, to `out`, which has
//     text(name, const std::string&), number(name, double or uint64_t), flag(name, bool), numbers(name, std::vector<double>),
//     group(name, void (auto& inner)), list(name, rows, void (row, auto& inner)).
// The one list of names: the command's JSON and the package's object are both made by it.
template <typename Out>
void describe_report(const BenchReport& report, Out& out) {
    const auto row_of = [](const BenchRow& row, auto& inner) {
        inner.number("after", uint64_t{row.after});
        inner.number("tokens", uint64_t{row.tokens});
        inner.number("tokens_per_second", row.median);
        inner.number("least", row.least);
        inner.number("most", row.most);
        inner.numbers("rounds", row.rates);
        inner.numbers("read_ceilings", row.read_ceilings);
        inner.numbers("dot_ceilings", row.dot_ceilings);
        inner.number("bytes_per_token", row.bytes_per_token);
        inner.number("bytes_per_second", row.bytes_per_second);
        inner.number("macs_per_token", row.macs_per_token);
        inner.number("macs_per_second", row.macs_per_second);
        inner.number("memory_bound_tokens_per_second", row.memory_bound);
        inner.number("dot_bound_tokens_per_second", row.dot_bound);
        inner.number("storage_bound_tokens_per_second", row.storage_bound);
        inner.text("bound", row.bound);
        inner.number("share_of_bound", row.share);
    };
    // The figures for one number: those of the longest context that was measured.
    const BenchRow none;
    const BenchRow& prefill = report.prefill.empty() ? none : report.prefill.back();
    const BenchRow& decode = report.decode.empty() ? none : report.decode.back();
    const double weights_rate = decode.median * static_cast<double>(report.plan.weight_bytes_per_token);
    out.text("model", report.model);
    out.group("machine", [&](auto& inner) {
        inner.text("place", report.machine.place);
        inner.text("processor", report.machine.processor);
        inner.number("cores", uint64_t{report.machine.cores});
        inner.text("huge_pages", report.machine.huge_pages);
        inner.number("huge_page_bytes", report.machine.huge_page_bytes);
    });
    out.number("threads", uint64_t{report.threads});
    out.text("kernels", report.kernels);
    out.number("rounds", uint64_t{report.rounds});
    out.list("prefill", report.prefill, row_of);
    out.list("decode", report.decode, row_of);
    out.number("prefill_tokens_per_second", prefill.median);
    out.number("decode_tokens_per_second", decode.median);
    out.number("read_ceiling_bytes_per_second", report.read_ceiling);
    out.number("read_ceiling_most_bytes_per_second", report.read_ceiling_most);
    out.text("read_ceiling_of", report.read_ceiling_of_weights ? "weights" : "buffer");
    out.number("read_ceiling_bytes", report.read_ceiling_bytes);
    out.number("dot_ceiling_macs_per_second", report.dot_ceiling);
    out.number("dot_ceiling_one_token_macs_per_second", report.dot_ceiling_one);
    out.number("weight_bytes_per_token", report.plan.weight_bytes_per_token);
    out.number("weight_bytes_per_second", weights_rate);
    out.number("share_of_read_ceiling", report.read_ceiling > 0 ? weights_rate / report.read_ceiling : 0.0);
    out.number("streamed_bytes_per_token", report.streamed_per_token);
    out.number("storage_bytes_per_second", report.storage_rate);
    out.flag("past_cache", report.past_cache);
    out.number("storage_bound_tokens_per_second", decode.storage_bound);
    out.number("share_of_storage_bound", decode.storage_bound > 0 ? decode.median / decode.storage_bound : 0.0);
    out.group("load", [&](auto& inner) {
        inner.number("cold_first_token_seconds", report.load.cold_seconds);
        inner.number("cached_first_token_seconds", report.load.cached_seconds);
        inner.number("file_bytes", report.load.file_bytes);
        inner.number("storage_bytes_per_second", report.load.storage_bytes_per_second);
    });
    out.number("load_seconds", report.load.loading_seconds);
    out.number("arena_bytes", report.plan.total_bytes);
    out.number("peak_bytes", report.peak_bytes);
}

// An SVG picture of it: prefill above, decode below, each with both ceilings. Complete in itself (no script, no link, no font),
// for light and dark surroundings, with a title and a description for those who do not see it.
std::string plot_report(const BenchReport& report);

}  // namespace linnet
