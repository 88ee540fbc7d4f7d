// The pages of the KV caches: taken from the pool as a conversation grows, given up to the scratch storage where there are no more.
#include "core/stream/checksum.h"
#include "core/stream/residency.h"

namespace linnet {

uint64_t Residency::scratch_offset(const KvCache& cache, const KvPage& page) const {
    return (cache.number * cache.all_pages() + static_cast<uint64_t>(&page - cache.pages)) * page_bytes;
}

bool Residency::good(const KvPage& page) const { return !verify || checksum(*platform, page.at, page_bytes) == page.crc; }

// Takes its memory away; what the scratch storage has of it stays there.
void Residency::free_kv(KvPage& page) {
    give_back(page_of(page));
    page.at = nullptr;
    if (page.kept) --kv_kept_;
    page.kept = page.busy = false;
}

bool Residency::start_kv(const KvCache& cache, KvPage& page) {
    if (platform->begin_scratch_read == nullptr) return false;
    Request* request = free_request();
    if (request == nullptr || free_count_ == 0) return false;
    const uint32_t taken = take_page(0);
    if (platform->begin_scratch_read(platform->context, scratch_offset(cache, page), page_at(taken),
                                     static_cast<size_t>(page_bytes), &request->ticket) != 0) {
        give_back(taken);
        return false;
    }
    page.at = page_at(taken);
    page.reading = true;
    page.kept = page.busy = false;
    request->active = true;
    request->kv = &page;
    request->cache = &cache;
    return true;
}

// The page that is given up next: of a conversation that is not being computed first, then by an order that is spread over all
// layers and stays the same, so that the others stay where they are.
KvPage* Residency::victim(bool open_too, const KvCache*& owner) const {
    KvPage* best = nullptr;
    bool best_active = false;
    uint32_t best_order = 0;
    for (uint32_t c = 0; c < cache_count; ++c) {
        const KvCache& cache = *caches[c];
        const bool active = caches[c] == active_;
        for (uint64_t i = 0; i < cache.all_pages(); ++i) {
            KvPage& page = cache.pages[i];
            if (page.at == nullptr || !page.kept || page.busy || page.reading) continue;
            const uint32_t index = static_cast<uint32_t>(i % cache.page_count);
            if (active && !open_too && index >= open_first_ && index < open_end_) continue;
            // Multiplying by an odd constant (2^32 divided by the golden ratio) spreads neighbours far apart.
            const uint32_t order = static_cast<uint32_t>(i) * 2654435769u;
            if (best != nullptr && (active > best_active || (active == best_active && order >= best_order))) continue;
            best = &page;
            best_active = active;
            best_order = order;
            owner = caches[c];
        }
    }
    return best;
}

Status Residency::evict_kv(Error& error) {
    const KvCache* owner = nullptr;
    KvPage* page = victim(false, owner);
    if (page == nullptr) page = victim(true, owner);
    if (page == nullptr) {
        return error.fail(Status::does_not_fit)
               << "The pool of pages is too small for the keys and values of one layer. Ask for more memory.";
    }
    if (!page->stored) {
        if (platform->scratch_write == nullptr) {
            return error.fail(Status::does_not_fit)
                   << "The keys and values do not fit, and the platform has no storage for them. Ask for more memory.";
        }
        const int32_t result = platform->scratch_write(platform->context, scratch_offset(*owner, *page), page->at,
                                                       static_cast<size_t>(page_bytes));
        if (result != 0) {
            return error.fail(Status::io) << "Keys and values could not be written to the scratch storage (platform error "
                                          << result << "). Is there room left in it? What has been said is kept.";
        }
        if (verify) page->crc = checksum(*platform, page->at, page_bytes);
        page->stored = spilled_ = true;
        counts.scratch_written += page_bytes;
    }
    free_kv(*page);
    return Status::ok;
}

// Fills a page that has been given memory. Where that fails twice the whole cache is given up for lost.
Status Residency::read_kv(const KvCache& cache, KvPage& page, Error& error) {
    int32_t result = 0;
    for (int tries = 2; tries > 0; --tries) {
        result =
            platform->scratch_read(platform->context, scratch_offset(cache, page), page.at, static_cast<size_t>(page_bytes));
        counts.scratch_read += page_bytes;
        if (result == 0 && good(page)) return Status::ok;
    }
    free_kv(page);
    cache.lost = true;
    if (result != 0) {
        return error.fail(Status::io) << "Reading keys and values back from the scratch storage failed twice (platform error "
                                      << result << "). They are computed again from the tokens when you go on.";
    }
    return error.fail(Status::io) << "Keys and values came back from the scratch storage with a wrong checksum twice. They are "
                                     "computed again from the tokens when you go on.";
}

Status Residency::kv_read(const KvCache& cache, uint32_t layer, uint32_t kind, uint32_t index, bool must, bool& ready,
                          Error& error) {
    KvPage& page = cache.page(layer, kind, index);
    ready = true;
    if (page.reading) finish_reading(page);
    if (page.at == nullptr) {
        const bool room = kv_kept_ + 1 + reserve_ <= page_count;
        if (Status status = bring(cache, page, room, must, error); status != Status::ok) return status;
        ready = page.at != nullptr;
        if (!ready) return Status::ok;
        const uint32_t behind = behind_qkv(layer);
        go_on_behind(behind - 1, layer, kind * cache.page_count + index + 1);
    }
    page.busy = true;
    ahead();
    return Status::ok;
}

// Gives a page memory and what it held; without memory and without an error where there is none and it need not be.
Status Residency::bring(const KvCache& cache, KvPage& page, bool keep, bool must, Error& error) {
    if (keep) ++kv_kept_;  // one piece of the weights less stays, and gives its page
    uint32_t taken = take_page(0);
    Status status = Status::ok;
    if (taken == no_page && must) status = page_for(error, taken);
    if (taken == no_page) {
        if (keep) --kv_kept_;
        return status;
    }
    page.at = page_at(taken);
    page.kept = keep;
    if (page.stored) return read_kv(cache, page, error);
    memset(page.at, 0, static_cast<size_t>(page_bytes));  // never written: no position in it counts
    return Status::ok;
}

Status Residency::kv_write(const KvCache& cache, uint32_t layer, uint32_t kind, uint32_t index, Error& error) {
    KvPage& page = cache.page(layer, kind, index);
    if (page.reading) finish_reading(page);
    if (!page.kept) {
        while (kv_kept_ + 1 + reserve_ > page_count) {
            if (Status status = evict_kv(error); status != Status::ok) return status;
        }
        if (page.at == nullptr) {
            if (Status status = bring(cache, page, true, true, error); status != Status::ok) return status;
        } else {
            page.kept = true;
            ++kv_kept_;
        }
    }
    page.busy = true;
    page.stored = false;
    ahead();
    return Status::ok;
}

void Residency::kv_done(const KvCache& cache, uint32_t layer, uint32_t kind, uint32_t index) {
    KvPage& page = cache.page(layer, kind, index);
    page.busy = false;
    if (page.at != nullptr && !page.kept && !page.reading) free_kv(page);
}

void Residency::kv_layer_done(const KvCache& cache, uint32_t layer) {
    for (uint32_t kind = kv_keys; kind <= kv_values; ++kind) {
        for (uint32_t index = 0; index < cache.page_count; ++index) {
            if (cache.page(layer, kind, index).busy) kv_done(cache, layer, kind, index);
        }
    }
}

void Residency::kv_release(const KvCache& cache, uint32_t from_index) {
    for (uint64_t i = 0; i < cache.all_pages(); ++i) {
        if (i % cache.page_count < from_index) continue;
        KvPage& page = cache.pages[i];
        if (page.reading) finish(*request_of(nullptr, &page));
        page.stored = false;
        if (page.at != nullptr) free_kv(page);
    }
}

namespace {

// Pages of one kind of one layer that hold the positions of a pass and what they see.
uint32_t pages_in_use(const KvCache& cache, uint64_t end) {
    const uint64_t slots = end < cache.slots ? end : cache.slots;
    return static_cast<uint32_t>((slots + cache.page_slots - 1) / cache.page_slots);
}

}  // namespace

bool Residency::can_hold(const KvCache& cache, uint32_t first, uint32_t count) const {
    const uint64_t of_layer = 2 * uint64_t{pages_in_use(cache, uint64_t{first} + count)};
    const uint64_t need = of_layer * layers + largest_section + ring_pages;
    if (need <= page_count) return true;  // all of its keys and values stay
    return platform->scratch_write != nullptr && 2 * of_layer + largest_section + ring_pages + 2 <= page_count;
}

Status Residency::begin_pass(const KvCache& cache, uint32_t first, uint32_t count, bool hold, Error& error) {
    // What an earlier pass left in the middle.
    for (uint32_t c = 0; c < cache_count; ++c) {
        for (uint64_t i = 0; i < caches[c]->all_pages(); ++i) {
            KvPage& page = caches[c]->pages[i];
            if (page.at == nullptr || page.reading) continue;
            page.busy = false;
            if (!page.kept) free_kv(page);
        }
    }
    active_ = &cache;
    hold_ = hold;
    at_ = 0;
    protect_end_ = 0;
    next_piece_ = next_layer_ = next_kv_ = looked_ahead_ = 0;
    open_first_ = first % cache.slots / cache.page_slots;
    open_end_ = (first + count - 1) % cache.slots / cache.page_slots + 1;
    if (open_end_ <= open_first_ || count >= cache.slots) {
        open_first_ = 0;
        open_end_ = cache.page_count;
    }
    reserve_ = ring_pages;
    if (hold) {
        const uint64_t of_layer = 2 * uint64_t{pages_in_use(cache, uint64_t{first} + count)};
        const bool all_stay = of_layer * layers + ring_pages + largest_section <= page_count;
        const uint64_t everything = of_layer * layers + ring_pages + piece_count;
        if (everything > page_count) reserve_ = largest_section + ring_pages;
        if (!all_stay) reserve_ += static_cast<uint32_t>(of_layer);
    }
    while (kv_kept_ + reserve_ > page_count) {
        if (Status status = evict_kv(error); status != Status::ok) return status;
    }
    ahead();
    return Status::ok;
}

}  // namespace linnet
