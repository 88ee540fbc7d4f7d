#include "core/session/model.h"

#include <new>

namespace linnet {

namespace {

constexpr uint32_t default_context = 4096;
constexpr uint32_t default_batch = 64;
constexpr uint32_t largest_batch = 512;
constexpr uint32_t default_text_run = 16384;

PackedMatrix matrix_at(const TensorPlace& place, const uint8_t* base, uint64_t base_offset) {
    return {base + (place.offset - base_offset),
            place.format,
            place.rows,
            place.columns,
            place.group,
            block_stride(place.format, place.columns, place.group)};
}

const float* vector_at(const TensorPlace& place, const uint8_t* base, uint64_t base_offset) {
    return reinterpret_cast<const float*>(base + (place.offset - base_offset));
}

// Where the platform has these bytes of the file in memory; null where it has not, or not aligned as the kernels need it.
const uint8_t* map(const linnet_platform& platform, uint64_t offset, uint64_t bytes) {
    if (platform.map == nullptr || bytes > SIZE_MAX) return nullptr;
    const void* at = platform.map(platform.context, offset, static_cast<size_t>(bytes));
    return reinterpret_cast<uintptr_t>(at) % tensor_alignment == 0 ? static_cast<const uint8_t*>(at) : nullptr;
}

// Of the weights that a token reads: all of the file's but the embedding, which stands first (format.h).
uint64_t bytes_of_weights(const FileHeader& header, const ModelLayout& layout) {
    return header.weights_bytes - layout.layers_offset;
}

// A matrix whose rows lie here and there: the decoder asks for them where it needs them.
PackedMatrix matrix_in_pool(const TensorPlace& place) {
    return {nullptr,       place.format, place.rows,
            place.columns, place.group,  block_stride(place.format, place.columns, place.group)};
}

// Cuts the weights into pieces and loads those that stay. `vectors` becomes RMSNorm's weights, two a layer and the last.
Status set_pool(linnet_model& model, const LayerPlaces* places, float* vectors, uint8_t* scratch, uint64_t scratch_bytes,
                Error& error) {
    const FileHeader& header = model.header;
    const ModelConfig& config = header.config;
    Decoder& decoder = model.decoder;
    Residency& residency = model.residency;
    const auto read_vector = [&](const TensorPlace& place, const float*& to) {
        to = vectors;
        Status status = read_bytes(model.platform, header.weights_offset + place.offset, vectors, place.bytes, error);
        vectors += config.hidden;
        return status;
    };
    Cutter cutter(residency.page_bytes, residency.matrices, residency.pieces);
    for (uint32_t i = 0; i < config.layers; ++i) {
        const LayerPlaces& place = places[i];
        LayerWeights& layer = decoder.layers[i];
        layer.qkv = matrix_in_pool(place.qkv);
        layer.attention_output = matrix_in_pool(place.attention_output);
        layer.gate_up = matrix_in_pool(place.gate_up);
        layer.down = matrix_in_pool(place.down);
        Status status = read_vector(place.attention_norm, layer.attention_norm);
        if (status == Status::ok) status = read_vector(place.feed_forward_norm, layer.feed_forward_norm);
        if (status != Status::ok) return status;
        cut_layer(cutter, place);
    }
    if (Status status = read_vector(model.layout.output_norm, decoder.output_norm); status != Status::ok) return status;
    decoder.output = matrix_in_pool(model.layout.output);
    cutter.add(model.layout.output, true);
    uint32_t order = 0;
    each_given_up(residency.piece_count, residency.piece_count,
                  [&](uint32_t piece) { residency.pieces[piece].order = order++; });
    residency.reset();
    decoder.residency = &residency;
    return residency.load(decoder.embedding.groups, scratch, scratch_bytes, error);
}

// What is read of the embedding for one token: nothing where it is in memory, or in place; else a group of rows, with a checksum that is
// learned when the weights are verified.
constexpr uint64_t row_group_bytes = 16384;

RowGroups row_groups(const linnet_platform& platform, const FileHeader& header, const ModelLayout& layout, bool pooled,
                     bool verify, uint64_t& row_bytes) {
    const bool tied = layout.embedding.rows == 0;
    const TensorPlace& place = tied ? layout.output : layout.embedding;
    row_bytes = tied ? (pooled ? block_stride(place.format, place.columns, place.group) : 0)
                     : row_stride(place.format, place.columns, place.group);
    RowGroups groups;
    groups.offset = place.offset;
    groups.bytes = (tied ? block_count(place.rows) : place.rows) * row_bytes;
    groups.group_bytes = row_bytes;
    const uint64_t at = header.weights_offset + place.offset;
    if (row_bytes == 0 ||
        (platform.map != nullptr && platform.map(platform.context, at, static_cast<size_t>(row_bytes)) != nullptr)) {
        groups.bytes = 0;  // none is ever read
    } else if (verify && row_bytes < row_group_bytes) {
        groups.group_bytes = row_group_bytes / row_bytes * row_bytes;
    }
    return groups;
}

}  // namespace

Status settle(const linnet_platform& platform, const linnet_options& options, const FileHeader& header, Settings& settings,
              Error& error) {
    const ModelConfig& config = header.config;
    if (options.version != LINNET_API_VERSION) {
        return error.fail(Status::bad_argument) << "linnet_options.version is " << options.version << "; this is version "
                                                << LINNET_API_VERSION << ". Start from linnet_default_options().";
    }
    if ((platform.begin_read == nullptr) != (platform.wait == nullptr)) {
        return error.fail(Status::bad_argument) << "The platform must give both begin_read and wait, or neither.";
    }
    if ((platform.scratch_write == nullptr) != (platform.scratch_read == nullptr) ||
        (platform.begin_scratch_read != nullptr && (platform.scratch_read == nullptr || platform.wait == nullptr))) {
        return error.fail(Status::bad_argument)
               << "The platform must give both scratch_write and scratch_read, or neither, and begin_scratch_read only with "
                  "them and with wait.";
    }
    settings.context =
        options.context != 0 ? options.context : (config.context < default_context ? config.context : default_context);
    if (settings.context > config.context) {
        return error.fail(Status::bad_argument) << "A context of " << settings.context
                                                << " tokens was asked for; this model has at most " << config.context << '.';
    }
    switch (options.kv_format) {
        case LINNET_KV_INT8: settings.kv_format = KvFormat::int8; break;
        case LINNET_KV_F16: settings.kv_format = KvFormat::f16; break;
        case LINNET_KV_F32: settings.kv_format = KvFormat::f32; break;
        case LINNET_KV_INT4: settings.kv_format = KvFormat::int4; break;
        default:
            return error.fail(Status::bad_argument)
                   << "kv_format " << options.kv_format << " is not one of int8, int4, f16 and f32.";
    }
    settings.batch = options.batch != 0 ? options.batch : default_batch;
    if (settings.batch > largest_batch) {
        return error.fail(Status::bad_argument)
               << "A batch of " << settings.batch << " tokens was asked for; the most is " << largest_batch << '.';
    }
    if (settings.batch > settings.context) settings.batch = settings.context;
    settings.sessions = options.sessions != 0 ? options.sessions : 1;
    if (settings.sessions > 64) return error.fail(Status::bad_argument) << "At most 64 sessions can be asked for.";
    if (options.verify > 1 || options.text_only > 1) {
        return error.fail(Status::bad_argument) << "verify and text_only are 0 or 1.";
    }
    settings.verify = options.verify != 0;
    settings.text_only = options.text_only != 0;
    settings.text_run = options.text_run != 0 ? options.text_run : default_text_run;
    settings.span = settings.batch;
    settings.page_bytes = 0;
    settings.page_count = settings.pieces = settings.largest_section = 0;
    settings.threads = platform.parallel == nullptr || platform.threads == 0 ? 1 : platform.threads;
    settings.kernels = select_kernels(options.kernels);
    if (settings.kernels == nullptr) {
        return error.fail(Status::bad_argument)
               << "There are no \"" << options.kernels << "\" kernels in this build, or this processor cannot run them.";
    }
    return Status::ok;
}

Status divide(const linnet_platform& platform, const FileHeader& header, const ModelLayout& layout, const Settings& settings,
              Arena& arena, linnet_plan& plan, linnet_model** out, Error& error) {
    const ModelConfig& config = header.config;
    plan = {};
    plan.context = settings.context;
    plan.batch = settings.batch;
    plan.span = settings.span;
    plan.weight_bytes_per_token = layout.bytes_per_token;
    uint64_t mark = 0;
    // Bytes taken since the last call.
    const auto taken = [&] {
        const uint64_t bytes = arena.used() - mark;
        mark = arena.used();
        return bytes;
    };

    linnet_model* model = arena.take<linnet_model>(1);
    char* name = arena.take<char>(header.name_bytes, 8);
    const uint64_t factor_count = config.rotary_dims / 2;
    float* factors[2] = {nullptr, nullptr};
    const uint64_t factor_offsets[2] = {header.rope_short_offset, header.rope_long_offset};
    const bool real = !arena.measuring();
    if (real && !arena.overflowed()) new (model) linnet_model{};
    RopeFrequencies rope;
    LayerPlaces* places = nullptr;
    LayerWeights* layers = nullptr;
    if (!settings.text_only) {
        for (int i = 0; i < 2; ++i) {
            if (factor_offsets[i] == 0) continue;
            factors[i] = arena.take<float>(factor_count);
            if (factors[i] == nullptr) continue;
            if (Status status = read_bytes(platform, factor_offsets[i], factors[i], factor_count * 4, error);
                status != Status::ok) {
                return status;
            }
            for (uint64_t k = 0; k < factor_count; ++k) {
                if (!(factors[i][k] >= 1e-3f && factors[i][k] <= 1e6f)) {
                    return error.fail(Status::bad_file)
                           << "The model file is damaged: RoPE factor " << k << " is out of range.";
                }
            }
        }
        rope.create(config, factors[0], factors[1], arena);
        places = arena.take<LayerPlaces>(config.layers);
        layers = arena.take<LayerWeights>(config.layers);
    }
    plan.other_bytes = taken();

    // The tokenizer is used in place where the platform maps the file.
    const uint8_t* mapped_block =
        header.tokenizer_bytes != 0 ? map(platform, header.tokenizer_offset, header.tokenizer_bytes) : nullptr;
    uint8_t* block = mapped_block == nullptr ? arena.take<uint8_t>(header.tokenizer_bytes) : nullptr;
    const size_t text_bytes = header.tokenizer_bytes != 0 ? Tokenizer::workspace_bytes(settings.text_run) : 0;
    uint8_t* text_workspace = arena.take<uint8_t>(text_bytes);
    plan.tokenizer_bytes = taken();

    const bool pooled = settings.page_bytes != 0;
    Residency residency;
    float* vectors = nullptr;  // where the matrices are in a pool: RMSNorm's weights, two a layer and the last
    KvCache shape;
    shape.shape(config, settings.kv_format, settings.context, settings.batch, pooled ? settings.page_bytes : UINT64_MAX);
    Workspace workspace;
    RowGroups groups;
    uint64_t row_bytes = 0;  // of the embedding
    linnet_session* sessions = nullptr;
    const uint8_t* weights = nullptr;
    uint8_t* weight_memory = nullptr;
    const uint64_t weight_bytes = bytes_of_weights(header, layout);
    if (!settings.text_only) {
        groups = row_groups(platform, header, layout, pooled, settings.verify, row_bytes);
        workspace.create(config, settings.batch, settings.span, pooled,
                         KvCache::slots_for(config, settings.context, settings.batch), settings.threads,
                         settings.kernels->attention_queries, groups.group_bytes, arena);
        plan.activation_bytes = taken();
        if (settings.verify && groups.bytes != 0) {
            groups.crc = arena.take<uint32_t>((groups.bytes + groups.group_bytes - 1) / groups.group_bytes);
            plan.other_bytes += taken();
        }
        sessions = arena.take<linnet_session>(settings.sessions);
        for (uint32_t i = 0; i < settings.sessions; ++i) {
            linnet_session session{};
            session.model = model;
            session.tokens = arena.take<int32_t>(settings.context);
            session.logits = arena.take<float>(config.vocabulary);
            session.sampler.create(config.vocabulary, arena);
            plan.session_bytes += taken();
            KvCache& cache = session.cache;
            cache.number = i;
            cache.shape(config, settings.kv_format, settings.context, settings.batch,
                        pooled ? settings.page_bytes : UINT64_MAX);
            cache.pages = arena.take<KvPage>(cache.all_pages());
            plan.session_bytes += taken();
            for (uint64_t page = 0; page < cache.all_pages(); ++page) {
                uint8_t* at = pooled ? nullptr : arena.take<uint8_t>(cache.page_bytes());
                if (real && !arena.overflowed()) {
                    cache.pages[page] = KvPage{};
                    cache.pages[page].at = at;
                }
            }
            plan.kv_bytes += taken();
            if (real && !arena.overflowed()) sessions[i] = session;
        }
        const uint64_t positions =
            config.window_keys != 0 && config.window_keys < settings.context ? config.window_keys : settings.context;
        plan.kv_bytes_per_token = uint64_t{config.layers} * 2 * positions * shape.slot_bytes();
        weights = pooled ? nullptr : map(platform, header.weights_offset + layout.layers_offset, weight_bytes);
        if (pooled) {
            residency.matrices = arena.take<MatrixPlace>(matrix_total(config.layers));
            residency.pieces = arena.take<WeightPiece>(settings.pieces);
            residency.caches = arena.take<KvCache*>(settings.sessions);
            residency.free_pages = arena.take<uint32_t>(settings.page_count);
            vectors = arena.take<float>((2 * uint64_t{config.layers} + 1) * config.hidden);
            plan.other_bytes += taken();
            residency.pool = arena.take<uint8_t>(settings.page_count * settings.page_bytes, read_alignment);
            plan.other_bytes += taken() - settings.page_count * settings.page_bytes;  // the pool's alignment
            plan_pool(layout, shape, settings, plan);
        } else if (weights != nullptr) {
            plan.mapped_bytes = weight_bytes;
        } else {
            weight_memory = arena.take<uint8_t>(weight_bytes);
            weights = weight_memory;
            plan.weights_bytes = taken();
        }
        if (!pooled) plan.layers_resident = config.layers;
    }
    plan.total_bytes = align_up(arena.used(), LINNET_ARENA_ALIGNMENT);
    plan.other_bytes += plan.total_bytes - arena.used();
    if (!real) return Status::ok;
    if (arena.overflowed()) {
        return error.fail(Status::does_not_fit) << "The arena is too small: this plan needs " << plan.total_bytes << " bytes.";
    }

    *out = model;
    model->platform = platform;
    model->header = header;
    model->layout = layout;
    model->plan = plan;
    model->name = name;
    model->sessions = sessions;
    model->session_count = settings.text_only ? 0 : settings.sessions;
    model->text_only = settings.text_only;
    model->text_workspace = text_workspace;
    model->text_workspace_bytes = text_bytes;
    if (Status status = read_bytes(platform, header.name_offset, name, header.name_bytes, error); status != Status::ok) {
        return status;
    }
    if (header.tokenizer_bytes != 0) {
        if (mapped_block == nullptr) {
            Status status = read_bytes(platform, header.tokenizer_offset, block, header.tokenizer_bytes, error);
            if (status != Status::ok) return status;
        }
        const uint8_t* at = mapped_block != nullptr ? mapped_block : block;
        if (Status status = model->tokenizer.open(at, static_cast<size_t>(header.tokenizer_bytes), error);
            status != Status::ok) {
            return status;
        }
        if (model->tokenizer.vocabulary() > config.vocabulary) {
            return error.fail(Status::bad_file)
                   << "The model file is damaged: its tokenizer has " << model->tokenizer.vocabulary()
                   << " pieces and its output matrix only " << config.vocabulary << " rows.";
        }
    }
    if (settings.text_only) return Status::ok;

    ModelLayout again;
    if (Status status = read_layout(platform, header, again, places, error); status != Status::ok) return status;
    Decoder& decoder = model->decoder;
    decoder.config = &model->header.config;
    decoder.platform = &model->platform;
    decoder.kernels = settings.kernels;
    decoder.layers = layers;
    decoder.rope = rope;
    decoder.work = workspace;
    decoder.header = &model->header;
    decoder.embedding = {layout.embedding.format,
                         layout.embedding.group,
                         layout.embedding.columns,
                         row_bytes,
                         layout.embedding.rows == 0 ? &decoder.output : nullptr,
                         groups};
    // The activations are not in use yet: they hold what is read only to be compared.
    uint8_t* scratch = reinterpret_cast<uint8_t*>(workspace.x);
    uint64_t scratch_bytes = plan.activation_bytes - tensor_alignment;
    if (scratch_bytes > 65536) scratch_bytes = 65536;
    if (pooled) {
        for (uint32_t i = 0; i < settings.sessions; ++i) residency.caches[i] = &sessions[i].cache;
        residency.platform = &model->platform;
        residency.header = &model->header;
        residency.piece_count = settings.pieces;
        residency.largest_section = settings.largest_section;
        residency.layers = config.layers;
        residency.cache_count = settings.sessions;
        residency.page_count = settings.page_count;
        residency.page_bytes = settings.page_bytes;
        residency.verify = settings.verify;
        model->residency = residency;
        return set_pool(*model, places, vectors, scratch, scratch_bytes, error);
    }
    for (uint32_t i = 0; i < config.layers; ++i) {
        const LayerPlaces& place = places[i];
        layers[i] = {vector_at(place.attention_norm, weights, layout.layers_offset),
                     matrix_at(place.qkv, weights, layout.layers_offset),
                     matrix_at(place.attention_output, weights, layout.layers_offset),
                     vector_at(place.feed_forward_norm, weights, layout.layers_offset),
                     matrix_at(place.gate_up, weights, layout.layers_offset),
                     matrix_at(place.down, weights, layout.layers_offset)};
    }
    decoder.output_norm = vector_at(layout.output_norm, weights, layout.layers_offset);
    decoder.output = matrix_at(layout.output, weights, layout.layers_offset);
    if (weight_memory == nullptr && !settings.verify) return Status::ok;
    const uint64_t kept_from = weight_memory != nullptr ? layout.layers_offset : header.weights_bytes;
    return load_weights(platform, header, kept_from, weight_memory, settings.verify, groups, scratch, scratch_bytes,
                        decoder.bytes_read, error);
}

WeightRun weights_in_memory(const linnet_model& model) {
    if (model.text_only || model.decoder.residency != nullptr) return {nullptr, 0};
    // They begin with RMSNorm's of the first layer.
    return {reinterpret_cast<const uint8_t*>(model.decoder.layers[0].attention_norm),
            bytes_of_weights(model.header, model.layout)};
}

}  // namespace linnet
