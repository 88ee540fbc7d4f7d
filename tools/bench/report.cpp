#include "tools/bench/report.h"

#include <algorithm>

namespace linnet {

double median_of(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

namespace {

// Keys and values that one more token reads with so many before it.
double kv_bytes(const BenchReport& report, double positions) {
    const auto held = [&](double tokens) {
        const double window = report.work.window_keys;
        return window > 0 && window < tokens ? window : tokens;
    };
    const double whole = held(report.plan.context);
    return whole > 0 ? static_cast<double>(report.plan.kv_bytes_per_token) * held(positions) / whole : 0;
}

void finish(BenchRow& row, const BenchReport& report, bool prompt) {
    row.median = median_of(row.rates);
    if (!row.rates.empty()) {
        row.least = *std::min_element(row.rates.begin(), row.rates.end());
        row.most = *std::max_element(row.rates.begin(), row.rates.end());
    }
    const double tokens = row.tokens;
    const double weights = static_cast<double>(report.plan.weight_bytes_per_token);
    const double layers = static_cast<double>(report.work.layer_macs);
    const double output = static_cast<double>(report.work.output_macs);
    // A prompt reads the weights once at the least, and its keys and values from caches; logits are its last token's alone.
    row.bytes_per_token = prompt ? weights / tokens : weights + kv_bytes(report, row.after + tokens / 2);
    row.macs_per_token = prompt ? layers + output / tokens : layers + output;
    row.bytes_per_second = row.median * row.bytes_per_token;
    row.macs_per_second = row.median * row.macs_per_token;
    const double dots = prompt ? report.dot_ceiling : report.dot_ceiling_one;
    row.memory_bound = row.bytes_per_token > 0 ? report.read_ceiling / row.bytes_per_token : 0;
    row.dot_bound = row.macs_per_token > 0 ? dots / row.macs_per_token : 0;
    if (!prompt && report.streamed_per_token > 0) row.storage_bound = report.storage_rate / report.streamed_per_token;
    const struct {
        const char* name;
        double rate;
    } bounds[] = {{"memory", row.memory_bound}, {"dots", row.dot_bound}, {"storage", row.storage_bound}};
    for (const auto& one : bounds) {
        if (one.rate <= 0 || (row.bound_tokens_per_second > 0 && one.rate >= row.bound_tokens_per_second)) continue;
        row.bound = one.name;
        row.bound_tokens_per_second = one.rate;
    }
    row.share = row.bound_tokens_per_second > 0 ? row.median / row.bound_tokens_per_second : 0;
}

}  // namespace

void finish_report(BenchReport& report) {
    for (BenchRow& row : report.prefill) finish(row, report, true);
    for (BenchRow& row : report.decode) finish(row, report, false);
}

}  // namespace linnet
