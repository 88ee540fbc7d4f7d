#include "core/stream/residency.h"

#include "core/stream/checksum.h"

namespace linnet {

void Residency::reset() {
    free_count_ = 0;
    for (uint32_t page = page_count; page-- > 0;) give_back(page);
    for (uint32_t i = 0; i < piece_count; ++i) pieces[i].page = no_page;
}

uint32_t Residency::stay_from() const {
    const uint32_t taken = kv_kept_ + reserve_;
    const uint32_t left = page_count > taken ? page_count - taken : 0;
    return left >= piece_count ? 0 : piece_count - left;
}

uint32_t Residency::streamed_pieces() const { return stay_from(); }

uint32_t Residency::behind_qkv(uint32_t layer) const {
    const uint32_t matrix = matrix_index(layer, matrix_qkv);
    return piece_with(matrix, matrices[matrix].blocks - 1) + 1;
}

uint32_t Residency::piece_with(uint32_t matrix, uint32_t block) const {
    const uint64_t offset = matrices[matrix].block_offset(block);
    uint32_t index = matrices[matrix].first_piece;
    while (offset >= pieces[index].offset + pieces[index].bytes) ++index;
    return index;
}

void Residency::drop(WeightPiece& piece) {
    give_back(piece.page);
    piece.page = no_page;
}

// A page that is free, or that a piece has which does not stay and which is needed later than `nearer_than` pieces from here:
// the one that is needed last. no_page when there is none.
uint32_t Residency::take_page(uint32_t nearer_than) {
    if (free_count_ != 0) return free_pages[--free_count_];
    const uint32_t in_use = protect_end_ > at_ ? protect_end_ - at_ : 0;
    WeightPiece* last = nullptr;
    uint32_t farthest = 0;
    for (uint32_t i = 0; i < piece_count; ++i) {
        WeightPiece& piece = pieces[i];
        if (piece.page == no_page || piece.reading || stays(piece)) continue;
        const uint32_t far = distance(i);
        if (far < in_use || far <= nearer_than || (last != nullptr && far <= farthest)) continue;
        last = &piece;
        farthest = far;
    }
    if (last == nullptr) return no_page;
    const uint32_t page = last->page;
    last->page = no_page;
    return page;
}

// A page for something that is needed now.
Status Residency::page_for(Error& error, uint32_t& page) {
    for (;;) {
        page = take_page(0);
        if (page != no_page) return Status::ok;
        // What is being read for later has to give way.
        Request* request = requests_[0].active ? &requests_[0] : requests_[1].active ? &requests_[1] : nullptr;
        if (request == nullptr) break;
        KvPage* kv = request->kv;
        if (finish(*request) && kv != nullptr && !kv->busy) free_kv(*kv);
    }
    // Keys and values that only pass through and are not in use just now.
    for (uint32_t c = 0; c < cache_count; ++c) {
        for (uint64_t i = 0; i < caches[c]->all_pages(); ++i) {
            KvPage& kv = caches[c]->pages[i];
            if (kv.at == nullptr || kv.kept || kv.busy) continue;
            free_kv(kv);
            return page_for(error, page);
        }
    }
    return error.fail(Status::does_not_fit) << "The pool of pages is too small for what one step needs. Ask for more memory.";
}

void Residency::range_of(const WeightPiece& piece, uint64_t& offset, uint64_t& bytes) const {
    offset = header->weights_offset + piece.offset / read_alignment * read_alignment;
    uint64_t end = align_up(header->weights_offset + piece.offset + piece.bytes, read_alignment);
    if (end > header->file_bytes) end = header->file_bytes;
    bytes = end - offset;
}

bool Residency::good(WeightPiece& piece) const {
    piece.checked = !verify || checksum(*platform, data_of(piece), piece.bytes) == piece.crc;
    return piece.checked;
}

Residency::Request* Residency::free_request() {
    if (platform->begin_read == nullptr) return nullptr;
    return !requests_[0].active ? &requests_[0] : !requests_[1].active ? &requests_[1] : nullptr;
}

// Waits for it: what the platform says of it. Nothing of it has been compared yet.
int32_t Residency::arrive(Request& request) {
    const int32_t result = platform->wait(platform->context, request.ticket);
    request.active = false;
    if (request.kv != nullptr) {
        request.kv->reading = false;
        counts.scratch_read += page_bytes;
        return result;
    }
    WeightPiece& piece = pieces[request.piece];
    piece.reading = false;
    uint64_t offset = 0, bytes = 0;
    range_of(piece, offset, bytes);
    counts.read += bytes;
    if (!stays(piece)) counts.streamed += bytes;
    return result;
}

// Waits for it; false where it brought nothing of use. A piece is compared when it is used (make_ready).
bool Residency::finish(Request& request) {
    KvPage* const page = request.kv;
    if (arrive(request) == 0 && (page == nullptr || good(*page))) return true;
    if (page != nullptr) {
        free_kv(*page);
    } else {
        drop(pieces[request.piece]);
    }
    return false;
}

void Residency::settle() {
    for (Request& request : requests_) {
        if (request.active) finish(request);
    }
}

// The one that fills this piece, or these keys or values, which are being read.
Residency::Request* Residency::request_of(const WeightPiece* piece, const KvPage* kv) {
    for (Request& request : requests_) {
        if (!request.active) continue;
        if (kv != nullptr ? request.kv == kv : request.kv == nullptr && &pieces[request.piece] == piece) return &request;
    }
    return nullptr;
}

// Waits for keys or values that are being read and are needed now; they have no memory afterwards where that brought nothing of
// use. While they are compared the storage is at work on what comes next.
void Residency::finish_reading(KvPage& page) {
    const int32_t result = arrive(*request_of(nullptr, &page));
    ahead();
    if (result != 0 || !good(page)) free_kv(page);
}

// Makes a piece ready to be computed with: read, and compared. What came wrong is read once more.
Status Residency::make_ready(uint32_t index, Error& error) {
    WeightPiece& piece = pieces[index];
    uint64_t offset = 0, bytes = 0;
    range_of(piece, offset, bytes);
    int32_t result = 0;
    int tries = 2;
    if (piece.page != no_page) {
        // While this one is compared the storage is at work on the next one.
        if (piece.reading) {
            result = arrive(*request_of(&piece, nullptr));
            ahead();
        }
        if (result == 0 && good(piece)) return Status::ok;
        tries = 1;
    } else if (Status status = page_for(error, piece.page); status != Status::ok) {
        return status;
    }
    while (tries-- > 0) {
        result = platform->read(platform->context, offset, page_at(piece.page), static_cast<size_t>(bytes));
        counts.read += bytes;
        if (!stays(piece)) counts.streamed += bytes;
        if (result == 0 && good(piece)) return Status::ok;
    }
    drop(piece);
    return blame_chunk(*platform, *header, piece.offset, piece.bytes, result, error);
}

bool Residency::start_piece(uint32_t index) {
    Request* request = free_request();
    if (request == nullptr) return false;
    const uint32_t page = take_page(distance(index));
    if (page == no_page) return false;
    WeightPiece& piece = pieces[index];
    uint64_t offset = 0, bytes = 0;
    range_of(piece, offset, bytes);
    if (platform->begin_read(platform->context, offset, page_at(page), static_cast<size_t>(bytes), &request->ticket) != 0) {
        give_back(page);
        return false;
    }
    piece.page = page;
    piece.reading = true;
    piece.checked = false;
    request->active = true;
    request->piece = index;
    request->kv = nullptr;
    return true;
}

// Reading ahead goes on behind this piece, or behind these pages of its layer.
void Residency::go_on_behind(uint32_t piece, uint32_t layer, uint32_t kv) {
    next_piece_ = piece + 1 == piece_count ? 0 : piece + 1;
    next_layer_ = next_piece_ == 0 ? 0 : layer;
    next_kv_ = kv;
    looked_ahead_ = distance(next_piece_);
}

// Begins to read what the pass needs next, as far as there are pages and requests free.
void Residency::ahead() {
    if (platform->begin_read == nullptr) return;
    // A few at a time: where almost everything is there, the next call goes on.
    for (uint32_t looked = 0; looked < 64 && looked_ahead_ < piece_count; ++looked) {
        if (requests_[0].active && requests_[1].active) return;
        // A layer's keys and values come when the pieces with its qkv matrix are through.
        if (spilled_ && active_ != nullptr && next_layer_ < layers && next_piece_ == behind_qkv(next_layer_)) {
            const uint32_t all = 2 * active_->page_count;
            for (; next_kv_ < all; ++next_kv_) {
                KvPage& page = active_->pages[uint64_t{next_layer_} * all + next_kv_];
                if (page.at == nullptr && page.stored && !start_kv(*active_, page)) return;
            }
            next_kv_ = 0;
            ++next_layer_;
        }
        if (pieces[next_piece_].page == no_page && !start_piece(next_piece_)) return;
        ++looked_ahead_;
        if (++next_piece_ == piece_count) next_piece_ = next_layer_ = next_kv_ = 0;
    }
}

Status Residency::weights(uint32_t matrix, uint32_t block, Segment* segments, uint32_t capacity, uint32_t& count,
                          Error& error) {
    const MatrixPlace& place = matrices[matrix];
    uint32_t index = piece_with(matrix, block);
    const uint32_t first = index;
    const uint32_t next_layer = matrix / matrices_in_layer + 1;
    if (!hold_ || next_layer > layers) {
        // What lies before is of no use; where the pass has jumped, reading ahead does so too.
        const uint32_t forward = distance(index);
        at_ = index;
        if (forward <= looked_ahead_) {
            looked_ahead_ -= forward;
        } else {
            next_piece_ = index;
            next_layer_ = next_layer - (matrix % matrices_in_layer == matrix_qkv ? 1 : 0);
            next_kv_ = looked_ahead_ = 0;
        }
    }
    // Where a layer is gone through several times all of it stays; else what is used now.
    protect_end_ = !hold_ || next_layer > layers ? index + 1 : matrices[matrix_index(next_layer, matrix_qkv)].first_piece;
    count = 0;
    while (block < place.blocks && count < capacity) {
        const WeightPiece& piece = pieces[index];
        const bool there = piece.page != no_page && !piece.reading;
        if (!there || !piece.checked) {
            if (!there && index != first) break;
            const bool expected = piece.page != no_page;
            if (Status status = make_ready(index, error); status != Status::ok) return status;
            if (!expected) {
                go_on_behind(index, matrix / matrices_in_layer + (matrix % matrices_in_layer == matrix_qkv ? 0 : 1), 0);
            }
        }
        uint64_t end = (piece.offset + piece.bytes - place.offset) / place.stride;
        if (end > place.blocks) end = place.blocks;
        segments[count++] = {data_of(piece) + (place.block_offset(block) - piece.offset), block,
                             static_cast<uint32_t>(end) - block};
        block = static_cast<uint32_t>(end);
        ++index;
    }
    if (protect_end_ < index) protect_end_ = index;
    ahead();
    return Status::ok;
}

void Residency::weights_done(uint32_t matrix, uint32_t block, bool release) {
    if (!release) return;
    const uint64_t done = matrices[matrix].block_offset(block);
    while (at_ < piece_count && pieces[at_].offset + pieces[at_].bytes <= done) {
        WeightPiece& piece = pieces[at_++];
        if (looked_ahead_ != 0) {
            --looked_ahead_;
        } else {
            next_piece_ = at_ == piece_count ? 0 : at_;
        }
        if (piece.page != no_page && !piece.reading && !stays(piece)) drop(piece);
    }
    if (at_ == piece_count) at_ = protect_end_ = 0;
    ahead();
}

Status Residency::load(const RowGroups& rows, uint8_t* scratch, uint64_t scratch_bytes, Error& error) {
    ChunkCheck check(*platform, *header, rows);
    uint64_t offset = 0;
    const auto cancelled = [&] { return platform->yield != nullptr && platform->yield(platform->context) != 0; };
    // What lies between the pieces (the embedding, vectors, padding) is only compared.
    const auto pass_over = [&](uint64_t end) -> Status {
        while (offset < end) {
            const uint64_t count = end - offset < scratch_bytes ? end - offset : scratch_bytes;
            Status status = read_bytes(*platform, header->weights_offset + offset, scratch, count, error);
            if (status == Status::ok) status = check.feed(scratch, count, error);
            if (status != Status::ok) return status;
            if (cancelled()) return error.fail(Status::cancelled) << "Loading the model was stopped.";
            counts.read += count;
            offset += count;
        }
        return Status::ok;
    };
    for (uint32_t i = 0; i < piece_count; ++i) {
        WeightPiece& piece = pieces[i];
        if (!verify && !stays(piece)) continue;
        if (verify) {
            if (Status status = pass_over(piece.offset); status != Status::ok) return status;
        }
        if (cancelled()) return error.fail(Status::cancelled) << "Loading the model was stopped.";
        uint32_t page = no_page;
        if (Status status = page_for(error, page); status != Status::ok) return status;
        piece.page = page;
        uint64_t from = 0, bytes = 0;
        range_of(piece, from, bytes);
        if (Status status = read_bytes(*platform, from, page_at(page), bytes, error); status != Status::ok) return status;
        counts.read += bytes;
        piece.checked = true;  // by what comes next, or never
        if (verify) {
            piece.crc = checksum(*platform, data_of(piece), piece.bytes);
            if (Status status = check.feed(data_of(piece), piece.bytes, error); status != Status::ok) return status;
            offset = piece.offset + piece.bytes;
        }
        if (!stays(piece)) drop(piece);
    }
    if (!verify) return Status::ok;
    if (Status status = pass_over(header->weights_bytes); status != Status::ok) return status;
    return check.end(error);
}

}  // namespace linnet
