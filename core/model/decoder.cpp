#include "core/model/decoder.h"

#include "core/base/crc32c.h"
#include "core/model/step.h"

namespace linnet {

namespace {

// Scores that attention page by page works on at a time.
constexpr uint64_t score_bytes = uint64_t{4} << 20;

// Below about this many bytes times tokens a second thread costs more than it brings.
constexpr uint64_t worth_a_piece = 48 * 1024;

// So many columns of SwiGLU take a thread as long as it takes to hand them out, several times.
constexpr uint32_t swiglu_columns = 32 * block_columns;
constexpr uint32_t swiglu_stretches(uint32_t width) { return (width + swiglu_columns - 1) / swiglu_columns; }

}  // namespace

void Workspace::create(const ModelConfig& config, uint32_t batch_tokens, uint32_t span_tokens, bool pooled, uint32_t kv_slots,
                       uint32_t thread_count, uint32_t queries, uint64_t row_bytes, Arena& arena) {
    const uint64_t attention_width = uint64_t{config.heads} * config.head_dim;
    const uint64_t qkv_width = attention_width + 2 * uint64_t{config.kv_heads} * config.head_dim;
    uint64_t widest = config.hidden;
    if (attention_width > widest) widest = attention_width;
    if (config.feed_forward > widest) widest = config.feed_forward;
    const uint64_t padded = align_up(widest, block_columns);
    batch = batch_tokens;
    span = span_tokens;
    threads = thread_count < 1 ? 1 : thread_count;
    // A few pieces a thread, so that a thread that is held up does not hold up the others for long.
    tasks = threads <= 1 ? 1 : (threads > 16 ? 64 : threads * 4);
    score_stride = kv_slots;
    score_rows = tasks * queries;
    if (pooled) {
        // Page by page all heads of one or more tokens are under way together.
        uint64_t tokens = score_bytes / (uint64_t{config.heads} * score_stride * sizeof(float));
        tokens = tokens < 1 ? 1 : tokens < batch ? tokens : batch;
        if (tokens * config.heads > score_rows) score_rows = static_cast<uint32_t>(tokens * config.heads);
    }
    x = arena.take<float>(span * uint64_t{config.hidden});
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
    const uint64_t inner_padded = align_up(config.feed_forward, block_columns);
    apart.values = arena.take<int8_t>(inner_padded);
    apart.scales = arena.take<float>(inner_padded / block_columns);
    apart.sums = arena.take<int32_t>(inner_padded / block_columns);
    cosine = arena.take<float>(batch * uint64_t{config.rotary_dims} / 2);
    sine = arena.take<float>(batch * uint64_t{config.rotary_dims} / 2);
    scores = arena.take<float>(uint64_t{score_rows} * score_stride);
    query = arena.take<int16_t>(uint64_t{tasks} * queries * align_up(config.head_dim, 32));
    row = arena.take<uint8_t>(row_bytes);
}

uint32_t Workspace::pieces(uint64_t worth) const {
    if (worth >= tasks) return tasks;
    const auto count = static_cast<uint32_t>(worth);
    return count <= threads ? count : least((count + threads - 1) / threads * threads, tasks);
}

void Decoder::run(void (*task)(void*, uint32_t), Step& step, uint32_t pieces) {
    step.self = this;
    step.pieces = pieces < 1 ? 1 : pieces;
    if (step.pieces > 1 && platform->alone != nullptr && platform->alone(platform->context) != 0) step.pieces = 1;
    if (step.pieces == 1) {
        task(&step, 0);
    } else {
        platform->parallel(platform->context, task, &step, step.pieces);
    }
}

namespace {

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
    const uint32_t begin = step.begin(piece);
    const uint32_t end = step.end(piece);
    for (uint32_t i = 0; i < step.segment_count; ++i) {
        const Segment& segment = step.segments[i];
        const uint32_t low = begin > segment.first_block ? begin : segment.first_block;
        const uint32_t high = least(end, segment.first_block + segment.blocks);
        if (low >= high) continue;
        // A matrix of its own: these rows of the whole one.
        const uint32_t first_row = segment.first_block * rows_in_block;
        PackedMatrix matrix = *step.matrix;
        matrix.data = segment.data;
        matrix.rows = least(matrix.rows - first_row, segment.blocks * rows_in_block);
        step.self->kernels->matmul(matrix, step.activations, step.tokens, step.result + first_row, step.result_stride,
                                   low - segment.first_block, high - segment.first_block);
    }
}

// Of the first token on: x[][columns], and the quantised ones in the workspace.
Activations Decoder::activations(const float* x, uint32_t columns) const {
    const QuantisedRow row = quantised_row(work, 0, columns);
    return {x, row.values, row.scales, row.sums, columns, padded_columns(columns)};
}

// y = matrix x, from block `item` on as many blocks of rows as about `most` multiply-adds are; *done after the last one. `index`: the
// matrix's number where it may be streamed; `release`: this pass does not need these rows again.
Status Decoder::multiply(uint32_t index, const PackedMatrix& matrix, const Activations& x, uint32_t count, float* y,
                         size_t y_stride, bool release, uint32_t& item, uint64_t most, bool& done, Error& error) {
    const uint32_t blocks = block_count(matrix.rows);
    done = false;
    Step step{};
    step.matrix = &matrix;
    step.activations = x;
    step.tokens = count;
    step.result = y;
    step.result_stride = y_stride;
    while (!done) {
        uint32_t there = blocks - item;
        if (residency == nullptr) {
            step.segments[0] = {matrix.data, 0, blocks};
            step.segment_count = 1;
        } else {
            Status status = residency->weights(index, item, step.segments, Step::most_segments, step.segment_count, error);
            if (status != Status::ok) return status;
            there = 0;
            for (uint32_t i = 0; i < step.segment_count; ++i) there += step.segments[i].blocks;
        }
        step.from = item;
        step.items = part(there, uint64_t{rows_in_block} * matrix.columns * count, most);
        const uint64_t worth = step.items * matrix.stride * count / worth_a_piece;
        run(multiply_task, step, least(work.pieces(worth), step.items));
        item += step.items;
        if (residency != nullptr) residency->weights_done(index, item, release);
        done = item == blocks;
        if (most != no_limit) break;
    }
    return Status::ok;
}

// Columns [first, first + count) of a token, from whole ones of quantised activations on: so it does not matter who does which.
void Decoder::swiglu_part(uint32_t token, uint32_t first, uint32_t count, bool quantise, const QuantisedRow& row) {
    const uint32_t width = config->feed_forward;
    const float* gate = work.gate_up + size_t{token} * 2 * width + first;
    float* out = work.inner + size_t{token} * width + first;
    kernels->swiglu(gate, gate + width, count, out);
    if (!quantise) return;
    const uint32_t block = first / block_columns;
    kernels->quantize(out, count, row.values + first, row.scales + block, row.sums + block);
}

// An item is a stretch of a token's columns.
void Decoder::swiglu_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    const uint32_t width = step.self->config->feed_forward;
    const uint32_t stretches = swiglu_stretches(width);
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        const uint32_t token = item / stretches;
        const uint32_t first = item % stretches * swiglu_columns;
        step.self->swiglu_part(token, first, least(swiglu_columns, width - first), step.quantise,
                               quantised_row(step.self->work, token, width));
    }
}

// An item is block_columns rows of gate and the same of up.
void Decoder::gate_up_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    constexpr uint32_t blocks = block_columns / rows_in_block;
    const uint32_t begin = step.begin(piece);
    const uint32_t end = step.end(piece);
    const uint32_t up = self.config->feed_forward / rows_in_block;
    const uint32_t firsts[] = {begin * blocks, up + begin * blocks};
    for (const uint32_t from : firsts) {
        self.kernels->matmul(*step.matrix, step.activations, 1, step.result, step.result_stride, from,
                             from + (end - begin) * blocks);
    }
    // Apart, since other pieces still read this step's activations.
    self.swiglu_part(0, begin * block_columns, (end - begin) * block_columns, step.quantise, self.work.apart);
}

// Gate, up and SwiGLU of one token in one step, if it can be one: who computes rows of gate and up goes on with them while they are
// in its cache. False: nothing is done.
bool Decoder::gate_up_at_once(Pass& pass, uint64_t most) {
    const LayerWeights& weights = layers[pass.layer];
    const PackedMatrix& matrix = weights.gate_up;
    const uint32_t width = config->feed_forward;
    const uint64_t cost = uint64_t{2} * width * matrix.columns;
    pass.apart = false;
    if (residency != nullptr || batch_of(pass) != 1 || pass.item != 0 || width % block_columns != 0 || cost > most)
        return false;
    Step step{};
    step.matrix = &matrix;
    step.activations = activations(work.normed, matrix.columns);
    step.result = work.gate_up;
    step.result_stride = size_t{2} * width;
    step.quantise = is_quantised(weights.down);
    step.items = width / block_columns;
    run(gate_up_task, step, least(work.pieces(block_count(matrix.rows) * matrix.stride / worth_a_piece), step.items));
    pass.apart = true;
    return true;
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

// Does a piece of the stage, from `pass.item` on; *done when that was its last.
Status Decoder::stage(Pass& pass, KvCache& cache, uint64_t most, bool& done, Error& error) {
    const LayerWeights& weights = layers[pass.layer];
    const uint32_t count = batch_of(pass);
    const bool last = pass.sub + count == pass.count;  // of the pass: then the layer is done
    const uint32_t hidden = config->hidden;
    const uint32_t attention_width = config->heads * config->head_dim;
    const uint32_t qkv_width = attention_width + 2 * config->kv_heads * config->head_dim;
    float* x = work.x + size_t{pass.sub} * hidden;
    // Work on single tokens is only worth sharing when there are many of them.
    const uint32_t token_pieces = count < 4 ? 1 : least(work.tasks, count);
    Step step{};
    step.items = count;
    done = true;
    const auto product = [&](uint32_t which, const PackedMatrix& matrix, const float* from, float* to, size_t stride) {
        Activations of = activations(from, matrix.columns);
        if (which == matrix_down && pass.apart) {
            of.values = work.apart.values;
            of.scales = work.apart.scales;
            of.sums = work.apart.sums;
        }
        return multiply(matrix_index(pass.layer, which), matrix, of, count, to, stride, last, pass.item, most, done, error);
    };
    Status status = Status::ok;
    switch (pass.stage) {
        case Pass::attention_norm: {
            if (pass.layer == 0) status = embed(pass.tokens + pass.sub, count, x, error);
            if (status != Status::ok) return status;
            const uint32_t half = config->rotary_dims / 2;
            // Of one batch they serve for all layers.
            for (uint32_t token = 0; token < count && (pass.layer == 0 || pass.count > work.batch); ++token) {
                rope.table(pass.first + pass.sub + token, pass.use_long, work.cosine + size_t{token} * half,
                           work.sine + size_t{token} * half);
            }
            norm(x, count, weights.attention_norm, is_quantised(weights.qkv), token_pieces);
            return status;
        }
        case Pass::qkv: return product(matrix_qkv, weights.qkv, work.normed, work.qkv, qkv_width);
        case Pass::to_cache: return to_cache(pass, cache, token_pieces, error);
        case Pass::attention:
            status = attend(pass, cache, most, done, error);
            if (status != Status::ok || !done) return status;
            if (is_quantised(weights.attention_output)) {
                step.source = work.attention;
                step.source_stride = attention_width;
                step.columns = attention_width;
                run(quantize_task, step, token_pieces);
            }
            return status;
        case Pass::attention_output:
            status = product(matrix_attention_output, weights.attention_output, work.attention, work.delta, hidden);
            if (status == Status::ok && done) kernels->add(x, work.delta, count * hidden);
            return status;
        case Pass::feed_forward_norm:
            norm(x, count, weights.feed_forward_norm, is_quantised(weights.gate_up), token_pieces);
            return status;
        case Pass::gate_up:
            if (gate_up_at_once(pass, most)) {
                pass.stage = Pass::swiglu;
                return status;
            }
            return product(matrix_gate_up, weights.gate_up, work.normed, work.gate_up, size_t{2} * config->feed_forward);
        case Pass::swiglu:
            step.quantise = is_quantised(weights.down);
            step.items = count * swiglu_stretches(config->feed_forward);
            run(swiglu_task, step, least(work.tasks, step.items));
            return status;
        default:
            status = product(matrix_down, weights.down, work.inner, work.delta, hidden);
            if (status == Status::ok && done) kernels->add(x, work.delta, count * hidden);
            return status;
    }
}

namespace {

// One row of a block of a packed matrix (tied embeddings), widened exactly.
void unpack_row(const PackedMatrix& matrix, const uint8_t* block, uint32_t lane, float* out) {
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

// The row, or block, at this place behind the first one. What is read is the group that it is in: once more where that came wrong.
Status Decoder::read_row(uint64_t place, const uint8_t*& row, Error& error) {
    const RowGroups& groups = embedding.groups;
    const uint64_t first = header->weights_offset + groups.offset;
    if (platform->map != nullptr) {
        row = static_cast<const uint8_t*>(
            platform->map(platform->context, first + place, static_cast<size_t>(embedding.row_bytes)));
        if (row != nullptr) return Status::ok;
    }
    const uint64_t group = place / groups.group_bytes;
    const uint64_t begin = group * groups.group_bytes;
    const uint64_t left = groups.bytes - begin;
    const uint64_t count = left < groups.group_bytes ? left : groups.group_bytes;
    row = work.row + (place - begin);
    int32_t result = 0;
    for (int tries = 2; tries > 0; --tries) {
        result = platform->read(platform->context, first + begin, work.row, static_cast<size_t>(count));
        bytes_read += count;
        if (result != 0) continue;
        if (groups.crc == nullptr || crc32c(0, work.row, static_cast<size_t>(count)) == groups.crc[group]) return Status::ok;
    }
    return blame_chunk(*platform, *header, groups.offset + begin, count, result, error);
}

Status Decoder::embed(const int32_t* tokens, uint32_t count, float* x, Error& error) {
    const uint32_t hidden = config->hidden;
    for (uint32_t token = 0; token < count; ++token) {
        float* out = x + size_t{token} * hidden;
        const uint32_t id = static_cast<uint32_t>(tokens[token]);
        const PackedMatrix* tied = embedding.tied;
        if (tied != nullptr && tied->data != nullptr) {
            unpack_row(*tied, tied->data + id / rows_in_block * tied->stride, id % rows_in_block, out);
            continue;
        }
        const uint8_t* row = nullptr;
        const uint64_t place = (tied != nullptr ? id / rows_in_block : id) * embedding.row_bytes;
        if (Status status = read_row(place, row, error); status != Status::ok) return status;
        if (tied != nullptr) {
            unpack_row(*tied, row, id % rows_in_block, out);
            continue;
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

Status Decoder::begin(const Pass& pass, KvCache& cache, Error& error) {
    if (residency == nullptr) return Status::ok;
    return residency->begin_pass(cache, pass.first, pass.count, pass.count > work.batch, error);
}

Status Decoder::advance(Pass& pass, KvCache& cache, uint64_t most, Error& error) {
    bool done = false;
    if (Status status = stage(pass, cache, most, done, error); status != Status::ok) return status;
    if (!done) return Status::ok;
    pass.item = 0;
    if (++pass.stage != Pass::stage_count) return Status::ok;
    pass.stage = 0;
    pass.sub += batch_of(pass);
    if (pass.sub != pass.count) return Status::ok;
    pass.sub = 0;
    ++pass.layer;
    return Status::ok;
}

float Decoder::share_done(const Pass& pass) const {
    const float of_layer =
        (static_cast<float>(pass.sub) +
         static_cast<float>(batch_of(pass)) * (static_cast<float>(pass.stage) / static_cast<float>(Pass::stage_count))) /
        static_cast<float>(pass.count);
    return (static_cast<float>(pass.layer) + of_layer) / static_cast<float>(config->layers);
}

Status Decoder::logits(Pass& pass, uint32_t first, uint32_t count, float* out, uint64_t most, bool& done, Error& error) {
    if (pass.item == 0) norm(work.x + size_t{first} * config->hidden, count, output_norm, is_quantised(output), 1);
    return multiply(matrix_index(config->layers, 0), output, activations(work.normed, config->hidden), count, out,
                    config->vocabulary, true, pass.item, most, done, error);
}

}  // namespace linnet
