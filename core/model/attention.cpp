// Attention of the decoder: keys and values into the cache, and every token's heads over what they see.
//
// Queries that read the same keys and values go together: the heads that share a KV head, and neighbouring tokens. An item is as
// many of them as the kernels take at once, in the order KV head, token, head, so that a KV head's rows stay in the processor's
// cache. What some tokens see and others do not, at the end of what is known and at the start of a window, they read by themselves.
//
// Two ways, with the same operations in the same order for each head of each token, so with the same bits:
//  * together: all the keys and values that a batch sees are in memory; a task does whole items.
//  * page by page, where they do not all find a place at once: the scores of some tokens over one page of keys after the other,
//    then their softmax, then the sums over one page of values after the other.
#include "core/model/step.h"

namespace linnet {

namespace {

// Keys times dimensions: 2 to 5 microseconds, below which a second thread brings less than it costs.
constexpr uint64_t worth_a_piece = 24 * 1024;

Seen seen_by(const ModelConfig& config, uint32_t position) {
    const uint32_t end = position + 1;
    return {config.window_keys != 0 && end > config.window_keys ? end - config.window_keys : 0, end};
}

// What is in both.
Seen overlap(const Seen& a, const Seen& b) { return {a.start > b.start ? a.start : b.start, least(a.end, b.end)}; }

float attention_scale(const ModelConfig& config) {
    return 1.0f / __builtin_sqrtf(static_cast<float>(config.head_dim));  // head_dim^-0.5
}

size_t qkv_width(const ModelConfig& config) { return size_t{config.heads + 2 * config.kv_heads} * config.head_dim; }

// The pages that hold these positions, first to last, each once: visit(index of the page, first position, positions).
template <typename Visit>
Status each_page(const KvCache& cache, uint32_t start, uint32_t end, const Visit& visit) {
    for (uint32_t position = start; position < end;) {
        const uint32_t slot = position % cache.slots;
        const uint32_t to_page_end = cache.page_slots - slot % cache.page_slots;
        const uint32_t count = least(least(to_page_end, cache.slots - slot), end - position);
        if (Status status = visit(slot / cache.page_slots, position, count); status != Status::ok) return status;
        position += count;
    }
    return Status::ok;
}

}  // namespace

// What an item works on: queries that read the keys and values of one KV head, in the order of their tokens.
struct Decoder::Queries {
    AttentionQuery at[most_attention_queries];
    Seen seen[most_attention_queries];
    uint32_t count;
    uint32_t kv_head;
    uint32_t row;  // the first one's number among all heads of all tokens of the step

    // All that any of them sees.
    Seen all() const { return {seen[0].start, seen[count - 1].end}; }
};

// Items of a KV head.
uint32_t Decoder::items_of_kv_head(const Step& step) const {
    return ceil_div(step.tokens * (config->heads / config->kv_heads), step.queries);
}

Decoder::Queries Decoder::queries_of(const Step& step, uint32_t item) const {
    const uint32_t group = config->heads / config->kv_heads;
    const uint32_t items = items_of_kv_head(step);
    const uint32_t first = item % items * step.queries;
    Queries queries;
    queries.kv_head = item / items;
    queries.count = least(step.queries, step.tokens * group - first);
    queries.row = queries.kv_head * step.tokens * group + first;
    for (uint32_t n = 0; n < queries.count; ++n) {
        const uint32_t token = (first + n) / group;
        const size_t head = queries.kv_head * group + (first + n) % group;
        queries.seen[n] = seen_by(*config, step.first + token);
        queries.at[n].f32 = step.source + token * qkv_width(*config) + head * config->head_dim;
        queries.at[n].out = step.result + (size_t{token} * config->heads + head) * config->head_dim;
    }
    return queries;
}

// Before scores: the scale, and for int8 and int4 keys the queries in 16 bits, in the room of a task.
void Decoder::prepare(const Step& step, uint32_t piece, Queries& queries) const {
    const uint32_t dim = config->head_dim;
    int16_t* room = work.query + size_t{piece} * kernels->attention_queries * align_up(dim, 32);
    for (uint32_t n = 0; n < queries.count; ++n, room += align_up(dim, 32)) {
        AttentionQuery& query = queries.at[n];
        query.int16 = room;
        query.scale = attention_scale(*config);
        if (step.cache->row_scales == 0) continue;
        float scale = 0;
        kernels->quantize_query(query.f32, dim, room, &scale);
        query.scale = scale * query.scale;
    }
}

namespace {

// Scores of neighbouring keys, or sums over neighbouring values, in the cache's format.
void attend_rows(const KernelTable& kernels, const KvCache& cache, uint32_t kind, const AttentionQuery* queries,
                 uint32_t query_count, const KvRows& rows, uint32_t dim, uint32_t count) {
    switch (cache.format) {
        case KvFormat::int8: {
            const auto kernel = kind == kv_keys ? kernels.attention_scores_int8 : kernels.attention_output_int8;
            kernel(queries, query_count, reinterpret_cast<const int8_t*>(rows.rows), dim, rows.scales, 1, dim, count);
            break;
        }
        case KvFormat::int4: {
            const auto kernel = kind == kv_keys ? kernels.attention_scores_int4 : kernels.attention_output_int4;
            const uint32_t* scales = reinterpret_cast<const uint32_t*>(rows.scales);
            kernel(queries, query_count, rows.rows, cache.row_bytes, scales, 1, dim, count);
            break;
        }
        case KvFormat::f16: {
            const auto kernel = kind == kv_keys ? kernels.attention_scores_f16 : kernels.attention_output_f16;
            kernel(queries, query_count, reinterpret_cast<const uint16_t*>(rows.rows), dim, dim, count);
            break;
        }
        case KvFormat::f32: {
            const auto kernel = kind == kv_keys ? kernels.attention_scores_f32 : kernels.attention_output_f32;
            kernel(queries, query_count, reinterpret_cast<const float*>(rows.rows), dim, dim, count);
            break;
        }
    }
}

}  // namespace

// `count` queries from the `first`-th on over positions that all of them see. Their scores go on where they point.
void Decoder::attend_shared(const Step& step, uint32_t kind, Queries& queries, uint32_t first, uint32_t count,
                            Seen positions) const {
    const KvCache& cache = *step.cache;
    for (uint32_t position = positions.start; position < positions.end;) {
        const KvRows rows = cache.rows(step.layer, kind, queries.kv_head, position % cache.slots);
        const uint32_t some = least(rows.count, positions.end - position);
        attend_rows(*kernels, cache, kind, queries.at + first, count, rows, config->head_dim, some);
        for (uint32_t n = first; n < first + count; ++n) queries.at[n].scores += some;
        position += some;
    }
}

// Keys or values at `positions`, which are in memory: every query over those that it sees, one after the other. scores[]: of the
// first one that it sees there; behind the last one afterwards.
void Decoder::attend_positions(const Step& step, uint32_t kind, Queries& queries, Seen positions) const {
    // The first token sees the least of the end, the last one the least of the start.
    const Seen shared = overlap({queries.seen[queries.count - 1].start, queries.seen[0].end}, positions);
    const bool nothing_shared = shared.start >= shared.end;
    for (uint32_t n = 0; n < queries.count; ++n) {
        const Seen own = overlap(queries.seen[n], positions);
        attend_shared(step, kind, queries, n, 1, nothing_shared ? own : Seen{own.start, shared.start});
    }
    if (nothing_shared) return;
    attend_shared(step, kind, queries, 0, queries.count, shared);
    for (uint32_t n = 0; n < queries.count; ++n) {
        attend_shared(step, kind, queries, n, 1, {shared.end, least(queries.seen[n].end, positions.end)});
    }
}

namespace {

void store(const KernelTable& kernels, const KvCache& cache, const float* head, uint32_t dim, const KvRows& to) {
    switch (cache.format) {
        case KvFormat::int8: kernels.quantize_head(head, dim, reinterpret_cast<int8_t*>(to.rows), to.scales); break;
        case KvFormat::int4: kernels.quantize_head_int4(head, dim, to.rows, reinterpret_cast<uint32_t*>(to.scales)); break;
        case KvFormat::f16: {
            uint16_t* half = reinterpret_cast<uint16_t*>(to.rows);
            for (uint32_t d = 0; d < dim; ++d) half[d] = float_to_half(head[d]);
            break;
        }
        case KvFormat::f32: memcpy(to.rows, head, dim * sizeof(float)); break;
    }
}

}  // namespace

// Turns q and k, and puts k and v of each token into the cache.
void Decoder::cache_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const ModelConfig& config = *self.config;
    const KernelTable& kernels = *self.kernels;
    const KvCache& cache = *step.cache;
    const uint32_t dim = config.head_dim;
    const uint32_t half = config.rotary_dims / 2;
    for (uint32_t token = step.begin(piece); token < step.end(piece); ++token) {
        float* heads = self.work.qkv + token * qkv_width(config);
        const float* cosine = self.work.cosine + size_t{token} * half;
        const float* sine = self.work.sine + size_t{token} * half;
        for (uint32_t head = 0; head < config.heads + config.kv_heads; ++head) {
            kernels.rope(heads + size_t{head} * dim, cosine, sine, config.rotary_dims);
        }
        if (cache.format == KvFormat::int4) {
            // Queries too: turned like the keys, they have the same dot products. The output is turned back.
            for (uint32_t head = 0; head < config.heads + 2 * config.kv_heads; ++head) {
                kernels.rotate(heads + size_t{head} * dim, dim);
            }
        }
        const uint32_t slot = (step.first + token) % cache.slots;
        for (uint32_t kv_head = 0; kv_head < config.kv_heads; ++kv_head) {
            const float* key = heads + size_t{config.heads + kv_head} * dim;
            const float* value = heads + size_t{config.heads + config.kv_heads + kv_head} * dim;
            store(kernels, cache, key, dim, cache.rows(step.layer, kv_keys, kv_head, slot));
            store(kernels, cache, value, dim, cache.rows(step.layer, kv_values, kv_head, slot));
        }
    }
}

Status Decoder::to_cache(const Pass& pass, KvCache& cache, uint32_t pieces, Error& error) {
    Step step{};
    step.items = batch_of(pass);
    step.cache = &cache;
    step.layer = pass.layer;
    step.first = pass.first + pass.sub;
    if (residency != nullptr) {
        const Status status = each_page(cache, step.first, step.first + step.items, [&](uint32_t index, uint32_t, uint32_t) {
            Status ready = residency->kv_write(cache, pass.layer, kv_keys, index, error);
            if (ready == Status::ok) ready = residency->kv_write(cache, pass.layer, kv_values, index, error);
            return ready;
        });
        if (status != Status::ok) return status;
    }
    run(cache_task, step, pieces);
    return Status::ok;
}

// For each item scores against every key it sees, softmax, the weighted sum of the values.
void Decoder::attention_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const KernelTable& kernels = *self.kernels;
    const uint32_t dim = self.config->head_dim;
    const size_t stride = self.work.score_stride;
    float* scores = self.work.scores + size_t{piece} * kernels.attention_queries * stride;

    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        Queries queries = self.queries_of(step, item);
        self.prepare(step, piece, queries);
        for (uint32_t n = 0; n < queries.count; ++n) {
            queries.at[n].scores = scores + n * stride;
            memset(queries.at[n].out, 0, dim * sizeof(float));
        }
        self.attend_positions(step, kv_keys, queries, queries.all());
        for (uint32_t n = 0; n < queries.count; ++n) {
            const Seen& seen = queries.seen[n];
            queries.at[n].scores = scores + n * stride;
            kernels.softmax(queries.at[n].scores, seen.start % 16, seen.end - seen.start);
        }
        self.attend_positions(step, kv_values, queries, queries.all());
        if (step.cache->format != KvFormat::int4) continue;
        for (uint32_t n = 0; n < queries.count; ++n) kernels.rotate(queries.at[n].out, dim);
    }
}

// The number of items. They have as many queries as the kernels take, or fewer where there would not be two for each thread.
uint32_t Decoder::cut_into_items(Step& step) const {
    step.queries = kernels->attention_queries;
    while (step.queries > 1 && 2 * items_of_kv_head(step) * config->kv_heads < work.tasks) step.queries /= 2;
    return items_of_kv_head(step) * config->kv_heads;
}

// Items from `item` on, as many as about `most` multiply-adds are; *done after the last one.
void Decoder::attend_together(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most, bool& done) {
    Step step{};
    step.tokens = batch_of(pass);
    step.cache = &cache;
    step.layer = pass.layer;
    step.first = pass.first + pass.sub;
    step.from = item;
    step.source = work.qkv;
    step.result = work.attention;
    const uint32_t all = cut_into_items(step);
    const uint64_t keys = uint64_t{step.first} + step.tokens;
    // A head of one token costs about one dot product and one sum a key.
    const uint64_t cost = step.queries * keys * config->head_dim;
    // These are rarer and slower than a matrix's: each counts as four.
    step.items = part(all - item, 8 * cost, most);
    run(attention_task, step, least(work.pieces(step.items * cost / worth_a_piece), step.items));
    item += step.items;
    done = item == all;
}

// ---- page by page: the step's tokens are some of the batch; step.position and step.keys say which keys or values are there ------

// scores[] of a query: a row for each head of each token, as long as what it sees; of the first key at hand that it sees.
void Decoder::point_at_scores(Queries& queries, Seen positions) const {
    for (uint32_t n = 0; n < queries.count; ++n) {
        const uint32_t start = queries.seen[n].start;
        queries.at[n].scores =
            work.scores + size_t{queries.row + n} * work.score_stride + (positions.start > start ? positions.start - start : 0);
    }
}

void Decoder::scores_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    const Decoder& self = *step.self;
    const Seen here = {step.position, step.position + step.keys};
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        Queries queries = self.queries_of(step, item);
        const Seen some = overlap(queries.all(), here);
        if (some.start >= some.end) continue;
        self.prepare(step, piece, queries);
        self.point_at_scores(queries, here);
        self.attend_positions(step, kv_keys, queries, here);
    }
}

void Decoder::softmax_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    const Decoder& self = *step.self;
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        Queries queries = self.queries_of(step, item);
        self.point_at_scores(queries, {});
        for (uint32_t n = 0; n < queries.count; ++n) {
            const Seen& seen = queries.seen[n];
            self.kernels->softmax(queries.at[n].scores, seen.start % 16, seen.end - seen.start);
        }
    }
}

void Decoder::output_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    const Decoder& self = *step.self;
    const Seen here = {step.position, step.position + step.keys};
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        Queries queries = self.queries_of(step, item);
        self.point_at_scores(queries, here);
        self.attend_positions(step, kv_values, queries, here);
    }
}

// Some tokens of the batch, from the `item`-th on.
Status Decoder::attend_by_page(const Pass& pass, KvCache& cache, uint32_t& item, Error& error) {
    const uint32_t batch = batch_of(pass);
    Step step{};
    step.tokens = least(work.score_rows / config->heads, batch - item);
    step.cache = &cache;
    step.layer = pass.layer;
    step.first = pass.first + pass.sub + item;
    step.items = cut_into_items(step);
    step.source = work.qkv + size_t{item} * qkv_width(*config);
    step.result = work.attention + size_t{item} * config->heads * config->head_dim;
    const uint32_t heads = step.tokens * config->heads;
    memset(step.result, 0, size_t{heads} * config->head_dim * sizeof(float));
    const uint32_t start = seen_by(*config, step.first).start;
    const uint32_t end = step.first + step.tokens;
    Status status = Status::ok;
    for (uint32_t kind = kv_keys; kind <= kv_values && status == Status::ok; ++kind) {
        status = each_page(cache, start, end, [&](uint32_t index, uint32_t position, uint32_t count) {
            bool ready = false;
            Status read = residency->kv_read(cache, pass.layer, kind, index, true, ready, error);
            if (read != Status::ok) return read;
            step.position = position;
            step.keys = count;
            const uint64_t worth = uint64_t{heads} * count * config->head_dim / worth_a_piece;
            run(kind == kv_keys ? scores_task : output_task, step, least(work.pieces(worth), step.items));
            residency->kv_done(cache, pass.layer, kind, index);
            return Status::ok;
        });
        if (status == Status::ok && kind == kv_keys) run(softmax_task, step, least(work.tasks, step.items));
    }
    if (cache.format == KvFormat::int4) {
        for (uint32_t i = 0; i < heads; ++i) kernels->rotate(step.result + size_t{i} * config->head_dim, config->head_dim);
    }
    item += step.tokens;
    return status;
}

// Brings what the batch sees into memory, if it finds a place together.
Status Decoder::gather(Pass& pass, KvCache& cache, Error& error) {
    const uint32_t first = pass.first + pass.sub;
    const uint32_t start = seen_by(*config, first).start;
    pass.by_page = false;
    for (uint32_t kind = kv_keys; kind <= kv_values; ++kind) {
        const Status status = each_page(cache, start, first + batch_of(pass), [&](uint32_t index, uint32_t, uint32_t) {
            bool ready = true;
            if (pass.by_page) return Status::ok;
            const Status read = residency->kv_read(cache, pass.layer, kind, index, false, ready, error);
            if (!ready) pass.by_page = true;
            return read;
        });
        if (status != Status::ok) return status;
    }
    if (pass.by_page) residency->kv_layer_done(cache, pass.layer);
    return Status::ok;
}

// A piece of the attention of the batch at hand; *done after the last one.
Status Decoder::attend(Pass& pass, KvCache& cache, uint64_t most, bool& done, Error& error) {
    const uint32_t batch = batch_of(pass);
    done = false;
    if (residency != nullptr && pass.item == 0) {
        if (Status status = gather(pass, cache, error); status != Status::ok) return status;
    }
    if (residency != nullptr && pass.by_page) {
        if (Status status = attend_by_page(pass, cache, pass.item, error); status != Status::ok) return status;
        done = pass.item == batch;
    } else {
        attend_together(pass, cache, pass.item, most, done);
    }
    if (done && residency != nullptr && pass.sub + batch == pass.count) residency->kv_layer_done(cache, pass.layer);
    return Status::ok;
}

}  // namespace linnet
