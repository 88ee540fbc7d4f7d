#include "wasm/bindings/bench.h"

#include <cstdlib>

#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

namespace {

class ValueObject {
public:
    explicit ValueObject(val object) : object_(std::move(object)) {}
    void text(const char* name, const std::string& value) { object_.set(name, value); }
    void number(const char* name, double value) { object_.set(name, value); }
    void number(const char* name, uint64_t value) { object_.set(name, static_cast<double>(value)); }
    void flag(const char* name, bool value) { object_.set(name, value); }
    void numbers(const char* name, const std::vector<double>& values) { object_.set(name, val::array(values)); }
    template <typename Fill>
    void group(const char* name, Fill fill) {
        ValueObject inner(val::object());
        fill(inner);
        object_.set(name, inner.object_);
    }
    template <typename Item, typename Fill>
    void list(const char* name, const std::vector<Item>& items, Fill fill) {
        val array = val::array();
        for (size_t i = 0; i < items.size(); ++i) {
            ValueObject inner(val::object());
            fill(items[i], inner);
            array.set(i, inner.object_);
        }
        object_.set(name, array);
    }

private:
    val object_;
};

std::vector<BenchRow> rows_of(const val& from) {
    std::vector<BenchRow> rows(from["length"].as<uint32_t>());
    for (size_t i = 0; i < rows.size(); ++i) {
        rows[i].after = from[i]["after"].as<uint32_t>();
        rows[i].tokens = from[i]["tokens"].as<uint32_t>();
        rows[i].rates = emscripten::convertJSArrayToNumberVector<double>(from[i]["rates"]);
        rows[i].read_ceilings = emscripten::convertJSArrayToNumberVector<double>(from[i]["readCeilings"]);
        rows[i].dot_ceilings = emscripten::convertJSArrayToNumberVector<double>(from[i]["dotCeilings"]);
    }
    return rows;
}

}  // namespace

Bench::~Bench() {
    free(read_memory_);
    free(dot_memory_);
}

val Bench::open(Model& model) {
    if (model_ != nullptr || !model.is_open()) return refusal(LINNET_BAD_ARGUMENT, "No model is open.");
    Error error;
    if (const Status status = read_work(model.platform(), report_.work, error); status != Status::ok) {
        return refusal(static_cast<linnet_status>(status), error.text());
    }
    linnet_info info{};
    linnet_get_info(model.handle(), &info);
    const KernelTable* table = select_kernels(info.kernels);
    report_.plan = model.plan();
    const size_t dot_bytes = DotCeiling::bytes_for(report_.work, model.threads());
    if (!read_.use(*model.handle())) {
        const size_t read_bytes = ReadCeiling::bytes_for(report_.plan.weight_bytes_per_token);
        read_memory_ = aligned_alloc(64, read_bytes);
        if (read_memory_ != nullptr) read_.create(read_memory_, read_bytes);
    }
    dot_memory_ = aligned_alloc(64, (dot_bytes + 63) / 64 * 64);
    if (table == nullptr || read_.bytes() == 0 || dot_memory_ == nullptr) {
        return refusal(LINNET_DOES_NOT_FIT,
                       "This browser gives a tab less memory than measuring the ceilings needs beside this model. Close "
                       "other tabs, or take a smaller model.");
    }
    dot_.create(*table, report_.work, model.threads(), dot_memory_);
    report_.read_ceiling_bytes = read_.bytes();
    report_.read_ceiling_of_weights = read_.of_weights();
    report_.model.assign(info.name, info.name_bytes);
    report_.kernels = info.kernels;
    report_.threads = model.threads();
    model_ = &model;
    return refusal(LINNET_OK, "");
}

double Bench::read_rate() { return model_ == nullptr ? 0 : read_.measure(model_->platform(), 1); }

double Bench::dot_rate(uint32_t tokens) {
    return model_ == nullptr ? 0 : dot_.measure(model_->platform(), tokens <= 1 ? 1 : DotCeiling::many_tokens, 2);
}

val Bench::report(val measured) {
    BenchReport report = report_;
    report.model = measured["model"].as<std::string>();
    report.rounds = measured["rounds"].as<uint32_t>();
    report.prefill = rows_of(measured["prefill"]);
    report.decode = rows_of(measured["decode"]);
    const val machine = measured["machine"];
    report.machine.place = "browser";
    report.machine.processor = machine["processor"].as<std::string>();
    report.machine.cores = machine["cores"].as<uint32_t>();
    report.machine.huge_pages = "unknown";
    const val load = measured["load"];
    report.load.cold_seconds = load["cold"].as<double>();
    report.load.cached_seconds = load["cached"].as<double>();
    report.load.loading_seconds = load["loading"].as<double>();
    report.load.storage_bytes_per_second = load["storage"].as<double>();
    report.load.file_bytes = static_cast<uint64_t>(load["bytes"].as<double>());
    report.streamed_per_token = measured["streamed"].as<double>();
    report.storage_rate = report.streamed_per_token > 0 ? report.load.storage_bytes_per_second : 0;
    report.peak_bytes = static_cast<uint64_t>(measured["peak"].as<double>());
    finish_report(report);
    val object = val::object();
    ValueObject out(object);
    describe_report(report, out);
    val result = val::object();
    result.set("report", object);
    result.set("plot", plot_report(report));
    return result;
}

}  // namespace linnet
