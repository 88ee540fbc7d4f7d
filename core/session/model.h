// What stands behind linnet_model and linnet_session, and how the arena is divided among them.
#pragma once

#include <atomic>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/linnet.h"
#include "core/model/decoder.h"
#include "core/model/reader.h"
#include "core/session/generation_state.h"
#include "core/session/kv_cache.h"
#include "core/session/sampler.h"
#include "core/text/tokenizer.h"

// One conversation: its tokens, the cache of those that have been evaluated, and the logits after the last one.
//
// Invariant: cached <= length; the cache holds tokens [0, cached), as far back as the window reaches, all computed with
// one set of RoPE factors (cached_long). Tokens in [cached, length) are known but will be computed (again) by the next
// evaluation: after a rewind that a ring of slots no longer covers, where a LongRoPE model changes its factors, and while an
// evaluation that goes in pieces is under way.
struct linnet_session {
    linnet_model* model;
    int32_t* tokens;  // [context]
    float* logits;    // [vocabulary]
    linnet::KvCache cache;
    linnet::Sampler sampler;
    linnet_stats stats;
    uint32_t length;
    uint32_t cached;
    uint32_t written;  // one past the last position whose keys are in the cache, forgotten ones included
    bool cached_long;
    bool has_logits;
    bool open;
    // Of the evaluation that is under way, from linnet_evaluate_begin on:
    bool under_way;
    uint32_t begun_length;  // before its tokens were added
    uint32_t begun_cached;  // where computing began
    uint64_t spent;         // microseconds
    // Tokens behind `length` that may come next (see evaluate_ahead): `draft` of them are computed with the evaluation that is
    // under way. Of those that have been computed, `ahead` are left: their keys are in the cache, their logits are the
    // workspace's rows from `row` on. Nothing else counts them as the session's.
    uint32_t draft;
    uint32_t ahead;
    uint32_t row;
    linnet::GenerationState generation;
};

struct linnet_model {
    linnet_platform platform;
    linnet::FileHeader header;
    linnet::ModelLayout layout;
    linnet::Decoder decoder;
    linnet::Residency residency;  // in use where decoder.residency points to it
    // The workspace is all sessions': it holds this batch of that session's, or nothing (null) that is of further use.
    linnet::Pass pass;
    linnet_session* pass_of;
    // Whose logits the workspace's rows are; null: nobody's, a later pass has been there.
    linnet_session* rows_of;
    linnet::Tokenizer tokenizer;
    void* text_workspace;
    size_t text_workspace_bytes;
    const char* name;
    linnet_plan plan;
    linnet_session* sessions;
    uint32_t session_count;
    uint64_t passes;  // over the weights
    bool text_only;
    std::atomic<uint32_t> stop;
};

namespace linnet {

// Options with every default filled in, checked against the model.
struct Settings {
    uint32_t context;
    uint32_t batch;
    uint32_t sessions;
    uint32_t threads;
    uint32_t text_run;
    KvFormat kv_format;
    bool text_only;
    bool verify;
    const KernelTable* kernels;
    // Where weights and KV caches share a pool of pages (core/stream/residency.h); page_bytes 0: where they do not.
    uint64_t page_bytes;
    uint32_t page_count;
    uint32_t span;  // tokens of a pass, a multiple of the batch
    uint32_t pieces;
    uint32_t largest_section;  // most pieces of a layer
};

Status settle(const linnet_platform& platform, const linnet_options& options, const FileHeader& header, Settings& settings,
              Error& error);

// Fills in how the arena is to be used under the ceiling that the options name, and the plan that comes out.
Status make_plan(const linnet_platform& platform, const linnet_options& options, const FileHeader& header,
                 const ModelLayout& layout, Settings& settings, linnet_plan& plan, Error& error);

// What a pool of this many pages is used for, and which layers are streamed.
void plan_pool(const ModelLayout& layout, const KvCache& cache, const Settings& settings, linnet_plan& plan);
Status count_layers(const linnet_platform& platform, const FileHeader& header, linnet_plan& plan, Error& error);

// What a token reads of weights, where it lies in memory in one run, for as long as the model is open. bytes 0: some of it streams,
// or there is none, in a model that was opened for its text alone.
struct WeightRun {
    const uint8_t* first;
    uint64_t bytes;
};
WeightRun weights_in_memory(const linnet_model& model);

// Divides the arena: over a measuring one only the plan comes out; over a real one `*model` is made (its weights not yet
// read). Both take the same bytes in the same order. `layers`: where the layers' places were put, for open().
Status divide(const linnet_platform& platform, const FileHeader& header, const ModelLayout& layout, const Settings& settings,
              Arena& arena, linnet_plan& plan, linnet_model** model, Error& error);

}  // namespace linnet
