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
    const double reads = row.read_ceilings.empty() ? report.read_ceiling : median_of(row.read_ceilings);
    row.memory_bound = row.bytes_per_token > 0 ? reads / row.bytes_per_token : 0;
    row.dot_bound = row.macs_per_token > 0 ? median_of(row.dot_ceilings) / row.macs_per_token : 0;
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

std::vector<double> all_of(const std::vector<BenchRow>& rows, std::vector<double> BenchRow::* ceilings) {
    std::vector<double> all;
    for (const BenchRow& row : rows) all.insert(all.end(), (row.*ceilings).begin(), (row.*ceilings).end());
    return all;
}

}  // namespace

void finish_report(BenchReport& report) {
    const std::vector<double> reads = all_of(report.decode, &BenchRow::read_ceilings);
    report.read_ceiling = median_of(reads);
    report.read_ceiling_most = reads.empty() ? 0 : *std::max_element(reads.begin(), reads.end());
    report.dot_ceiling = median_of(all_of(report.prefill, &BenchRow::dot_ceilings));
    report.dot_ceiling_one = median_of(all_of(report.decode, &BenchRow::dot_ceilings));
    for (BenchRow& row : report.prefill) finish(row, report, true);
    for (BenchRow& row : report.decode) finish(row, report, false);
}

}  // namespace linnet
