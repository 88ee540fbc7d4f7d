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
#include "core/stream/residency.h"
#include "platform/platform.h"

namespace linnet {

// Rows of the embedding, read from storage (or in place) when they are asked for: the matrix is never resident.
struct Embedding {
    TensorFormat format;
    uint32_t group;
    uint32_t columns;
    uint64_t row_bytes;        // of a row, or of a block of the output matrix
    const PackedMatrix* tied;  // the output matrix where it serves; its data is null where it is streamed
    RowGroups groups;          // of rows, or of blocks of the output matrix; what is read at a time
};

// The address of one token's quantised activations: values[padded], scales and sums[padded / block_columns].
struct QuantisedRow {
    int8_t* values = nullptr;
    float* scales = nullptr;
    int32_t* sums = nullptr;
};

// Working memory of one pass, taken from the arena once.
struct Workspace {
    uint32_t batch = 0;
    uint32_t span = 0;           // tokens of a pass: a multiple of the batch
    uint32_t threads = 1;        // that there are
    uint32_t tasks = 0;          // most tasks a parallel step is cut into
    float* x = nullptr;          // [span][hidden]
    float* normed = nullptr;     // [batch][hidden], f32 matrices only read this
    float* qkv = nullptr;        // [batch][(heads + 2 kv_heads) head_dim]
    float* attention = nullptr;  // [batch][heads head_dim]
    float* gate_up = nullptr;    // [batch][2 feed_forward]
    float* inner = nullptr;      // [batch][feed_forward]
    float* delta = nullptr;      // [batch][hidden]
    int8_t* values = nullptr;    // quantised activations, [batch][widest padded]
    float* scales = nullptr;
    int32_t* sums = nullptr;
    QuantisedRow apart;       // of one more token, to be written while those above are read
    float* cosine = nullptr;  // [batch][rotary_dims/2]
    float* sine = nullptr;
    float* scores = nullptr;   // [score_rows][score_stride], at least a row for each query of each task
    int16_t* query = nullptr;  // [tasks][queries of a task][head_dim]
    uint8_t* row = nullptr;    // a group of rows of the embedding as they are stored
    uint32_t score_stride = 0;
    uint32_t score_rows = 0;
    // Logits of several tokens at once, where no layer is computed: [row_count][vocabulary]
    float* rows = nullptr;
    uint32_t row_count = 0;

    // `pooled`: weights and KV caches share a pool of pages, and attention may go page by page. `queries`: that a task's
    // attention works on at a time. `row_bytes`: of a group of rows.
    void create(const ModelConfig& config, uint32_t batch_tokens, uint32_t span_tokens, bool pooled, uint32_t kv_slots,
                uint32_t thread_count, uint32_t queries, uint64_t row_bytes, Arena& arena);

    // Into how many a step is cut that is worth so many: more than threads only as a multiple of them, since equal threads are
    // done with equal pieces at the same time.
    uint32_t pieces(uint64_t worth) const;
};

// Tokens on their way through the layers: one batch, or several that go through each layer one after the other, so that one
// reading of the weights serves them all. It can be left after any piece of the work and gone on with later, as long as the
// workspace has not been used for another one meanwhile.
struct Pass {
    // What a layer does, one after the other.
    enum Stage : uint32_t {
        attention_norm,
        qkv,
        to_cache,
        attention,
        attention_output,
        feed_forward_norm,
        gate_up,
        swiglu,
        down,
        stage_count
    };

    const int32_t* tokens = nullptr;
    uint32_t first = 0;  // position of tokens[0]
    uint32_t count = 0;
    bool use_long = false;
    uint32_t layer = 0;    // where it is: layers [0, layer) are done for all tokens,
    uint32_t sub = 0;      // this one for tokens [0, sub),
    uint32_t stage = 0;    // of this one `stage` stages (the first of Stage) for the batch that begins there,
    uint32_t item = 0;     // of that one `item` items
    bool by_page = false;  // attention goes page by page: not all of a layer's keys and values find a place together
    bool apart = false;    // SwiGLU's output is in Workspace::apart
};

struct Seen;  // core/model/step.h

class Decoder {
public:
    static constexpr uint64_t no_limit = UINT64_MAX;

    const ModelConfig* config = nullptr;
    const linnet_platform* platform = nullptr;
    const FileHeader* header = nullptr;
    const KernelTable* kernels = nullptr;
    LayerWeights* layers = nullptr;
    const float* output_norm = nullptr;
    PackedMatrix output{};
    Embedding embedding{};
    RopeFrequencies rope;
    Workspace work;
    Residency* residency = nullptr;  // null: all weights and KV caches have their places
    uint64_t bytes_read = 0;

    // What stands before the first piece of a pass.
    Status begin(const Pass& pass, KvCache& cache, Error& error);
    // Takes `pass` a piece further: one stage of a layer, or the part of it that is about `most` multiply-adds. It has `count`
    // (1..span) tokens at positions first.. of a session whose cache holds all positions before `first` that they see. Fills
    // the cache and leaves each token's last hidden state in the workspace.
    Status advance(Pass& pass, KvCache& cache, uint64_t most, Error& error);
    bool finished(const Pass& pass) const { return pass.layer == config->layers; }
    // 0..1: how much of it is done.
    float share_done(const Pass& pass) const;

    // Logits of `count` tokens (at most a batch) from the `first`-th on of a finished pass, float[count][vocabulary], in pieces:
    // *done when all are there. `pass.item` counts; one set of rows at a time.
    Status logits(Pass& pass, uint32_t first, uint32_t count, float* out, uint64_t most, bool& done, Error& error);

private:
    struct Step;
    Status read_row(uint64_t place, const uint8_t*& row, Error& error);
    Status embed(const int32_t* tokens, uint32_t count, float* x, Error& error);
    void run(void (*task)(void*, uint32_t), Step& step, uint32_t pieces);
    Activations activations(const float* x, uint32_t columns) const;
    Status multiply(uint32_t index, const PackedMatrix& matrix, const Activations& x, uint32_t count, float* y, size_t y_stride,
                    bool release, uint32_t& item, uint64_t most, bool& done, Error& error);
    void norm(const float* x, uint32_t count, const float* weight, bool quantise, uint32_t pieces);
    bool gate_up_at_once(Pass& pass, uint64_t most);
    Status stage(Pass& pass, KvCache& cache, uint64_t most, bool& done, Error& error);
    uint32_t batch_of(const Pass& pass) const {
        return pass.count - pass.sub < work.batch ? pass.count - pass.sub : work.batch;
    }
    // core/model/attention.cpp
    Status to_cache(const Pass& pass, KvCache& cache, uint32_t pieces, Error& error);
    Status attend(Pass& pass, KvCache& cache, uint64_t most, bool& done, Error& error);
    Status gather(Pass& pass, KvCache& cache, Error& error);
    void attend_together(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most, bool& done);
    Status attend_by_page(const Pass& pass, KvCache& cache, uint32_t& item, Error& error);

    struct Queries;
    uint32_t items_of_kv_head(const Step& step) const;
    uint32_t cut_into_items(Step& step) const;
    Queries queries_of(const Step& step, uint32_t item) const;
    void prepare(const Step& step, uint32_t piece, Queries& queries) const;
    void point_at_scores(Queries& queries, Seen positions) const;
    void attend_shared(const Step& step, uint32_t kind, Queries& queries, uint32_t first, uint32_t count, Seen positions) const;
    void attend_positions(const Step& step, uint32_t kind, Queries& queries, Seen positions) const;

    static void norm_task(void* step, uint32_t index);
    static void quantize_task(void* step, uint32_t index);
    static void multiply_task(void* step, uint32_t index);
    static void cache_task(void* step, uint32_t index);
    static void attention_task(void* step, uint32_t index);
    static void scores_task(void* step, uint32_t index);
    static void softmax_task(void* step, uint32_t index);
    static void output_task(void* step, uint32_t index);
    void swiglu_part(uint32_t token, uint32_t first, uint32_t count, bool quantise, const QuantisedRow& row);
    static void swiglu_task(void* step, uint32_t index);
    static void gate_up_task(void* step, uint32_t index);
};

}  // namespace linnet
