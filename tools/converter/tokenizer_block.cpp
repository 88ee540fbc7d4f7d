// Vocabulary to the block that the core reads in place (core/text/tokenizer_block.h).
#include "core/text/tokenizer_block.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/text/utf8.h"
#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

using Kind = Tokenizer::Kind;

// A piece that merging can make.
bool merges(const Piece& piece) { return piece.kind == Kind::normal && !piece.added && !piece.text.empty(); }

// Rank 0 has the highest score; equal scores share a rank, so that the leftmost of them merges first.
std::vector<uint32_t> rank_pieces(const std::vector<Piece>& pieces) {
    std::vector<float> scores;
    for (const Piece& piece : pieces) {
        if (merges(piece)) scores.push_back(piece.score);
    }
    std::sort(scores.begin(), scores.end(), std::greater<>());
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    std::vector<uint32_t> ranks(pieces.size(), 0);
    for (size_t id = 0; id < pieces.size(); ++id) {
        if (!merges(pieces[id])) continue;
        const auto place = std::lower_bound(scores.begin(), scores.end(), pieces[id].score, std::greater<>());
        ranks[id] = static_cast<uint32_t>(place - scores.begin());
    }
    return ranks;
}

// Linear probing, a third of the slots empty; grown until no piece stands too far from its place. False: they never would.
bool fill_slots(const std::vector<Piece>& pieces, std::vector<uint32_t>& slots, uint32_t& probes) {
    std::vector<uint32_t> ids;
    for (uint32_t id = 0; id < pieces.size(); ++id) {
        if (merges(pieces[id])) ids.push_back(id);
    }
    for (uint64_t count = ids.size() * 3 / 2 + 1; count <= ids.size() * 6 + 64; count += count / 4 + 1) {
        slots.assign(count, empty_slot);
        probes = 0;
        bool fits = true;
        for (const uint32_t id : ids) {
            const std::string& text = pieces[id].text;
            const uint64_t hash = piece_hash(text.data(), text.size());
            uint32_t slot = first_slot(hash, static_cast<uint32_t>(count));
            uint32_t probe = 0;
            bool again = false;
            while (probe <= max_probes && slots[slot] != empty_slot) {
                // The same text twice: the lower id is the one that merging makes.
                if (pieces[slots[slot] & slot_id].text == text) {
                    again = true;
                    break;
                }
                slot = slot + 1 == count ? 0 : slot + 1;
                ++probe;
            }
            if (again) continue;
            if (probe > max_probes) {
                fits = false;
                break;
            }
            slots[slot] = id | slot_mark(hash);
            probes = std::max(probes, probe);
        }
        if (fits) return true;
    }
    return false;
}

// Ids listed by their first byte, the longest first.
void index_by_byte(const std::vector<Piece>& pieces, std::vector<uint32_t>& ids, std::vector<uint32_t>& first) {
    std::sort(ids.begin(), ids.end(), [&](uint32_t a, uint32_t b) {
        const auto byte_a = static_cast<unsigned char>(pieces[a].text[0]),
                   byte_b = static_cast<unsigned char>(pieces[b].text[0]);
        if (byte_a != byte_b) return byte_a < byte_b;
        return pieces[a].text.size() != pieces[b].text.size() ? pieces[a].text.size() > pieces[b].text.size() : a < b;
    });
    first.assign(257, 0);
    for (const uint32_t id : ids) ++first[static_cast<unsigned char>(pieces[id].text[0]) + 1];
    for (size_t byte = 0; byte < 256; ++byte) first[byte + 1] += first[byte];
}

// No piece holds U+2581 after something else: then a word never merges with what stands before its space.
bool words_are_apart(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) {
        if (!merges(piece)) continue;
        std::string_view text = piece.text;
        while (text.starts_with(word_space)) text.remove_prefix(word_space.size());
        if (text.find(word_space) != std::string_view::npos) return false;
    }
    return true;
}

int parse_byte(std::string_view text) {
    if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
    int value = 0;
    for (const char c : text.substr(3, 2)) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

Status check(const Vocabulary& vocabulary, Error& error) {
    const auto count = static_cast<int64_t>(vocabulary.pieces.size());
    if (count == 0) return error.fail(Status::bad_file) << "The vocabulary is empty.";
    if (count > int64_t{max_pieces}) {
        return error.fail(Status::unsupported)
               << "The vocabulary has " << count << " pieces; Linnet reads up to " << max_pieces << '.';
    }
    for (const auto& [name, id] : {std::pair{"beginning-of-text", vocabulary.bos}, std::pair{"end-of-text", vocabulary.eos},
                                   std::pair{"unknown", vocabulary.unknown}}) {
        if (id < -1 || id >= count) {
            return error.fail(Status::bad_file)
                   << "The vocabulary's " << name << " token " << id << " is outside its " << count << " pieces.";
        }
    }
    for (int64_t id = 0; id < count; ++id) {
        const Piece& piece = vocabulary.pieces[static_cast<size_t>(id)];
        if (piece.text.size() > max_piece_bytes) {
            return error.fail(Status::unsupported) << "Piece " << id << " of the vocabulary has " << piece.text.size()
                                                   << " bytes; Linnet reads up to " << max_piece_bytes << '.';
        }
        if (std::isnan(piece.score)) return error.fail(Status::bad_file) << "The score of piece " << id << " is not a number.";
        const auto kind = static_cast<uint32_t>(piece.kind);
        if (kind < 1 || kind > 6)
            return error.fail(Status::bad_file) << "Piece " << id << " has the unknown type " << kind << '.';
        if (piece.kind == Kind::byte && parse_byte(piece.text) < 0) {
            return error.fail(Status::bad_file)
                   << "Byte piece " << id << " is \"" << piece.text << "\" and not like \"<0x0A>\".";
        }
        // libsentencepiece would match half a character; nobody means that.
        if (piece.kind == Kind::user_defined && !valid_utf8(piece.text)) {
            return error.fail(Status::unsupported) << "User-defined piece " << id << " is not UTF-8.";
        }
    }
    return Status::ok;
}

}  // namespace

Status build_tokenizer_block(const Vocabulary& vocabulary, std::vector<uint8_t>& block, Error& error) {
    if (Status status = check(vocabulary, error); status != Status::ok) return status;
    const std::vector<Piece>& pieces = vocabulary.pieces;

    TokenizerHeader header{};
    header.magic = tokenizer_magic;
    header.version = tokenizer_version;
    header.pieces = static_cast<uint32_t>(pieces.size());
    header.bos = vocabulary.bos;
    header.unknown = vocabulary.unknown;
    if (vocabulary.dummy_prefix) header.flags |= text_has_prefix;
    if (vocabulary.prefix_first_only) header.flags |= only_first_prefix;
    if (words_are_apart(pieces)) header.flags |= cuts_before_space_flag;

    std::vector<uint32_t> entries, specials, users, byte_ids(256, 0);
    std::string text;
    uint32_t bytes_seen = 0;
    for (uint32_t id = 0; id < pieces.size(); ++id) {
        const Piece& piece = pieces[id];
        if (text.size() + piece.text.size() > max_piece_text) {
            return error.fail(Status::unsupported) << "The vocabulary's pieces together are longer than 64 MB.";
        }
        entries.push_back(static_cast<uint32_t>(text.size()) | static_cast<uint32_t>(piece.kind) << entry_kind_shift |
                          (piece.added ? entry_added : 0) | (piece.rstrip ? entry_rstrip : 0) |
                          (piece.lstrip ? entry_lstrip : 0));
        text += piece.text;
        if (piece.text.empty()) continue;
        if (piece.added || piece.kind == Kind::control || piece.kind == Kind::unknown) {
            specials.push_back(id);
        } else if (piece.kind == Kind::user_defined) {
            users.push_back(id);
        } else if (piece.kind == Kind::byte) {
            const auto byte = static_cast<uint32_t>(parse_byte(piece.text));
            if (byte_ids[byte] == 0) {
                byte_ids[byte] = id + 1;
                ++bytes_seen;
            }
        }
    }
    entries.push_back(static_cast<uint32_t>(text.size()));
    if (bytes_seen == 256) {
        header.flags |= has_byte_pieces;
        for (uint32_t& id : byte_ids) --id;
    } else if (vocabulary.unknown < 0) {
        return error.fail(Status::bad_file)
               << "The vocabulary has neither an unknown piece nor a piece for each of the 256 bytes.";
    } else {
        byte_ids.assign(256, 0);
    }
    std::vector<uint32_t> slots, special_first, user_first;
    if (!fill_slots(pieces, slots, header.probes)) {
        return error.fail(Status::unsupported) << "The vocabulary's pieces cannot be put into a table that finds them quickly.";
    }
    index_by_byte(pieces, specials, special_first);
    index_by_byte(pieces, users, user_first);
    header.slots = static_cast<uint32_t>(slots.size());
    header.specials = static_cast<uint32_t>(specials.size());
    header.users = static_cast<uint32_t>(users.size());
    header.text_bytes = static_cast<uint32_t>(text.size());
    const TokenizerPlaces places(header);
    header.block_bytes = static_cast<uint32_t>(places.end);

    block.assign(places.end, 0);
    memcpy(block.data(), &header, sizeof header);
    const auto put = [&](uint64_t place, const std::vector<uint32_t>& words) {
        if (!words.empty()) memcpy(block.data() + place, words.data(), words.size() * 4);
    };
    put(places.entries, entries);
    put(places.ranks, rank_pieces(pieces));
    put(places.slots, slots);
    put(places.byte_ids, byte_ids);
    put(places.special_first, special_first);
    put(places.special_ids, specials);
    put(places.user_first, user_first);
    put(places.user_ids, users);
    memcpy(block.data() + places.text, text.data(), text.size());
    return Status::ok;
}

}  // namespace linnet
