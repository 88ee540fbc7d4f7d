// The tournament tree, the merge loop, and the cut of a run that is longer than the memory.
#include "core/text/merger.h"

#include <cstring>
#include <initializer_list>

#include "core/base/bytes.h"

namespace linnet {

namespace {

constexpr uint32_t largest_window = 16380;  // characters: four bytes each still have 16-bit places
constexpr uint32_t smallest_window = 64;
constexpr uint32_t side_least = 128;

// Multiples of 4, so that the sizes below are exact.
constexpr uint32_t window_for(size_t run_bytes) {
    const size_t characters = run_bytes + 1;  // and the space that a text begins with
    if (characters >= largest_window) return largest_window;
    return static_cast<uint32_t>(align_up(characters < smallest_window ? smallest_window : characters, 4));
}
constexpr uint32_t side_for(uint32_t window) { return window / 4 + side_least; }
// For each character of both: a rank, previous, next and tree; start has one more. Then the text of the window.
constexpr size_t bytes_for(uint32_t window) {
    return align_up(
        size_t{window + side_for(window)} * (4 + 3 * 2) + size_t{window + side_for(window) + 2} * 2 + size_t{window} * 4, 8);
}

}  // namespace

size_t Merger::workspace_bytes(size_t run_bytes) { return bytes_for(window_for(run_bytes)); }

bool Merger::open(const Tokenizer& tokenizer, void* workspace, size_t workspace_bytes, IdWriter& writer) {
    if (workspace == nullptr || workspace_bytes < bytes_for(smallest_window)) return false;
    // The largest window that fits.
    uint32_t low = smallest_window / 4, high = largest_window / 4;
    while (low < high) {
        const uint32_t middle = (low + high + 1) / 2;
        if (bytes_for(middle * 4) <= workspace_bytes) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    tokenizer_ = &tokenizer;
    writer_ = &writer;
    window_ = low * 4;
    side_capacity_ = side_for(window_);
    count_ = 0;
    wrote_unknown_ = false;

    auto* words = static_cast<uint32_t*>(workspace);
    run_.rank = words;
    side_.rank = run_.rank + window_;
    auto* halves = reinterpret_cast<uint16_t*>(side_.rank + side_capacity_);
    const auto take = [&halves](uint32_t count) {
        uint16_t* at = halves;
        halves += count;
        return at;
    };
    for (Symbols* symbols : {&run_, &side_}) {
        const uint32_t capacity = symbols == &run_ ? window_ : side_capacity_;
        symbols->start = take(capacity + 1);
        symbols->previous = take(capacity);
        symbols->next = take(capacity);
        symbols->tree = take(capacity);
        symbols->count = 0;
    }
    bytes_ = reinterpret_cast<char*>(halves);
    run_.start[0] = 0;
    return true;
}

// ---- the tree -----------------------------------------------------------------------------------------------------------

uint32_t Merger::end_of(const Symbols& symbols, uint32_t symbol) const {
    const uint16_t next = symbols.next[symbol];
    return symbols.start[next == none ? symbols.count : next];
}

uint32_t Merger::pair_rank(const Symbols& symbols, uint32_t left) const {
    const uint16_t right = symbols.next[left];
    if (right == none) return no_pair;
    const uint32_t start = symbols.start[left];
    const int32_t id = tokenizer_->find(bytes_ + start, end_of(symbols, right) - start);
    return id < 0 ? no_pair : tokenizer_->rank(id);
}

bool Merger::before(const Symbols& symbols, uint32_t a, uint32_t b) {
    return symbols.rank[a] < symbols.rank[b] || (symbols.rank[a] == symbols.rank[b] && a < b);
}

// Nodes 1..count-1 are inner ones; node count + i is the pair that begins with symbol i.
uint32_t Merger::winner(const Symbols& symbols, uint32_t node) {
    const auto champion = [&](uint32_t child) { return child >= symbols.count ? child - symbols.count : symbols.tree[child]; };
    const uint32_t a = champion(2 * node), b = champion(2 * node + 1);
    return before(symbols, a, b) ? a : b;
}

void Merger::update(const Symbols& symbols, uint32_t symbol) {
    for (uint32_t node = (symbols.count + symbol) / 2; node >= 1; node /= 2) {
        const uint32_t won = winner(symbols, node);
        // Above here nothing has changed: neither this winner nor its rank.
        if (won == symbols.tree[node] && won != symbol) break;
        symbols.tree[node] = static_cast<uint16_t>(won);
    }
}

void Merger::merge(Symbols& symbols) const {
    const uint32_t count = symbols.count;
    for (uint32_t i = 0; i < count; ++i) {
        symbols.previous[i] = i == 0 ? none : static_cast<uint16_t>(i - 1);
        symbols.next[i] = i + 1 == count ? none : static_cast<uint16_t>(i + 1);
    }
    if (count < 2) return;
    for (uint32_t i = 0; i < count; ++i) symbols.rank[i] = pair_rank(symbols, i);
    for (uint32_t node = count - 1; node >= 1; --node) symbols.tree[node] = static_cast<uint16_t>(winner(symbols, node));
    for (;;) {
        const uint32_t left = symbols.tree[1];
        if (symbols.rank[left] == no_pair) break;
        const uint32_t right = symbols.next[left];
        const uint16_t after = symbols.next[right];
        symbols.next[left] = after;
        if (after != none) symbols.previous[after] = static_cast<uint16_t>(left);
        symbols.rank[right] = no_pair;
        update(symbols, right);
        symbols.rank[left] = pair_rank(symbols, left);
        update(symbols, left);
        if (const uint16_t previous = symbols.previous[left]; previous != none) {
            symbols.rank[previous] = pair_rank(symbols, previous);
            update(symbols, previous);
        }
    }
}

// ---- the run --------------------------------------------------------------------------------------------------------------

bool Merger::add(const char* text, size_t bytes) {
    if (count_ == window_ && !settle()) return false;
    const uint32_t start = run_.start[count_];
    memcpy(bytes_ + start, text, bytes);
    ++count_;
    run_.start[count_] = static_cast<uint16_t>(start + bytes);
    return true;
}

void Merger::finish() {
    if (count_ == 0) return;
    run_.count = count_;
    merge(run_);
    write(run_, 0, count_);
    count_ = 0;
}

void Merger::put_whole(int32_t id) {
    wrote_unknown_ = false;
    writer_->put(id);
}

void Merger::write(const Symbols& symbols, uint32_t first, uint32_t last) {
    for (uint32_t symbol = first; symbol != none && symbol < last; symbol = symbols.next[symbol]) {
        const uint32_t start = symbols.start[symbol];
        write_symbol(bytes_ + start, end_of(symbols, symbol) - start);
    }
}

void Merger::write_symbol(const char* text, size_t bytes) {
    if (const int32_t id = tokenizer_->find(text, bytes); id >= 0) {
        put_whole(id);
    } else if (tokenizer_->byte_id(0) >= 0) {
        for (size_t i = 0; i < bytes; ++i) put_whole(tokenizer_->byte_id(static_cast<uint8_t>(text[i])));
    } else {
        // One unknown piece stands for a whole stretch of what is not in the vocabulary.
        if (!wrote_unknown_) writer_->put(tokenizer_->unknown());
        wrote_unknown_ = true;
    }
}

// ---- a run longer than the window -----------------------------------------------------------------------------------------
//
// Merges never cross a boundary of the result, so the left part of a result is what the left part alone merges to, and two
// results join unchanged exactly when the last piece of one and the first of the other stay two pieces when merged together.
//
// However the run goes on, some boundary of its result lies at most one piece before the window's end: its last boundary q
// in the window. What stands before q is the result of window[..q] alone. So if for every such q the result of window[..q]
// has a boundary at the same place c, then whatever follows, the whole run has it, and what stands before c can be written.
// With q the window's end that is the merge of the window itself; for the others it is enough that window[c..q], merged
// alone, joins at c.

Merger::Symbols Merger::merge_aside(uint32_t from, uint32_t to) const {
    Symbols symbols = side_;
    symbols.count = to - from;
    for (uint32_t i = 0; i <= symbols.count; ++i) symbols.start[i] = run_.start[from + i];
    merge(symbols);
    return symbols;
}

// Does the result of [cut, to) join that of the whole window before `cut`?
bool Merger::joins_at(const Symbols& symbols, uint32_t cut, uint32_t to) const {
    const uint32_t before_cut = symbols.previous[cut];
    const Symbols tail = merge_aside(cut, to);
    const uint32_t first_end = tail.next[0] == none ? to : cut + tail.next[0];
    if (first_end - before_cut > side_capacity_) return false;
    const Symbols both = merge_aside(before_cut, first_end);
    return both.next[0] == cut - before_cut && both.next[both.next[0]] == none;
}

bool Merger::settle() {
    run_.count = count_;
    merge(run_);
    const uint32_t reach = tokenizer_->longest_piece();  // a piece over the window's end begins less than this before it
    for (uint32_t distance = reach + 16; distance < side_capacity_ && distance < count_; distance *= 2) {
        uint32_t cut = 0;
        for (uint32_t symbol = 0; symbol != none && symbol + distance <= count_; symbol = run_.next[symbol]) cut = symbol;
        if (cut == 0 || count_ - cut > side_capacity_) continue;
        bool certain = true;
        for (uint32_t end = count_ - 1; certain && end + reach > count_; --end) certain = joins_at(run_, cut, end);
        if (!certain) continue;
        write(run_, 0, cut);
        const uint32_t start = run_.start[cut], bytes = run_.start[count_] - start;
        memmove(bytes_, bytes_ + start, bytes);
        for (uint32_t i = cut; i <= count_; ++i) run_.start[i - cut] = static_cast<uint16_t>(run_.start[i] - start);
        count_ -= cut;
        return true;
    }
    return false;
}

}  // namespace linnet
