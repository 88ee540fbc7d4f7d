// What every source format does alike: collects named matrices, puts them in the container's order with their shapes checked
// against the configuration, and gives the model its tokenizer.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/converter/source.h"
#include "tools/converter/vocabulary.h"

namespace linnet {

// A name from a file, in quotes, for a sentence: cut when it is long.
std::string in_quotes(std::string_view name);

// The matrices of the files, by name.
class TensorSet {
public:
    // Refuses a name that is there already.
    Status add(SourceMatrix&& matrix, Error& error);
    // Null when there is none. What was found counts as used.
    const SourceMatrix* find(const std::string& name);
    bool has(const std::string& name) const { return entries_.count(name) != 0; }
    // A tensor that the model computes without, for a reason.
    void leave_out(const std::string& name);
    template <typename Predicate>
    void leave_out_if(Predicate predicate) {
        for (auto& [name, entry] : entries_) entry.used = entry.used || predicate(name);
    }
    // A tensor that nothing asked for would change the numbers: refused by name.
    Status refuse_unused(const char* model_kind, Error& error) const;

private:
    struct Entry {
        SourceMatrix matrix;
        bool used = false;
    };
    std::map<std::string, Entry> entries_;
};

// How a format names a model's tensors. Those of a layer: layer_prefix, number, '.', name; all end in `suffix`.
struct TensorNames {
    const char *suffix, *embedding, *output_norm, *output, *layer_prefix;
    const char *attention_norm, *qkv, *query, *key, *value, *attention_output;  // qkv: where there is no `query`; may be null
    const char *feed_forward_norm, *gate_up, *gate, *up, *down;  // gate_up: where there is no `gate`; may be null
    bool interleaved_rope = false;  // rows of query and key stand in pairs (2i, 2i + 1); only where they are separate

    std::string of_model(const char* name) const { return std::string(name) + suffix; }
    std::string of_layer(uint32_t layer, const char* name) const {
        return layer_prefix + std::to_string(layer) + '.' + name + suffix;
    }
};

// Fills model.tensors from `set`, for model.config, whose sizes were checked. With the flag tied_embeddings the output matrix
// is the embedding.
Status assemble_tensors(const TensorNames& names, TensorSet& set, SourceModel& model, Error& error);

// Makes the tokenizer block, and sets what the configuration has of it: bos, ends of a reply (`more_ends` first), chat
// template, usable vocabulary. Pieces that the model has no rows for are left out, with a note.
Status attach_vocabulary(Vocabulary&& vocabulary, const std::vector<int32_t>& more_ends, SourceModel& model, Error& error);
// The same for a model without a tokenizer that Linnet can use: only ids.
void attach_no_vocabulary(int32_t bos, const std::vector<int32_t>& ends, SourceModel& model);

// Keys that a query sees, itself included, for sliding_window = w of a config; 0: all.
uint32_t window_keys(uint32_t sliding_window, uint32_t context, const SourceOptions& options);

// LongRoPE's factor of cosine and sine: sqrt(1 + ln(context / original) / ln(original)), 1 where the context was not stretched.
float long_rope_attention_factor(uint32_t context, uint32_t original);
// Llama 3's rope_scaling as factors: long waves are stretched by `factor`, short ones stay, between them it is interpolated.
std::vector<float> llama3_rope_factors(uint32_t rotary_dims, double theta, double factor, double low_frequency_factor,
                                       double high_frequency_factor, double original_context);

// All of `input`, for small text files. Refused above `most` bytes.
Status read_whole(Input& input, const std::string& name, uint64_t most, std::string& text, Error& error);

}  // namespace linnet
