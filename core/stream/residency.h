// What of the weights and of the KV caches is in memory, where not everything fits: one pool of equal pages for both.
//
// Weights: a fixed set of pieces stays (see WeightPiece::order); the others pass through the pages that are left, one after the other in
// the order in which a pass needs them, with the next two being read while one is computed with.
// Keys and values: pages in use stay, and take their places from the weights, as long as there are any; after that some of them
// are written to the platform's scratch storage and pass through the ring like weights.
// So there are always `reserve` pages for what passes through, and
//     weights that stay = pages - KV pages that stay - reserve.
// Nothing here changes a result: it only decides where bytes are when they are needed.
//
// Every read is compared with the checksum that was learned when the model was opened (weights) or when it was written (scratch):
// a bad one is repeated once, then it is an error.
#pragma once

#include "core/session/kv_cache.h"
#include "core/stream/pieces.h"

namespace linnet {

// Blocks of a matrix that lie together in memory.
struct Segment {
    const uint8_t* data;
    uint32_t first_block;
    uint32_t blocks;
};

class Residency {
public:
    // Pages that pass through, when a pass computes one batch: the one in use, two being read, and one to spare.
    static constexpr uint32_t ring_pages = 4;

    // ---- made once; the arrays belong to the arena
    const linnet_platform* platform = nullptr;
    const FileHeader* header = nullptr;
    MatrixPlace* matrices = nullptr;
    WeightPiece* pieces = nullptr;
    uint32_t piece_count = 0;
    uint32_t largest_section = 0;  // most pieces of a layer
    uint32_t layers = 0;
    KvCache** caches = nullptr;  // of all sessions
    uint32_t cache_count = 0;
    uint8_t* pool = nullptr;
    uint32_t* free_pages = nullptr;
    uint32_t page_count = 0;
    uint64_t page_bytes = 0;
    bool verify = false;
    struct Counts {
        uint64_t read = 0;      // bytes of the model file,
        uint64_t streamed = 0;  // those among them that had no place to stay
        uint64_t scratch_read = 0;
        uint64_t scratch_written = 0;
    } counts;

    void reset();  // every page free

    // Reads the weights through once, in the order of the file: checks every chunk, learns every piece's checksum, keeps what
    // stays; `rows` learned. `scratch` is for what is only compared. Without `verify` only what stays is read.
    Status load(const RowGroups& rows, uint8_t* scratch, uint64_t scratch_bytes, Error& error);

    // ---- a pass
    // Whether a pass of `count` tokens from position `first` can go layer by layer through several batches: then what it needs of
    // a layer must be in memory together.
    bool can_hold(const KvCache& cache, uint32_t first, uint32_t count) const;
    // A new pass of this cache begins at the first layer, with room for holding a layer or not.
    Status begin_pass(const KvCache& cache, uint32_t first, uint32_t count, bool hold, Error& error);

    // Where blocks of a matrix are, from `block` on: at least one segment, read if need be; more only as far as they are there.
    Status weights(uint32_t matrix, uint32_t block, Segment* segments, uint32_t capacity, uint32_t& count, Error& error);
    // What the pass needs next may be anything from this block on; `release` is false when the layer is gone through once more.
    void weights_done(uint32_t matrix, uint32_t block, bool release);

    // Makes a page of keys or values ready to be written: new, or with what it held. It stays until kv_done.
    Status kv_write(const KvCache& cache, uint32_t layer, uint32_t kind, uint32_t index, Error& error);
    // The same to be read. `must` false: *ready is false when there is no page for it at present.
    Status kv_read(const KvCache& cache, uint32_t layer, uint32_t kind, uint32_t index, bool must, bool& ready, Error& error);
    void kv_done(const KvCache& cache, uint32_t layer, uint32_t kind, uint32_t index);
    // All the pages of a layer, kv_done.
    void kv_layer_done(const KvCache& cache, uint32_t layer);
    // Gives back every page from this one on, of every layer and kind: nothing in them is of use any more.
    void kv_release(const KvCache& cache, uint32_t from_index);

    // Waits for what is being read.
    void settle();

    uint32_t streamed_pieces() const;  // at present
    uint32_t kv_pages_kept() const { return kv_kept_; }

private:
    struct Request {
        bool active = false;
        uint32_t ticket = 0;
        uint32_t piece = 0;
        KvPage* kv = nullptr;  // or null: a piece
        const KvCache* cache = nullptr;
    };

    uint32_t stay_from() const;  // pieces of this order and above stay
    bool stays(const WeightPiece& piece) const { return piece.order >= stay_from(); }
    uint32_t distance(uint32_t piece) const { return (piece + piece_count - at_) % piece_count; }
    uint8_t* page_at(uint32_t page) const { return pool + page * page_bytes; }
    uint32_t page_of(const KvPage& page) const {
        return static_cast<uint32_t>(static_cast<uint64_t>(page.at - pool) / page_bytes);
    }
    const uint8_t* data_of(const WeightPiece& piece) const { return page_at(piece.page) + piece.offset % read_alignment; }
    uint32_t piece_with(uint32_t matrix, uint32_t block) const;
    uint32_t behind_qkv(uint32_t layer) const;  // the first piece that has nothing of its qkv matrix
    void go_on_behind(uint32_t piece, uint32_t layer, uint32_t kv);

    void give_back(uint32_t page) { free_pages[free_count_++] = page; }
    uint32_t take_page(uint32_t nearer_than);
    Status page_for(Error& error, uint32_t& page);
    void drop(WeightPiece& piece);

    // Range of the file that a read of this piece asks for.
    void range_of(const WeightPiece& piece, uint64_t& offset, uint64_t& bytes) const;
    bool good(WeightPiece& piece) const;
    int32_t arrive(Request& request);
    bool finish(Request& request);
    Request* request_of(const WeightPiece* piece, const KvPage* kv);
    void finish_reading(KvPage& page);
    Status make_ready(uint32_t index, Error& error);
    void ahead();
    bool start_piece(uint32_t index);
    bool start_kv(const KvCache& cache, KvPage& page);
    Request* free_request();

    uint64_t scratch_offset(const KvCache& cache, const KvPage& page) const;
    bool good(const KvPage& page) const;
    Status read_kv(const KvCache& cache, KvPage& page, Error& error);
    void free_kv(KvPage& page);
    Status bring(const KvCache& cache, KvPage& page, bool keep, bool must, Error& error);
    Status evict_kv(Error& error);
    KvPage* victim(bool open_too, const KvCache*& owner) const;

    uint32_t free_count_ = 0;
    uint32_t kv_kept_ = 0;
    bool spilled_ = false;  // something has been written to the scratch storage
    uint32_t reserve_ = ring_pages;
    uint32_t at_ = 0;           // the piece that the pass is at
    uint32_t protect_end_ = 0;  // pieces [at_, here) are in use
    bool hold_ = false;
    const KvCache* active_ = nullptr;
    uint32_t open_first_ = 0, open_end_ = 0;  // page indices that this pass writes
    // What is read ahead next.
    uint32_t next_piece_ = 0;
    uint32_t next_layer_ = 0;  // whose keys and values come next
    uint32_t next_kv_ = 0;
    uint32_t looked_ahead_ = 0;  // pieces from at_ to next_piece_: not more than all
    Request requests_[2];
};

}  // namespace linnet
