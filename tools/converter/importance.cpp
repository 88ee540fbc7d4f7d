#include "tools/converter/importance.h"

#include <cmath>

#include "core/session/session.h"

namespace linnet {

// Looks into the workspace between two pieces of a pass, where what the next matrix is multiplied by stands as it was before it is
// quantised. Nothing in the core knows of this.
class ImportanceGatherer {
public:
    explicit ImportanceGatherer(linnet_session& session)
        : session_(session),
          model_(*session.model),
          sums_(matrix_total(model_.header.config.layers)),
          normed_(model_.header.config.hidden) {}

    Status add(const std::vector<int32_t>& tokens, uint64_t done, uint64_t total, Progress* progress, Error& error) {
        rewind(session_, 0);
        Status status = evaluate_begin(session_, tokens.data(), tokens.size(), error);
        linnet_progress piece{};
        while (status == Status::ok && piece.done == 0) {
            // No time at all is one piece of work.
            status = evaluate_continue(session_, 0, piece, error);
            if (status != Status::ok) break;
            if (model_.pass_of == &session_ && model_.pass.item == 0) observe();
            if (progress != nullptr && !progress->update(done + static_cast<uint64_t>(piece.tokens_done), total)) {
                return error.fail(Status::cancelled) << "Stopped.";
            }
        }
        return status;
    }

    Status result(Importance& importance, Error& error) const {
        importance.columns_.clear();
        for (const std::vector<double>& sums : sums_) {
            double mean = 0;
            for (const double sum : sums) mean += sum / static_cast<double>(sums.size());
            if (!std::isfinite(mean)) {
                return error.fail(Status::bad_file)
                       << "The model's numbers are not finite on this text: its weights are damaged.";
            }
            std::vector<float> columns(padded_columns(static_cast<uint32_t>(sums.size())));
            for (size_t i = 0; i < sums.size(); ++i) {
                const float relative = mean > 0 ? static_cast<float>(sums[i] / mean) : 1.0f;
                columns[i] = relative > Importance::least ? relative : Importance::least;
            }
            importance.columns_.push_back(std::move(columns));
        }
        return Status::ok;
    }

private:
    linnet_session& session_;
    linnet_model& model_;
    std::vector<std::vector<double>> sums_;  // by matrix_index(), the output matrix last: [columns]
    std::vector<float> normed_;

    void add_rows(uint32_t matrix, const float* rows, uint32_t count, uint32_t columns) {
        std::vector<double>& sums = sums_[matrix];
        sums.resize(columns);
        for (uint32_t row = 0; row < count; ++row, rows += columns) {
            for (uint32_t i = 0; i < columns; ++i) sums[i] += static_cast<double>(rows[i]) * static_cast<double>(rows[i]);
        }
    }

    void observe() {
        const Pass& pass = model_.pass;
        const Decoder& decoder = model_.decoder;
        const Workspace& work = decoder.work;
        const ModelConfig& config = model_.header.config;
        if (decoder.finished(pass)) {
            for (uint32_t token = 0; token < pass.count; ++token) {
                decoder.kernels->rms_norm(work.x + size_t{token} * config.hidden, decoder.output_norm, config.rms_epsilon,
                                          config.hidden, normed_.data());
                add_rows(matrix_index(config.layers, 0), normed_.data(), 1, config.hidden);
            }
            return;
        }
        const uint32_t left = pass.count - pass.sub;
        const uint32_t count = left < work.batch ? left : work.batch;
        const auto add = [&](uint32_t which, const float* rows, uint32_t columns) {
            add_rows(matrix_index(pass.layer, which), rows, count, columns);
        };
        switch (pass.stage) {
            case Pass::qkv: return add(matrix_qkv, work.normed, config.hidden);
            case Pass::attention_output: return add(matrix_attention_output, work.attention, config.heads * config.head_dim);
            case Pass::gate_up: return add(matrix_gate_up, work.normed, config.hidden);
            case Pass::down: return add(matrix_down, work.inner, config.feed_forward);
            default: return;
        }
    }
};

Status gather_importance(linnet_session& session, const std::vector<std::vector<int32_t>>& windows, Progress* progress,
                         Importance& importance, Error& error) {
    uint64_t total = 0, done = 0;
    for (const std::vector<int32_t>& window : windows) total += window.size();
    ImportanceGatherer gatherer(session);
    for (const std::vector<int32_t>& window : windows) {
        if (Status status = gatherer.add(window, done, total, progress, error); status != Status::ok) return status;
        done += window.size();
    }
    return gatherer.result(importance, error);
}

}  // namespace linnet
