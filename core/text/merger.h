// Byte-pair merging by rank, in memory that is given: repeatedly the adjacent pair whose text is the piece of the lowest rank,
// the leftmost among equals, until no pair makes a piece.
//
// A tournament tree over the pairs finds the next one, so n characters take O(n log n). Characters come one by one; a run that
// is longer than the memory is cut where it provably merges the same whatever follows (see Merger::settle).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/text/tokenizer.h"

namespace linnet {

// Ids as they come: the first `capacity` are kept, all are counted.
struct IdWriter {
    int32_t* ids;
    size_t capacity;
    size_t count;
    void put(int32_t id) {
        if (count < capacity) ids[count] = id;
        ++count;
    }
};

class Merger {
public:
    static size_t workspace_bytes(size_t run_bytes);

    // `workspace` is 8-aligned. False: too small for anything.
    bool open(const Tokenizer& tokenizer, void* workspace, size_t workspace_bytes, IdWriter& writer);

    // The next character (1 to 4 bytes) of the run. False: the run does not fit, and nothing more can be added.
    bool add(const char* text, size_t bytes);
    bool empty() const { return count_ == 0; }
    // The run ends here: its ids are written.
    void finish();
    // A piece that stands by itself between two runs.
    void put_whole(int32_t id);
    // What is unknown from here on has a piece of its own.
    void end_unknown() { wrote_unknown_ = false; }
    // Characters that one run can have before settle() must find a cut in it.
    uint32_t capacity() const { return window_; }

private:
    // The characters of one merge, as symbols that grow. A symbol is named by its first character.
    struct Symbols {
        uint16_t* start;     // [count + 1] where each character begins in bytes_; never changes
        uint16_t* previous;  // [count]
        uint16_t* next;      // [count] `none` at the end
        uint16_t* tree;      // [count] winners among the pairs; tree[1] is the next to merge
        uint32_t* rank;      // [count] of the pair (symbol, next)
        uint32_t count;
    };
    static constexpr uint16_t none = 0xffff;
    static constexpr uint32_t no_pair = 0xffffffff;

    uint32_t end_of(const Symbols& symbols, uint32_t symbol) const;
    uint32_t pair_rank(const Symbols& symbols, uint32_t left) const;
    static bool before(const Symbols& symbols, uint32_t a, uint32_t b);
    static uint32_t winner(const Symbols& symbols, uint32_t node);
    static void update(const Symbols& symbols, uint32_t symbol);
    void merge(Symbols& symbols) const;
    void write(const Symbols& symbols, uint32_t first, uint32_t last);
    void write_symbol(const char* text, size_t bytes);
    // Merges characters [from, to) of the run in the side symbols.
    Symbols merge_aside(uint32_t from, uint32_t to) const;
    bool joins_at(const Symbols& symbols, uint32_t cut, uint32_t to) const;
    bool settle();

    const Tokenizer* tokenizer_ = nullptr;
    IdWriter* writer_ = nullptr;
    char* bytes_ = nullptr;
    Symbols run_{};
    Symbols side_{};
    uint32_t window_ = 0;
    uint32_t side_capacity_ = 0;
    uint32_t count_ = 0;
    bool wrote_unknown_ = false;
};

}  // namespace linnet
