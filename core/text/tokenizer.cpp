// The block is checked here, once; then looked up in place.
#include "core/text/tokenizer.h"

#include "core/text/encoder.h"
#include "core/text/tokenizer_block.h"
#include "core/text/utf8.h"

namespace linnet {

namespace {

Status damaged(Error& error, const char* what) {
    return error.fail(Status::bad_file) << "The tokenizer is damaged: " << what << ". Convert the model again.";
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

// "<0x0A>" -> 10; -1: not such a piece.
int parse_byte(std::string_view piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
    const int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Lists of ids by first byte: starts rise from 0 to the count, and every id's piece begins with that byte.
bool valid_index(const uint32_t* first, const uint32_t* ids, uint32_t count, const uint32_t* entries, const char* text,
                 uint32_t pieces) {
    if (first[0] != 0 || first[256] != count) return false;
    for (uint32_t byte = 0; byte < 256; ++byte) {
        if (first[byte] > first[byte + 1] || first[byte + 1] > count) return false;
        for (uint32_t i = first[byte]; i < first[byte + 1]; ++i) {
            if (ids[i] >= pieces) return false;
            const uint32_t begin = entries[ids[i]] & entry_offset;
            if (begin == (entries[ids[i] + 1] & entry_offset) || static_cast<uint8_t>(text[begin]) != byte) return false;
        }
    }
    return true;
}

}  // namespace

Status Tokenizer::open(const uint8_t* block, size_t bytes, Error& error) {
    block_ = nullptr;
    if (block == nullptr || reinterpret_cast<uintptr_t>(block) % 8 != 0) {
        return error.fail(Status::bad_argument) << "The tokenizer block must be 8-aligned.";
    }
    if (bytes < sizeof(TokenizerHeader)) return damaged(error, "it is cut off");
    const auto* header = reinterpret_cast<const TokenizerHeader*>(block);
    if (header->magic != tokenizer_magic) return damaged(error, "its first bytes are not a tokenizer's");
    if (header->version != tokenizer_version) {
        return error.fail(Status::unsupported)
               << "The tokenizer has version " << header->version << "; this build reads version " << tokenizer_version
               << ". Convert the model again.";
    }
    if (header->pieces == 0 || header->pieces > max_pieces || header->slots == 0 || header->slots > 8 * max_pieces ||
        header->specials > header->pieces || header->users > header->pieces || header->text_bytes > max_piece_text ||
        header->probes > max_probes || (header->flags & ~uint32_t{tokenizer_flags_known}) != 0) {
        return damaged(error, "its counts are impossible");
    }
    const TokenizerPlaces places(*header);
    if (places.end != header->block_bytes || places.end > bytes)
        return damaged(error, "its length is not what its counts need");
    const auto pieces = static_cast<int64_t>(header->pieces);
    if (header->bos < -1 || header->bos >= pieces || header->unknown < -1 || header->unknown >= pieces) {
        return damaged(error, "a special token is outside its vocabulary");
    }
    const auto words = [block](uint64_t place) { return reinterpret_cast<const uint32_t*>(block + place); };
    const uint32_t* entries = words(places.entries);
    const uint32_t* slots = words(places.slots);
    const uint32_t* byte_ids = words(places.byte_ids);
    const auto* text = reinterpret_cast<const char*>(block + places.text);

    if ((entries[0] & entry_offset) != 0 || entries[header->pieces] != header->text_bytes) {
        return damaged(error, "its pieces do not fill its text");
    }
    for (uint32_t id = 0; id < header->pieces; ++id) {
        const uint32_t begin = entries[id] & entry_offset, end = entries[id + 1] & entry_offset;
        if (end < begin || end - begin > max_piece_bytes || end > header->text_bytes) {
            return damaged(error, "a piece lies outside its text");
        }
        const uint32_t kind = entries[id] >> entry_kind_shift & 7;
        if (kind < 1 || kind > 6) return damaged(error, "a piece is of an unknown kind");
        if (kind == static_cast<uint32_t>(Kind::byte) && parse_byte({text + begin, end - begin}) < 0) {
            return damaged(error, "a byte piece is not written as one");
        }
    }
    uint32_t longest = 0;
    for (uint32_t i = 0; i < header->slots; ++i) {
        if (slots[i] == empty_slot) continue;
        const uint32_t id = slots[i] & slot_id;
        if (id >= header->pieces) return damaged(error, "its table names a piece that is not there");
        const uint32_t begin = entries[id] & entry_offset, end = entries[id + 1] & entry_offset;
        uint32_t characters = 0;
        for (uint32_t at = begin; at < end; ++at) characters += (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
        if (characters > longest) longest = characters;
    }
    if ((header->flags & has_byte_pieces) != 0) {
        for (uint32_t byte = 0; byte < 256; ++byte) {
            const uint32_t id = byte_ids[byte];
            if (id >= header->pieces) return damaged(error, "a byte piece is outside its vocabulary");
        }
    } else if (header->unknown < 0) {
        return damaged(error, "it has neither byte pieces nor an unknown piece");
    }
    if (!valid_index(words(places.special_first), words(places.special_ids), header->specials, entries, text, header->pieces) ||
        !valid_index(words(places.user_first), words(places.user_ids), header->users, entries, text, header->pieces)) {
        return damaged(error, "the index of its special tokens is wrong");
    }

    block_ = block;
    header_ = header;
    entries_ = entries;
    ranks_ = words(places.ranks);
    slots_ = slots;
    byte_ids_ = byte_ids;
    special_first_ = words(places.special_first);
    special_ids_ = words(places.special_ids);
    user_first_ = words(places.user_first);
    user_ids_ = words(places.user_ids);
    text_ = text;
    longest_piece_ = longest;
    return Status::ok;
}

// ---- look-ups -----------------------------------------------------------------------------------------------------------

uint32_t Tokenizer::vocabulary() const { return header_->pieces; }
int32_t Tokenizer::bos() const { return header_->bos; }
int32_t Tokenizer::unknown() const { return header_->unknown; }
bool Tokenizer::dummy_prefix() const { return (header_->flags & text_has_prefix) != 0; }
bool Tokenizer::prefix_after_special() const {
    return (header_->flags & (text_has_prefix | only_first_prefix)) == text_has_prefix;
}
bool Tokenizer::cuts_before_space() const { return (header_->flags & cuts_before_space_flag) != 0; }
bool Tokenizer::has_user_defined() const { return header_->users != 0; }

std::string_view Tokenizer::piece(int32_t id) const {
    if (id < 0 || static_cast<uint32_t>(id) >= header_->pieces) return {};
    const uint32_t begin = entries_[id] & entry_offset, end = entries_[id + 1] & entry_offset;
    return {text_ + begin, end - begin};
}

Tokenizer::Kind Tokenizer::kind(int32_t id) const {
    if (id < 0 || static_cast<uint32_t>(id) >= header_->pieces) return Kind::unused;
    return static_cast<Kind>(entries_[id] >> entry_kind_shift & 7);
}

bool Tokenizer::added(int32_t id) const {
    return id >= 0 && static_cast<uint32_t>(id) < header_->pieces && (entries_[id] & entry_added) != 0;
}
bool Tokenizer::strips_right(int32_t id) const {
    return id >= 0 && static_cast<uint32_t>(id) < header_->pieces && (entries_[id] & entry_rstrip) != 0;
}
bool Tokenizer::strips_left(int32_t id) const {
    return id >= 0 && static_cast<uint32_t>(id) < header_->pieces && (entries_[id] & entry_lstrip) != 0;
}

int32_t Tokenizer::byte_id(uint8_t byte) const {
    return (header_->flags & has_byte_pieces) != 0 ? static_cast<int32_t>(byte_ids_[byte]) : -1;
}

uint8_t Tokenizer::byte_value(int32_t id) const {
    const int value = parse_byte(piece(id));
    return static_cast<uint8_t>(value < 0 ? 0 : value);
}

int32_t Tokenizer::find(const char* text, size_t bytes) const {
    if (bytes > max_piece_bytes) return -1;
    const uint64_t hash = piece_hash(text, bytes);
    const uint32_t mark = slot_mark(hash);
    uint32_t slot = first_slot(hash, header_->slots);
    for (uint32_t probe = 0; probe <= header_->probes; ++probe) {
        const uint32_t found = slots_[slot];
        if (found == empty_slot) return -1;
        if ((found & ~slot_id) == mark) {
            const uint32_t id = found & slot_id;
            const uint32_t begin = entries_[id] & entry_offset;
            if ((entries_[id + 1] & entry_offset) - begin == bytes && memcmp(text_ + begin, text, bytes) == 0) {
                return static_cast<int32_t>(id);
            }
        }
        if (++slot == header_->slots) slot = 0;
    }
    return -1;
}

int32_t Tokenizer::special_at(std::string_view text) const {
    if (text.empty()) return -1;
    const auto byte = static_cast<uint8_t>(text[0]);
    for (uint32_t i = special_first_[byte]; i < special_first_[byte + 1]; ++i) {
        const auto id = static_cast<int32_t>(special_ids_[i]);
        if (text.starts_with(piece(id))) return id;
    }
    return -1;
}

int32_t Tokenizer::special(std::string_view text) const {
    if (text.empty()) return -1;
    const auto byte = static_cast<uint8_t>(text[0]);
    for (uint32_t i = special_first_[byte]; i < special_first_[byte + 1]; ++i) {
        const auto id = static_cast<int32_t>(special_ids_[i]);
        if (text == piece(id)) return id;
    }
    return -1;
}

const uint32_t* Tokenizer::user_defined(uint8_t byte, uint32_t& count) const {
    count = user_first_[byte + 1] - user_first_[byte];
    return user_ids_ + user_first_[byte];
}

// ---- text to ids --------------------------------------------------------------------------------------------------------

size_t Tokenizer::workspace_bytes(size_t run_bytes) { return Merger::workspace_bytes(run_bytes); }

Status Tokenizer::encode(std::string_view text, const Options& options, void* workspace, size_t workspace_bytes, int32_t* ids,
                         size_t capacity, size_t& count, Error& error) const {
    count = 0;
    Encoder encoder;
    Status status = encoder.open(*this, options.dummy_prefix, workspace, workspace_bytes, ids, capacity, error);
    if (status != Status::ok) return status;
    if (options.add_bos && bos() >= 0) encoder.put_bos(bos());
    size_t begin = 0;
    for (size_t at = 0; options.parse_special && at < text.size();) {
        const int32_t id = special_at(rest_of(text, at));
        if (id < 0) {
            ++at;
            continue;
        }
        if (status = encoder.text({text.data() + begin, at - begin}, error); status != Status::ok) return status;
        if (status = encoder.special(id, error); status != Status::ok) return status;
        at += piece(id).size();
        begin = at;
    }
    if (status = encoder.text(rest_of(text, begin), error); status != Status::ok) return status;
    return encoder.finish(count, error);
}

}  // namespace linnet
