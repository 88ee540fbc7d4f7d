// Normalisation is libsentencepiece's with the identity normaliser: a space in front (where the vocabulary wants it), spaces
// become U+2581, and each byte that is not part of well-formed UTF-8 becomes U+FFFD.
#include "core/text/encoder.h"

#include "core/text/utf8.h"

namespace linnet {

Status Encoder::open(const Tokenizer& tokenizer, bool first_prefix, void* workspace, size_t workspace_bytes, int32_t* ids,
                     size_t capacity, Error& error) {
    tokenizer_ = &tokenizer;
    writer_ = {ids, capacity, 0};
    part_count_ = 0;
    prefix_ = first_prefix && tokenizer.dummy_prefix();
    strip_left_ = false;
    if (!merger_.open(tokenizer, workspace, workspace_bytes, writer_)) {
        return error.fail(Status::does_not_fit) << "The working memory for text is too small: give at least "
                                                << static_cast<uint64_t>(Merger::workspace_bytes(0)) << " bytes.";
    }
    return Status::ok;
}

Status Encoder::text(std::string_view text, Error& error) {
    if (text.empty()) return Status::ok;
    if (part_count_ == max_parts) return error.fail(Status::bad_argument) << "A text came in too many pieces.";
    parts_[part_count_++] = text;
    return Status::ok;
}

Status Encoder::special(int32_t id, Error& error) {
    if (Status status = end_segment(tokenizer_->strips_left(id), error); status != Status::ok) return status;
    writer_.put(id);
    strip_left_ = tokenizer_->strips_right(id);
    prefix_ = tokenizer_->prefix_after_special();
    return Status::ok;
}

Status Encoder::finish(size_t& count, Error& error) {
    if (Status status = end_segment(false, error); status != Status::ok) return status;
    count = writer_.count;
    return Status::ok;
}

void Encoder::strip(bool left, bool right) {
    for (uint32_t i = 0; left && i < part_count_; ++i) {
        parts_[i] = strip_left(parts_[i], is_white_space);
        left = parts_[i].empty();
    }
    for (uint32_t i = part_count_; right && i > 0; --i) {
        parts_[i - 1] = strip_right(parts_[i - 1], is_white_space);
        right = parts_[i - 1].empty();
    }
}

std::string_view Encoder::next(Cursor& cursor) const {
    while (cursor.part < part_count_ && cursor.offset == parts_[cursor.part].size()) {
        ++cursor.part;
        cursor.offset = 0;
    }
    if (cursor.part == part_count_) return {};
    if (cursor.prefix) {
        cursor.prefix = false;
        return word_space;
    }
    std::string_view rest = rest_of(parts_[cursor.part], cursor.offset);
    uint32_t code_point;
    const size_t length = decode_utf8(rest.data(), rest.size(), code_point);
    cursor.offset += length == 0 ? 1 : length;
    if (length == 0) return replacement_character;
    if (code_point == ' ') return word_space;
    rest.remove_suffix(rest.size() - length);
    return rest;
}

bool Encoder::matches(Cursor cursor, std::string_view piece, Cursor& after) const {
    while (!piece.empty()) {
        const std::string_view character = next(cursor);
        if (character.empty() || !piece.starts_with(character)) return false;
        piece.remove_prefix(character.size());
    }
    after = cursor;
    return true;
}

int32_t Encoder::user_defined(const Cursor& cursor, Cursor& after) const {
    Cursor peek = cursor;
    const std::string_view character = next(peek);
    if (character.empty()) return -1;
    uint32_t count;
    const uint32_t* ids = tokenizer_->user_defined(static_cast<uint8_t>(character[0]), count);
    for (uint32_t i = 0; i < count; ++i) {
        const auto id = static_cast<int32_t>(ids[i]);
        if (matches(cursor, tokenizer_->piece(id), after)) return id;
    }
    return -1;
}

Status Encoder::end_segment(bool right, Error& error) {
    strip(strip_left_, right);
    Cursor cursor{0, 0, prefix_};
    const bool look_for_users = tokenizer_->has_user_defined();
    const bool cuts = tokenizer_->cuts_before_space();
    bool after_space = true;
    for (;;) {
        Cursor after;
        if (const int32_t id = look_for_users ? user_defined(cursor, after) : -1; id >= 0) {
            merger_.finish();
            merger_.put_whole(id);
            cursor = after;
            after_space = true;
            continue;
        }
        const std::string_view character = next(cursor);
        if (character.empty()) break;
        const bool space = character == word_space;
        if (cuts && space && !after_space) merger_.finish();
        after_space = space;
        if (!merger_.add(character.data(), character.size())) {
            return error.fail(Status::does_not_fit)
                   << "The text has a run of more than " << merger_.capacity()
                   << " characters that this vocabulary cannot cut. Ask for a larger text_run, or break the text with spaces.";
        }
    }
    merger_.finish();
    merger_.end_unknown();
    part_count_ = 0;
    return Status::ok;
}

}  // namespace linnet
