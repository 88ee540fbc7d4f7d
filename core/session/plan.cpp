// How the arena is used under a ceiling: everything in its place where that fits, else a pool of pages, the best that there is
// room for.
#include "core/session/model.h"

#include <initializer_list>

namespace linnet {

namespace {

constexpr uint64_t largest_page = uint64_t{1} << 20;  // what storage reads well, and small beside a layer
constexpr uint64_t smallest_page = uint64_t{32} << 10;
constexpr uint32_t least_batch_in_place = 16;     // below it a pool with a larger batch does better
constexpr uint32_t most_layers = 512;             // as check_config has it
constexpr uint64_t page_cost = sizeof(uint32_t);  // of the list of free pages

// What the tensor table says about pieces, for one size of page.
struct CutUp {
    Cutter cutter;
    uint32_t layers = 0;
    uint32_t first_piece[most_layers + 1] = {};  // of each layer, and of what follows them

    explicit CutUp(uint64_t page_bytes) : cutter(page_bytes, nullptr, nullptr) {}
};

Status cut_up(const linnet_platform& platform, const FileHeader& header, CutUp& cut, Error& error) {
    ModelLayout layout;
    const EachLayer each = [](void* context, const LayerPlaces& places) {
        CutUp& self = *static_cast<CutUp*>(context);
        self.first_piece[self.layers++] = self.cutter.pieces();
        cut_layer(self.cutter, places);
    };
    if (Status status = read_layout(platform, header, layout, nullptr, error, each, &cut); status != Status::ok) return status;
    cut.first_piece[cut.layers] = cut.cutter.pieces();
    cut.cutter.add(layout.output, true);
    return Status::ok;
}

// The largest block of any matrix decides how small a page can be.
Status page_need(const linnet_platform& platform, const FileHeader& header, uint64_t& bytes, Error& error) {
    PageNeed need;
    ModelLayout layout;
    const EachLayer each = [](void* context, const LayerPlaces& places) {
        PageNeed& all = *static_cast<PageNeed*>(context);
        for (const TensorPlace* place : {&places.qkv, &places.attention_output, &places.gate_up, &places.down}) all.add(*place);
    };
    if (Status status = read_layout(platform, header, layout, nullptr, error, each, &need); status != Status::ok) return status;
    need.add(layout.output);
    bytes = need.bytes;
    return Status::ok;
}

// Layers of which at least one piece is streamed when `streamed` are.
uint32_t layers_touched(const CutUp& cut, uint32_t streamed) {
    bool touched[most_layers + 1] = {};
    each_given_up(cut.cutter.pieces(), streamed, [&](uint32_t piece) {
        uint32_t low = 0, high = cut.layers + 1;  // the last one that begins at or before it
        while (high - low > 1) {
            const uint32_t middle = (low + high) / 2;
            if (cut.first_piece[middle] <= piece) {
                low = middle;
            } else {
                high = middle;
            }
        }
        touched[low] = true;
    });
    uint32_t count = 0;
    for (uint32_t layer = 0; layer < cut.layers; ++layer) count += touched[layer] ? 1 : 0;
    return count;
}

// A pool under consideration.
class PoolPlan {
public:
    PoolPlan(const linnet_platform& platform, const FileHeader& header, const ModelLayout& layout, Settings& settings)
        : platform_(platform), header_(header), layout_(layout), settings_(settings) {}

    // Pages of at most about `target` bytes; what the table says of them is kept for all batches.
    Status take_page(uint64_t target, uint64_t need, Error& error) {
        KvCache cache = shape(target);
        const uint64_t bytes = cache.page_bytes() >= target / 2 ? cache.page_bytes() : target;
        settings_.page_bytes = align_up(bytes > need ? bytes : need, read_alignment);
        CutUp cut(settings_.page_bytes);
        if (Status status = cut_up(platform_, header_, cut, error); status != Status::ok) return status;
        settings_.pieces = cut.cutter.pieces();
        settings_.largest_section = cut.cutter.largest_section();
        return Status::ok;
    }

    // As many pages as `memory` has room for beside the rest.
    Status fill(uint32_t batch, uint32_t span, uint64_t memory, linnet_plan& plan, Error& error) {
        settings_.batch = batch;
        settings_.span = span;
        Status status = measure(least_pages(), plan, error);
        if (status != Status::ok) return status;
        least_bytes_ = plan.total_bytes;
        status = measure(0, plan, error);
        if (status != Status::ok) return status;
        // The pool's alignment may take the room of one, or have room for the list of one more.
        uint64_t pages = memory > plan.total_bytes ? (memory - plan.total_bytes) / (settings_.page_bytes + page_cost) + 1 : 0;
        if (pages > most_pages()) pages = most_pages();
        status = measure(pages, plan, error);
        while (status == Status::ok && plan.total_bytes > memory && pages > 0) status = measure(--pages, plan, error);
        return status;
    }

    // Pages without which it does not work: what one batch needs, and where nothing can be spilled everything else.
    uint64_t least_pages() const {
        const KvCache cache = shape(settings_.page_bytes);
        if (platform_.scratch_write == nullptr) return kv_pages() + Residency::ring_pages;
        const uint64_t of_batch = 2 * (uint64_t{settings_.batch} / cache.page_slots + 2);
        const uint64_t open = 2 * uint64_t{cache.layers};  // each layer's last page stays, else every token writes it
        const uint64_t least = open + of_batch;
        return (least < kv_pages() ? least : kv_pages()) + Residency::ring_pages;
    }
    // With these a layer can be held while several batches go through it.
    uint64_t good_pages() const {
        return least_pages() + 2 * uint64_t{shape(settings_.page_bytes).page_count} + settings_.largest_section;
    }
    uint64_t least_bytes() const { return least_bytes_; }

private:
    KvCache shape(uint64_t most_page_bytes) const {
        KvCache cache;
        cache.shape(header_.config, settings_.kv_format, settings_.context, settings_.batch, most_page_bytes);
        return cache;
    }
    uint64_t kv_pages() const { return shape(settings_.page_bytes).all_pages() * settings_.sessions; }
    uint64_t most_pages() const {
        const uint64_t all = kv_pages() + settings_.pieces + Residency::ring_pages;
        return all < UINT32_MAX ? all : UINT32_MAX - 1;
    }
    Status measure(uint64_t pages, linnet_plan& plan, Error& error) {
        settings_.page_count = static_cast<uint32_t>(pages);
        Arena arena;
        return divide(platform_, header_, layout_, settings_, arena, plan, nullptr, error);
    }

    const linnet_platform& platform_;
    const FileHeader& header_;
    const ModelLayout& layout_;
    Settings& settings_;
    uint64_t least_bytes_ = 0;
};

// How many tokens one pass over the weights is to serve: as many as the prompt can have, as long as their hidden states are a
// small part of the memory.
uint32_t span_for(const Settings& settings, const ModelConfig& config, uint64_t memory) {
    uint64_t span = settings.batch;
    while (span < settings.context && 2 * span * config.hidden * sizeof(float) <= memory / 16) span *= 2;
    return static_cast<uint32_t>(span);
}

}  // namespace

Status make_plan(const linnet_platform& platform, const linnet_options& options, const FileHeader& header,
                 const ModelLayout& layout, Settings& settings, linnet_plan& plan, Error& error) {
    const auto in_place = [&](uint32_t batch) {
        settings.page_bytes = 0;
        settings.page_count = 0;
        settings.batch = settings.span = batch;
        Arena arena;
        return divide(platform, header, layout, settings, arena, plan, nullptr, error);
    };
    const uint64_t memory = options.memory > options.program_bytes ? options.memory - options.program_bytes : 0;
    const auto fits = [&] { return options.memory == 0 || plan.total_bytes <= memory; };
    const uint32_t batch = settings.batch;
    // A smaller batch needs less working memory and gives the same bits: it is the first thing to go.
    uint32_t tried = batch;
    for (;; tried /= 2) {
        if (Status status = in_place(tried); status != Status::ok) return status;
        if (fits()) {
            if (plan.total_bytes <= UINT64_MAX / 4 && plan.total_bytes <= SIZE_MAX) return Status::ok;
            return error.fail(Status::does_not_fit) << "This model and context need more memory than can be addressed.";
        }
        if (tried / 2 < least_batch_in_place || settings.text_only) break;
    }
    uint64_t smallest = UINT64_MAX;
    if (plan.mapped_bytes == 0 && !settings.text_only) {
        uint64_t need = 0;
        if (Status status = page_need(platform, header, need, error); status != Status::ok) return status;
        PoolPlan pool(platform, header, layout, settings);
        // First one in which layers can be held by batches that are worth it, then one that works at all.
        const uint32_t least_good = batch < least_batch_in_place ? batch : least_batch_in_place;
        for (const bool good : {true, false}) {
            for (uint32_t size = batch; size >= (good ? least_good : 1); size /= 2) {
                for (uint64_t target = largest_page; target >= smallest_page; target /= 2) {
                    settings.batch = size;
                    Status status = pool.take_page(target, need, error);
                    if (status == Status::ok) status = pool.fill(size, size, memory, plan, error);
                    if (status != Status::ok) return status;
                    if (pool.least_bytes() < smallest) smallest = pool.least_bytes();
                    if (settings.page_count < (good ? pool.good_pages() : pool.least_pages())) continue;
                    const uint32_t span = good ? span_for(settings, header.config, memory) : size;
                    status = pool.fill(size, span, memory, plan, error);
                    if (status == Status::ok && settings.page_count < pool.good_pages()) {
                        status = pool.fill(size, size, memory, plan, error);
                    }
                    if (status != Status::ok) return status;
                    if (plan.total_bytes <= memory && plan.total_bytes <= SIZE_MAX) return Status::ok;
                }
            }
        }
    }
    for (tried = tried / 2; tried >= 1; tried /= 2) {
        if (Status status = in_place(tried); status != Status::ok) return status;
        if (fits()) return Status::ok;
    }
    if (plan.total_bytes < smallest) smallest = plan.total_bytes;
    return error.fail(Status::does_not_fit)
           << "A ceiling of " << options.memory << " bytes is too small for this model with a context of " << settings.context
           << " tokens: the smallest that would do is " << smallest + options.program_bytes
           << " bytes. Raise it, or ask for a smaller context.";
}

void plan_pool(const ModelLayout& layout, const KvCache& cache, const Settings& settings, linnet_plan& plan) {
    const uint64_t page = settings.page_bytes;
    const uint64_t ring = Residency::ring_pages;
    const uint64_t all_kv = cache.all_pages() * settings.sessions;
    const uint64_t left = settings.page_count > ring ? settings.page_count - ring : 0;
    const uint64_t kv = all_kv < left ? all_kv : left;
    const auto stay = [&](uint64_t pages) { return static_cast<uint32_t>(pages < settings.pieces ? pages : settings.pieces); };
    plan.page_bytes = static_cast<uint32_t>(page);
    plan.pages = settings.page_count;
    plan.pieces = settings.pieces;
    plan.pieces_resident = stay(left - kv);
    // A token has a page of keys and one of values in each layer.
    const uint64_t first = 2 * uint64_t{cache.layers};
    plan.pieces_resident_at_start = stay(left - (kv < first ? kv : first));
    plan.weights_bytes = plan.pieces_resident * page;
    plan.kv_bytes = kv * page;
    plan.ring_bytes = settings.page_count * page - plan.weights_bytes - plan.kv_bytes;
    plan.spilled_bytes = (all_kv - kv) * page;
    // Pieces are nearly equal.
    const auto share = [&](uint32_t resident) {
        return settings.pieces == 0 ? 0 : layout.bytes_per_token / settings.pieces * (settings.pieces - resident);
    };
    plan.streamed_bytes_per_pass = share(plan.pieces_resident);
    plan.streamed_bytes_per_pass_at_start = share(plan.pieces_resident_at_start);
}

Status count_layers(const linnet_platform& platform, const FileHeader& header, linnet_plan& plan, Error& error) {
    if (plan.page_bytes == 0) return Status::ok;
    CutUp cut(plan.page_bytes);
    if (Status status = cut_up(platform, header, cut, error); status != Status::ok) return status;
    plan.layers_streamed = layers_touched(cut, plan.pieces - plan.pieces_resident);
    plan.layers_resident = header.config.layers - plan.layers_streamed;
    return Status::ok;
}

}  // namespace linnet
