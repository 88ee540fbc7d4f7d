// What an error in each column of a matrix costs, found out from a text.
//
// A row of y = W x has an error of sum e_j x_j where its weights have errors e_j. Over many x, and as far as the x_j do not go
// together, its mean square is sum e_j^2 E[x_j^2]: so the errors are weighed by the mean square of the activation that the column
// meets. The model itself tells those activations, while it reads a text.
#pragma once

#include <cstdint>
#include <vector>

#include "core/linnet.h"
#include "core/model/format.h"
#include "core/stream/pieces.h"
#include "tools/converter/bytes_io.h"

namespace linnet {

class Importance {
public:
    // Of a matrix's columns, float[padded_columns(columns)], with a mean of one over the real ones and zeros behind them; never
    // less than `least`. Null for what is no matrix that activations are multiplied by (norms, the embedding). The layer of the
    // output matrix is 0.
    const float* of(TensorRole role, uint32_t layer) const {
        if (columns_.empty()) return nullptr;
        switch (role) {
            case TensorRole::qkv: return columns_[matrix_index(layer, matrix_qkv)].data();
            case TensorRole::attention_output: return columns_[matrix_index(layer, matrix_attention_output)].data();
            case TensorRole::gate_up: return columns_[matrix_index(layer, matrix_gate_up)].data();
            case TensorRole::down: return columns_[matrix_index(layer, matrix_down)].data();
            case TensorRole::output: return columns_.back().data();
            default: return nullptr;
        }
    }

    // A column that the text never reached may matter to another text.
    static constexpr float least = 1e-4f;

private:
    friend class ImportanceGatherer;
    std::vector<std::vector<float>> columns_;  // by matrix_index() of core/stream/pieces.h, the output matrix last
};

// Evaluates each window of tokens from an empty context of `session`, which nobody else uses meanwhile, and weighs the columns of
// every matrix by what came to them. `progress` is told the tokens done; null: nobody. The sums are of doubles, in the order of the
// tokens: the result does not depend on kernels, threads, batches and the memory plan. Memory: 12 bytes a column, all matrices.
Status gather_importance(linnet_session& session, const std::vector<std::vector<int32_t>>& windows, Progress* progress,
                         Importance& importance, Error& error);

}  // namespace linnet
