// The decoder: one graph for phi-3 and the Llama shape.
//
//     x = embedding[token]
//     for each layer:  x += output(attention(rope(qkv(rms_norm(x)))));  x += down(swiglu(gate_up(rms_norm(x))))
//     logits = output(rms_norm(x))
//
// A pass computes a batch of tokens of one session. Every token's numbers are computed by the same operations in the same order
// whatever the batch, the threads and the kernels, so the bits do not depend on them.
#pragma once

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/kernels/kernels.h"
#include "core/model/reader.h"
#include "core/ops/rope.h"
#include "core/session/kv_cache.h"
#include "platform/platform.h"

namespace linnet {

// Rows of the embedding, read from storage (or in place) when they are asked for: the matrix is never resident.
struct Embedding {
    TensorFormat format;
    uint32_t group;
    uint32_t columns;
    uint64_t file_offset;      // of row 0 in the model file; f32_rows, int8_rows
    const PackedMatrix* tied;  // or the output matrix
};

// Working memory of one pass, taken from the arena once.
struct Workspace {
    uint32_t batch = 0;
    uint32_t tasks = 0;          // most tasks a parallel step is cut into
    float* x = nullptr;          // [batch][hidden]
    float* normed = nullptr;     // [batch][hidden], f32 matrices only read this
    float* qkv = nullptr;        // [batch][(heads + 2 kv_heads) head_dim]
    float* attention = nullptr;  // [batch][heads head_dim]
    float* gate_up = nullptr;    // [batch][2 feed_forward]
    float* inner = nullptr;      // [batch][feed_forward]
    float* delta = nullptr;      // [batch][hidden]
    int8_t* values = nullptr;    // quantised activations, [batch][widest padded]
    float* scales = nullptr;
    int32_t* sums = nullptr;
    float* cosine = nullptr;  // [batch][rotary_dims/2]
    float* sine = nullptr;
    float* scores = nullptr;   // [tasks][score_stride]
    int16_t* query = nullptr;  // [tasks][head_dim]
    uint8_t* row = nullptr;    // one embedding row as it is stored
    uint32_t score_stride = 0;
    // Logits of several tokens at once, where no layer is computed: [row_count][vocabulary]
    float* rows = nullptr;
    uint32_t row_count = 0;

    void create(const ModelConfig& config, const ModelLayout& layout, uint32_t batch_tokens, uint32_t kv_slots,
                uint32_t threads, Arena& arena);
    uint64_t row_bytes = 0;
};

// A batch of tokens on its way through the layers. It can be left after any piece of the work and gone on with later, as long as
// the workspace has not been used for another one meanwhile.
struct Pass {
    const int32_t* tokens = nullptr;
    uint32_t first = 0;  // position of tokens[0]
    uint32_t count = 0;
    bool use_long = false;
    uint32_t layer = 0;  // where it is: layers [0, layer) are done, of this one `stage` stages, of that one `item` items
    uint32_t stage = 0;
    uint32_t item = 0;
};

class Decoder {
public:
    static constexpr uint64_t no_limit = UINT64_MAX;

    const ModelConfig* config = nullptr;
    const linnet_platform* platform = nullptr;
    const KernelTable* kernels = nullptr;
    const LayerWeights* layers = nullptr;
    const float* output_norm = nullptr;
    PackedMatrix output{};
    Embedding embedding{};
    RopeFrequencies rope;
    Workspace work;
    uint64_t bytes_read = 0;

    // Takes `pass` a piece further: one stage of a layer, or the part of it that is about `most` multiply-adds. It has `count`
    // (1..batch) tokens at positions first.. of a session whose cache holds all positions before `first` that they see. Fills
    // the cache and leaves each token's last hidden state in the workspace.
    Status advance(Pass& pass, KvCache& cache, uint64_t most, Error& error);
    bool finished(const Pass& pass) const { return pass.layer == config->layers; }
    // 0..1: how much of it is done.
    float share_done(const Pass& pass) const;

    // Logits of the `index`-th token of a finished pass, float[vocabulary].
    void logits(uint32_t index, float* out);
    // The same in pieces, of `count` tokens from the `first`-th on: true when all are there. `pass.item` counts; one set of rows
    // at a time.
    bool logits_piece(Pass& pass, uint32_t first, uint32_t count, float* out, uint64_t most);

private:
    struct Step;
    Status embed(const int32_t* tokens, uint32_t count, Error& error);
    void run(void (*task)(void*, uint32_t), Step& step, uint32_t pieces);
    bool multiply(const PackedMatrix& matrix, const float* x, size_t x_stride, uint32_t count, float* y, size_t y_stride,
                  uint32_t& item, uint64_t most);
    void norm(const float* x, uint32_t count, const float* weight, bool quantise, uint32_t pieces);
    bool attend(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most);
    bool stage(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most);

    static void norm_task(void* step, uint32_t index);
    static void quantize_task(void* step, uint32_t index);
    static void multiply_task(void* step, uint32_t index);
    static void cache_task(void* step, uint32_t index);
    static void attention_task(void* step, uint32_t index);
    static void swiglu_task(void* step, uint32_t index);
};

}  // namespace linnet
