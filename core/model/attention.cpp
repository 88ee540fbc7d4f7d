// Attention of the decoder: keys and values into the cache, and every token's heads over what they see.
//
// Two ways, with the same operations in the same order for each head of each token, so with the same bits:
//  * together: all the keys and values that a batch sees are in memory; a task does whole heads.
//  * page by page, where they do not all find a place at once: the scores of some tokens over one page of keys after the other,
//    then their softmax, then the sums over one page of values after the other.
#include "core/model/step.h"

namespace linnet {

namespace {

// Positions that a token sees: [start, end).
struct Seen {
    uint32_t start;
    uint32_t end;
};

Seen seen_by(const ModelConfig& config, uint32_t position) {
    const uint32_t end = position + 1;
    return {config.window_keys != 0 && end > config.window_keys ? end - config.window_keys : 0, end};
}

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

// One head of one token as the kernels want it.
struct Decoder::Query {
    const float* f32;
    const int16_t* quantised;  // for int8 and int4 keys
    float scale;
    uint32_t token;  // of the batch
    uint32_t head;
    Seen seen;
};

// Item by item: head by head, so that a head's keys stay in the processor's cache.
Decoder::Query Decoder::query_of(const Step& step, uint32_t item, int16_t* quantised) const {
    const uint32_t dim = config->head_dim;
    Query query{};
    query.head = item / step.tokens;
    query.token = item % step.tokens;
    query.f32 = work.qkv + query.token * qkv_width(*config) + size_t{query.head} * dim;
    query.quantised = quantised;
    query.scale = attention_scale(*config);
    query.seen = seen_by(*config, step.first + query.token);
    if (step.cache->row_scales != 0) {
        float scale = 0;
        kernels->quantize_query(query.f32, dim, quantised, &scale);
        query.scale = scale * query.scale;
    }
    return query;
}

namespace {

// scores[] of neighbouring keys, in the cache's format.
void score(const KernelTable& kernels, const KvCache& cache, const float* query, const int16_t* quantised, float scale,
           const KvRows& keys, uint32_t dim, uint32_t count, float* scores) {
    switch (cache.format) {
        case KvFormat::int8:
            kernels.attention_scores_int8(quantised, scale, reinterpret_cast<const int8_t*>(keys.rows), dim, keys.scales, 1,
                                          dim, count, scores);
            break;
        case KvFormat::int4:
            kernels.attention_scores_int4(quantised, scale, keys.rows, cache.row_bytes,
                                          reinterpret_cast<const uint32_t*>(keys.scales), 1, dim, count, scores);
            break;
        case KvFormat::f16:
            kernels.attention_scores_f16(query, scale, reinterpret_cast<const uint16_t*>(keys.rows), dim, dim, count, scores);
            break;
        case KvFormat::f32:
            kernels.attention_scores_f32(query, scale, reinterpret_cast<const float*>(keys.rows), dim, dim, count, scores);
            break;
    }
}

// out += the weighted sum of neighbouring values.
void add_values(const KernelTable& kernels, const KvCache& cache, const float* probabilities, const KvRows& values,
                uint32_t dim, uint32_t count, float* out) {
    switch (cache.format) {
        case KvFormat::int8:
            kernels.attention_output_int8(probabilities, reinterpret_cast<const int8_t*>(values.rows), dim, values.scales, 1,
                                          dim, count, out);
            break;
        case KvFormat::int4:
            kernels.attention_output_int4(probabilities, values.rows, cache.row_bytes,
                                          reinterpret_cast<const uint32_t*>(values.scales), 1, dim, count, out);
            break;
        case KvFormat::f16:
            kernels.attention_output_f16(probabilities, reinterpret_cast<const uint16_t*>(values.rows), dim, dim, count, out);
            break;
        case KvFormat::f32:
            kernels.attention_output_f32(probabilities, reinterpret_cast<const float*>(values.rows), dim, dim, count, out);
            break;
    }
}

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

// One item is one head of one token: scores against every key it sees, softmax, the weighted sum of the values.
void Decoder::attention_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const ModelConfig& config = *self.config;
    const KernelTable& kernels = *self.kernels;
    const KvCache& cache = *step.cache;
    const uint32_t dim = config.head_dim;
    float* scores = self.work.scores + size_t{piece} * self.work.score_stride;
    int16_t* quantised = self.work.query + size_t{piece} * align_up(dim, 32);

    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        const Query query = self.query_of(step, item, quantised);
        const uint32_t kv_head = query.head / (config.heads / config.kv_heads);
        const uint32_t start = query.seen.start;
        const uint32_t count = query.seen.end - start;
        float* out = self.work.attention + (size_t{query.token} * config.heads + query.head) * dim;
        memset(out, 0, dim * sizeof(float));
        for (uint32_t done = 0; done < count;) {
            const KvRows keys = cache.rows(step.layer, kv_keys, kv_head, (start + done) % cache.slots);
            const uint32_t some = least(keys.count, count - done);
            score(kernels, cache, query.f32, query.quantised, query.scale, keys, dim, some, scores + done);
            done += some;
        }
        kernels.softmax(scores, start % 16, count);
        for (uint32_t done = 0; done < count;) {
            const KvRows values = cache.rows(step.layer, kv_values, kv_head, (start + done) % cache.slots);
            const uint32_t some = least(values.count, count - done);
            add_values(kernels, cache, scores + done, values, dim, some, out);
            done += some;
        }
        if (cache.format == KvFormat::int4) kernels.rotate(out, dim);
    }
}

// Heads of tokens from `item` on, as many as about `most` multiply-adds are.
void Decoder::attend_together(const Pass& pass, KvCache& cache, uint32_t& item, uint64_t most) {
    Step step{};
    step.tokens = batch_of(pass);
    step.cache = &cache;
    step.layer = pass.layer;
    step.first = pass.first + pass.sub;
    step.from = item;
    const uint64_t keys = uint64_t{step.first} + step.tokens;
    // These are rarer and slower than a matrix's: each counts as four.
    step.items = part(step.tokens * config->heads - item, 8 * keys * config->head_dim, most);
    // A head of one token costs about one dot product and one sum a key.
    const uint64_t worth = step.items * keys * config->head_dim / (64 * 1024);
    run(attention_task, step, least(least(static_cast<uint32_t>(worth < 4096 ? worth : 4096), work.tasks), step.items));
    item += step.items;
}

// ---- page by page: step.from is the first token's first item, step.position and step.keys say which keys or values -----------

namespace {

// Of the positions at hand, those that a token sees.
Seen overlap(const Seen& seen, uint32_t position, uint32_t count) {
    return {seen.start > position ? seen.start : position, least(seen.end, position + count)};
}

}  // namespace

void Decoder::scores_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const ModelConfig& config = *self.config;
    const uint32_t dim = config.head_dim;
    int16_t* quantised = self.work.query + size_t{piece} * align_up(dim, 32);
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        const Seen seen = seen_by(config, step.first + item % step.tokens);
        const Seen here = overlap(seen, step.position, step.keys);
        if (here.start >= here.end) continue;
        const Query query = self.query_of(step, item, quantised);
        const KvRows keys = step.cache->rows(step.layer, kv_keys, query.head / (config.heads / config.kv_heads),
                                             here.start % step.cache->slots);
        float* scores = self.work.scores + size_t{item} * self.work.score_stride + (here.start - seen.start);
        score(*self.kernels, *step.cache, query.f32, query.quantised, query.scale, keys, dim, here.end - here.start, scores);
    }
}

void Decoder::softmax_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        const Seen seen = seen_by(*self.config, step.first + item % step.tokens);
        self.kernels->softmax(self.work.scores + size_t{item} * self.work.score_stride, seen.start % 16, seen.end - seen.start);
    }
}

void Decoder::output_task(void* context, uint32_t piece) {
    const Step& step = *static_cast<Step*>(context);
    Decoder& self = *step.self;
    const ModelConfig& config = *self.config;
    const uint32_t dim = config.head_dim;
    for (uint32_t item = step.begin(piece); item < step.end(piece); ++item) {
        const uint32_t token = item % step.tokens;
        const uint32_t head = item / step.tokens;
        const Seen seen = seen_by(config, step.first + token);
        const Seen here = overlap(seen, step.position, step.keys);
        if (here.start >= here.end) continue;
        const KvRows values =
            step.cache->rows(step.layer, kv_values, head / (config.heads / config.kv_heads), here.start % step.cache->slots);
        const float* probabilities = self.work.scores + size_t{item} * self.work.score_stride + (here.start - seen.start);
        add_values(*self.kernels, *step.cache, probabilities, values, dim, here.end - here.start,
                   step.result + (size_t{token} * config.heads + head) * dim);
    }
}

// Some tokens of the batch from the `item`-th on.
Status Decoder::attend_by_page(const Pass& pass, KvCache& cache, uint32_t& item, Error& error) {
    const uint32_t batch = batch_of(pass);
    Step step{};
    step.tokens = least(work.score_rows / config->heads, batch - item);
    step.cache = &cache;
    step.layer = pass.layer;
    step.first = pass.first + pass.sub + item;
    step.items = step.tokens * config->heads;
    step.result = work.attention + size_t{item} * config->heads * config->head_dim;
    memset(step.result, 0, size_t{step.items} * config->head_dim * sizeof(float));
    // The first row of queries is that of the first token of the group.
    float* const all_queries = work.qkv;
    work.qkv += size_t{item} * qkv_width(*config);
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
            const uint64_t worth = uint64_t{step.items} * count * config->head_dim / (64 * 1024);
            run(kind == kv_keys ? scores_task : output_task, step,
                least(least(static_cast<uint32_t>(worth < 4096 ? worth : 4096), work.tasks), step.items));
            residency->kv_done(cache, pass.layer, kind, index);
            return Status::ok;
        });
        if (status == Status::ok && kind == kv_keys) run(softmax_task, step, least(work.tasks, step.items));
    }
    if (cache.format == KvFormat::int4) {
        for (uint32_t i = 0; i < step.items; ++i) kernels->rotate(step.result + size_t{i} * config->head_dim, config->head_dim);
    }
    work.qkv = all_queries;
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
        attend_together(pass, cache, pass.item, most);
        done = pass.item == batch * config->heads;
    }
    if (done && residency != nullptr && pass.sub + batch == pass.count) residency->kv_layer_done(cache, pass.layer);
    return Status::ok;
}

}  // namespace linnet
