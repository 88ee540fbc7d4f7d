#include "core/model/decoder.h"

namespace linnet {

void Workspace::create(const ModelConfig& config, const ModelLayout& layout, uint32_t batch_tokens, uint32_t kv_slots,
                       uint32_t threads, Arena& arena) {
    const uint64_t attention_width = uint64_t{config.heads} * config.head_dim;
    const uint64_t qkv_width = attention_width + 2 * uint64_t{config.kv_heads} * config.head_dim;
    uint64_t widest = config.hidden;
    if (attention_width > widest) widest = attention_width;
    if (config.feed_forward > widest) widest = config.feed_forward;
    const uint64_t padded = align_up(widest, block_columns);
    batch = batch_tokens;
    // A few pieces a thread, so that a thread that is held up does not hold up the others for long.
    tasks = threads <= 1 ? 1 : (threads > 16 ? 64 : threads * 4);
    score_stride = kv_slots;
    x = arena.take<float>(batch * uint64_t{config.hidden});
    normed = arena.take<float>(batch * uint64_t{config.hidden});
    // What only a layer needs stands in one stretch, which serves for several rows of logits when the layers are done.
    const auto padded_floats = [&](uint64_t width) { return align_up(batch * width, tensor_alignment / sizeof(float)); };
    const uint64_t sizes[] = {padded_floats(qkv_width), padded_floats(attention_width),
                              padded_floats(2 * uint64_t{config.feed_forward}), padded_floats(config.feed_forward)};
    const uint64_t stretch = sizes[0] + sizes[1] + sizes[2] + sizes[3];
    rows = arena.take<float>(stretch);
    const uint64_t fit = stretch / config.vocabulary;
    row_count = static_cast<uint32_t>(fit < batch ? fit : batch);
    if (rows != nullptr) {
        qkv = rows;
        attention = qkv + sizes[0];
        gate_up = attention + sizes[1];
        inner = gate_up + sizes[2];
    }
    delta = arena.take<float>(batch * uint64_t{config.hidden});
    values = arena.take<int8_t>(batch * padded);
    scales = arena.take<float>(batch * padded / block_columns);
    sums = arena.take<int32_t>(batch * padded / block_columns);
    cosine = arena.take<float>(batch * uint64_t{config.rotary_dims} / 2);
    sine = arena.take<float>(batch * uint64_t{config.rotary_dims} / 2);
    scores = arena.take<float>(uint64_t{tasks} * score_stride);
    query = arena.take<int16_t>(uint64_t{tasks} * align_up(config.head_dim, 32));
    row_bytes =
        layout.embedding.rows == 0 ? 0 : row_stride(layout.embedding.format, layout.embedding.columns, layout.embedding.group);
    row = arena.take<uint8_t>(row_bytes);
}

// One parallel step: what its tasks share. The tasks split their items evenly among `pieces`.
struct Decoder::Step {
    Decoder* self;
    uint32_t pieces;
    uint32_t from;  // the first item
    uint32_t items;
    // norm, quantise, swiglu
    const float* source;
    size_t source_stride;
    const float* weight;
    bool quantise;
    uint32_t columns;
    // multiply
    const PackedMatrix* matrix;
    Activations activations;
    float* result;
    size_t result_stride;
    uint32_t tokens;
    // cache and attention
    KvCache* cache;
    uint32_t layer;
    uint32_t first;

    uint32_t begin(uint32_t piece) const { return from + static_cast<uint32_t>(uint64_t{items} * piece / pieces); }
    uint32_t end(uint32_t piece) const { return begin(piece + 1); }
};

void Decoder::run(void (*task)(void*, uint32_t), Step& step, uint32_t pieces) {
    step.self = this;
    step.pieces = pieces < 1 ? 1 : pieces;
    if (step.pieces == 1) {
        task(&step, 0);
    } else {
        platform->parallel(platform->context, task, &step, step.pieces);
    }
}

namespace {

bool is_quantised(const PackedMatrix& matrix) { return matrix.format != TensorFormat::f32_packed; }

uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

// How many of `left` items of `work` multiply-adds each are about `most`: at least one.
uint32_t part(uint32_t left, uint64_t work, uint64_t most) {
    const uint64_t fit = most / work;
    return fit < 1 ? 1 : fit < left ? static_cast<uint32_t>(fit) : left;
}

// The address of one token's quantised activations.
struct QuantisedRow {
    int8_t* values;
    float* scales;
    int32_t* sums;
};

QuantisedRow quantised_row(const Workspace& work, uint32_t token, uint32_t columns) {
    const size_t padded = padded_columns(columns);
    return {work.values + token * padded, work.scales + token * (padded / block_columns),
            work.sums + token * (padded / block_columns)};
}

}  // namespace

// normed = rms_norm(source), and its quantised form where the next matrix wants that.
void Decoder::norm_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const uint32_t hidden = self.config->hidden;
    for (uint32_t token = step.begin(piece); token < step.end(piece); ++token) {
        float* out = self.work.normed + size_t{token} * hidden;
        self.kernels->rms_norm(step.source + token * step.source_stride, step.weight, self.config->rms_epsilon, hidden, out);
        if (step.quantise) {
            const QuantisedRow row = quantised_row(self.work, token, hidden);
            self.kernels->quantize(out, hidden, row.values, row.scales, row.sums);
        }
    }
}

void Decoder::quantize_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    for (uint32_t token = step.begin(piece); token < step.end(piece); ++token) {
        const QuantisedRow row = quantised_row(step.self->work, token, step.columns);
        step.self->kernels->quantize(step.source + token * step.source_stride, step.columns, row.values, row.scales, row.sums);
    }
}

void Decoder::multiply_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    step.self->kernels->matmul(*step.matrix, step.activations, step.tokens, step.result, step.result_stride, step.begin(piece),
                               step.end(piece));
}

// y = matrix x, from block `item` on as many blocks of rows as about `most` multiply-adds are; true after the last one. For a
// quantised matrix the activations are already in the workspace.
bool Decoder::multiply(const PackedMatrix& matrix, const float* x, size_t x_stride, uint32_t count, float* y, size_t y_stride,
                       uint32_t& item, uint64_t most) {
    Step step{};
    const QuantisedRow row = quantised_row(work, 0, matrix.columns);
    step.matrix = &matrix;
    step.activations = {x, row.values, row.scales, row.sums, x_stride, padded_columns(matrix.columns)};
    step.tokens = count;
    step.result = y;
    step.result_stride = y_stride;
    step.from = item;
    step.items = part(block_count(matrix.rows) - item, uint64_t{rows_in_block} * matrix.columns * count, most);
    // Below about this many bytes times tokens a second thread costs more than it brings.
    constexpr uint64_t worth_a_piece = 48 * 1024;
    const uint64_t worth = step.items * matrix.stride * count / worth_a_piece;
    const uint32_t pieces = worth < work.tasks ? static_cast<uint32_t>(worth) : work.tasks;
    run(multiply_task, step, least(pieces, step.items));
    item += step.items;
    return item == block_count(matrix.rows);
}

// Turns q and k, and puts k and v of each token into the cache.
void Decoder::cache_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const ModelConfig& config = *self.config;
    const KernelTable& kernels = *self.kernels;
    KvCache& cache = *step.cache;
    const uint32_t dim = config.head_dim;
    const uint32_t half = config.rotary_dims / 2;
    const size_t width = size_t{config.heads + 2 * config.kv_heads} * dim;
    for (uint32_t token = step.begin(piece); token < step.end(piece); ++token) {
        float* heads = self.work.qkv + token * width;
        const float* cosine = self.work.cosine + size_t{token} * half;
        const float* sine = self.work.sine + size_t{token} * half;
        for (uint32_t head = 0; head < config.heads + config.kv_heads; ++head) {
            kernels.rope(heads + size_t{head} * dim, cosine, sine, config.rotary_dims);
        }
        const uint32_t slot = (step.first + token) % cache.slots;
        for (uint32_t kv_head = 0; kv_head < config.kv_heads; ++kv_head) {
            const float* key = heads + size_t{config.heads + kv_head} * dim;
            const float* value = heads + size_t{config.heads + config.kv_heads + kv_head} * dim;
            const uint64_t row = cache.row(step.layer, kv_head, slot);
            switch (cache.format) {
                case KvFormat::int8:
                    kernels.quantize_head(key, dim, reinterpret_cast<int8_t*>(cache.key(row)), cache.key_scales + row);
                    kernels.quantize_head(value, dim, reinterpret_cast<int8_t*>(cache.value(row)), cache.value_scales + row);
                    break;
                case KvFormat::f16: {
                    uint16_t* to_key = reinterpret_cast<uint16_t*>(cache.key(row));
                    uint16_t* to_value = reinterpret_cast<uint16_t*>(cache.value(row));
                    for (uint32_t d = 0; d < dim; ++d) {
                        to_key[d] = float_to_half(key[d]);
                        to_value[d] = float_to_half(value[d]);
                    }
                    break;
                }
                case KvFormat::f32:
                    memcpy(cache.key(row), key, dim * sizeof(float));
                    memcpy(cache.value(row), value, dim * sizeof(float));
                    break;
            }
        }
    }
}

// One item is one head of one token: scores against every key it sees, softmax, the weighted sum of the values.
void Decoder::attention_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const ModelConfig& config = *self.config;
    const KernelTable& kernels = *self.kernels;
    const KvCache& cache = *step.cache;
    const uint32_t dim = config.head_dim;
    const uint32_t heads_per_kv = config.heads / config.kv_heads;
    const size_t width = size_t{config.heads + 2 * config.kv_heads} * dim;
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(dim));  // head_dim^-0.5
    float* scores = self.work.scores + size_t{piece} * self.work.score_stride;
    int16_t* query = self.work.query + size_t{piece} * align_up(dim, 32);

    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        const uint32_t head = item / step.tokens;  // head by head, so that a head's keys stay in the cache
        const uint32_t token = item % step.tokens;
        const uint32_t position = step.first + token;
        const uint32_t seen = position + 1;
        const uint32_t start = config.window_keys != 0 && seen > config.window_keys ? seen - config.window_keys : 0;
        const uint32_t count = seen - start;
        const uint32_t start_slot = start % cache.slots;
        const uint32_t before_wrap = least(count, cache.slots - start_slot);
        const uint64_t rows[2] = {cache.row(step.layer, head / heads_per_kv, start_slot),
                                  cache.row(step.layer, head / heads_per_kv, 0)};
        const uint32_t counts[2] = {before_wrap, count - before_wrap};
        const float* q = self.work.qkv + token * width + size_t{head} * dim;
        float* out = self.work.attention + (size_t{token} * config.heads + head) * dim;
        memset(out, 0, dim * sizeof(float));

        float query_scale = 0;
        if (cache.format == KvFormat::int8) {
            kernels.quantize_query(q, dim, query, &query_scale);
            query_scale = query_scale * scale;
        }
        uint32_t done = 0;
        for (int span = 0; span < 2; ++span) {
            if (counts[span] == 0) continue;
            const uint8_t* keys = cache.key(rows[span]);
            switch (cache.format) {
                case KvFormat::int8:
                    kernels.attention_scores_int8(query, query_scale, reinterpret_cast<const int8_t*>(keys), dim,
                                                  cache.key_scales + rows[span], 1, dim, counts[span], scores + done);
                    break;
                case KvFormat::f16:
                    kernels.attention_scores_f16(q, scale, reinterpret_cast<const uint16_t*>(keys), dim, dim, counts[span],
                                                 scores + done);
                    break;
                case KvFormat::f32:
                    kernels.attention_scores_f32(q, scale, reinterpret_cast<const float*>(keys), dim, dim, counts[span],
                                                 scores + done);
                    break;
            }
            done += counts[span];
        }
        kernels.softmax(scores, start % 16, count);
        done = 0;
        for (int span = 0; span < 2; ++span) {
            if (counts[span] == 0) continue;
            const uint8_t* values = cache.value(rows[span]);
            switch (cache.format) {
                case KvFormat::int8:
                    kernels.attention_output_int8(scores + done, reinterpret_cast<const int8_t*>(values), dim,
                                                  cache.value_scales + rows[span], 1, dim, counts[span], out);
                    break;
                case KvFormat::f16:
                    kernels.attention_output_f16(scores + done, reinterpret_cast<const uint16_t*>(values), dim, dim,
                                                 counts[span], out);
                    break;
                case KvFormat::f32:
                    kernels.attention_output_f32(scores + done, reinterpret_cast<const float*>(values), dim, dim, counts[span],
                                                 out);
                    break;
            }
            done += counts[span];
        }
    }
}

void Decoder::swiglu_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const uint32_t width = self.config->feed_forward;
    for (uint32_t token = step.begin(piece); token < step.end(piece); ++token) {
        const float* gate = self.work.gate_up + size_t{token} * 2 * width;
        float* out = self.work.inner + size_t{token} * width;
        self.kernels->swiglu(gate, gate + width, width, out);
        if (step.quantise) {
            const QuantisedRow row = quantised_row(self.work, token, width);
            self.kernels->quantize(out, width, row.values, row.scales, row.sums);
        }
    }
}

void Decoder::norm(const float* x, uint32_t count, const float* weight, bool quantise, uint32_t pieces) {
    Step step{};
    step.items = count;
    step.source = x;
    step.source_stride = config->hidden;
    step.weight = weight;
    step.quantise = quantise;
    run(norm_task, step, pieces);
}

// Heads of tokens from `item` on, as many as about `most` multiply-adds are; true after the last one.
bool Decoder::attend(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most) {
    const uint32_t all = pass.count * config->heads;
    const uint64_t keys = uint64_t{pass.first} + pass.count;
    Step step{};
    step.tokens = pass.count;
    step.cache = &cache;
    step.layer = pass.layer;
    step.first = pass.first;
    step.from = item;
    // These are rarer and slower than a matrix's: each counts as four.
    step.items = part(all - item, 8 * keys * config->head_dim, most);
    // A head of one token costs about one dot product and one sum a key.
    const uint64_t worth = step.items * keys * config->head_dim / (64 * 1024);
    run(attention_task, step, least(least(static_cast<uint32_t>(worth < 4096 ? worth : 4096), work.tasks), step.items));
    item += step.items;
    return item == all;
}

namespace {

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

}  // namespace

// Does a piece of the stage, from `item` on; true when that was its last.
bool Decoder::stage(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most) {
    const LayerWeights& weights = layers[pass.layer];
    const uint32_t count = pass.count;
    const uint32_t hidden = config->hidden;
    const uint32_t attention_width = config->heads * config->head_dim;
    const uint32_t qkv_width = attention_width + 2 * config->kv_heads * config->head_dim;
    // Work on single tokens is only worth sharing when there are many of them.
    const uint32_t token_pieces = count < 4 ? 1 : least(work.tasks, count);
    Step step{};
    step.items = count;
    switch (pass.stage) {
        case Stage::attention_norm:
            norm(work.x, count, weights.attention_norm, is_quantised(weights.qkv), token_pieces);
            return true;
        case Stage::qkv: return multiply(weights.qkv, work.normed, hidden, count, work.qkv, qkv_width, item, most);
        case Stage::to_cache:
            step.cache = &cache;
            step.layer = pass.layer;
            step.first = pass.first;
            run(cache_task, step, token_pieces);
            return true;
        case Stage::attention:
            if (!attend(pass, cache, item, most)) return false;
            if (is_quantised(weights.attention_output)) {
                step.source = work.attention;
                step.source_stride = attention_width;
                step.columns = attention_width;
                run(quantize_task, step, token_pieces);
            }
            return true;
        case Stage::attention_output:
            if (!multiply(weights.attention_output, work.attention, attention_width, count, work.delta, hidden, item, most)) {
                return false;
            }
            kernels->add(work.x, work.delta, count * hidden);
            return true;
        case Stage::feed_forward_norm:
            norm(work.x, count, weights.feed_forward_norm, is_quantised(weights.gate_up), token_pieces);
            return true;
        case Stage::gate_up:
            return multiply(weights.gate_up, work.normed, hidden, count, work.gate_up, size_t{2} * config->feed_forward, item,
                            most);
        case Stage::swiglu:
            step.quantise = is_quantised(weights.down);
            run(swiglu_task, step, token_pieces);
            return true;
        default:
            if (!multiply(weights.down, work.inner, config->feed_forward, count, work.delta, hidden, item, most)) return false;
            kernels->add(work.x, work.delta, count * hidden);
            return true;
    }
}

namespace {

// One row of a packed matrix (tied embeddings), widened exactly.
void unpack_row(const PackedMatrix& matrix, uint32_t row, float* out) {
    const uint8_t* block = matrix.data + row / rows_in_block * matrix.stride;
    const uint32_t lane = row % rows_in_block;
    for (uint32_t column = 0; column < matrix.columns; ++column) {
        if (matrix.format == TensorFormat::f32_packed) {
            out[column] = load<float>(block + (size_t{column} * rows_in_block + lane) * 4);
            continue;
        }
        const uint8_t* scales = block + scales_offset(matrix.format, matrix.group, column / matrix.group);
        const float scale = half_to_float(load<uint16_t>(scales + lane * 2));
        out[column] = static_cast<float>(packed_value(matrix.format, matrix.group, block, lane, column)) * scale;
    }
}

}  // namespace

Status Decoder::embed(const int32_t* tokens, uint32_t count, Error& error) {
    const uint32_t hidden = config->hidden;
    for (uint32_t token = 0; token < count; ++token) {
        float* out = work.x + size_t{token} * hidden;
        const uint32_t id = static_cast<uint32_t>(tokens[token]);
        if (embedding.tied != nullptr) {
            unpack_row(*embedding.tied, id, out);
            continue;
        }
        const uint64_t offset = embedding.file_offset + id * work.row_bytes;
        const void* mapped = platform->map != nullptr ? platform->map(platform->context, offset, work.row_bytes) : nullptr;
        const uint8_t* row = static_cast<const uint8_t*>(mapped);
        if (row == nullptr) {
            if (Status status = read_bytes(*platform, offset, work.row, work.row_bytes, error); status != Status::ok) {
                return status;
            }
            bytes_read += work.row_bytes;
            row = work.row;
        }
        if (embedding.format == TensorFormat::f32_rows) {
            memcpy(out, row, size_t{hidden} * 4);
            continue;
        }
        const uint8_t* scales = row + padded_columns(hidden);
        for (uint32_t column = 0; column < hidden; ++column) {
            const float scale = half_to_float(load<uint16_t>(scales + size_t{column / embedding.group} * 2));
            out[column] = static_cast<float>(static_cast<int8_t>(row[column])) * scale;
        }
    }
    return Status::ok;
}

Status Decoder::advance(Pass& pass, KvCache& cache, uint64_t most, Error& error) {
    if (pass.layer == 0 && pass.stage == 0) {
        if (Status status = embed(pass.tokens, pass.count, error); status != Status::ok) return status;
        const uint32_t half = config->rotary_dims / 2;
        for (uint32_t token = 0; token < pass.count; ++token) {
            rope.table(pass.first + token, pass.use_long, work.cosine + size_t{token} * half, work.sine + size_t{token} * half);
        }
    }
    if (!stage(pass, cache, pass.item, most)) return Status::ok;
    pass.item = 0;
    if (++pass.stage == stage_count) {
        pass.stage = 0;
        ++pass.layer;
    }
    return Status::ok;
}

float Decoder::share_done(const Pass& pass) const {
    return static_cast<float>(pass.layer * stage_count + pass.stage) / static_cast<float>(config->layers * stage_count);
}

bool Decoder::logits_piece(Pass& pass, uint32_t first, uint32_t count, float* out, uint64_t most) {
    if (pass.item == 0) norm(work.x + size_t{first} * config->hidden, count, output_norm, is_quantised(output), 1);
    return multiply(output, work.normed, config->hidden, count, out, config->vocabulary, pass.item, most);
}

void Decoder::logits(uint32_t index, float* out) {
    Pass pass;
    logits_piece(pass, index, 1, out, no_limit);
}

}  // namespace linnet
