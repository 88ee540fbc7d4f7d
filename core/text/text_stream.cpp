// A piece at a time: U+2581 becomes a space, byte pieces their byte, and what is not yet a whole character waits.
//
// Malformed UTF-8 is replaced as Unicode recommends (and browsers do): one U+FFFD for each maximal subpart, that is for the
// longest beginning of a well-formed character, or else for one byte.
#include "core/text/text_stream.h"

#include "core/text/utf8.h"

namespace linnet {

namespace {

struct TextWriter {
    char* text;
    size_t capacity;
    size_t bytes;

    void put(const char* from, size_t count) {
        // The caller has checked that all of it fits; a piece that is longer than allowed is refused before.
        for (size_t i = 0; i < count && bytes < capacity; ++i) text[bytes++] = from[i];
    }
};

// Is this the beginning of a well-formed character that lacks bytes yet? `pending` is 1 to 3 bytes.
bool could_go_on(const uint8_t* pending, size_t count) {
    const uint8_t first = pending[0];
    size_t length = 0;
    uint8_t low = 0x80, high = 0xbf;  // of the second byte
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        if (first == 0xe0) low = 0xa0;
        if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        if (first == 0xf0) low = 0x90;
        if (first == 0xf4) high = 0x8f;
    }
    if (count >= length) return false;
    if (count >= 2 && (pending[1] < low || pending[1] > high)) return false;
    return count < 3 || (pending[2] & 0xc0) == 0x80;
}

void put_byte(linnet_text_stream& stream, uint8_t byte, TextWriter& to) {
    for (;;) {
        stream.pending[stream.pending_bytes++] = byte;
        const auto* pending = reinterpret_cast<const char*>(stream.pending);
        uint32_t code_point;
        if (decode_utf8(pending, stream.pending_bytes, code_point) == stream.pending_bytes) {
            to.put(pending, stream.pending_bytes);
            stream.pending_bytes = 0;
            return;
        }
        if (could_go_on(stream.pending, stream.pending_bytes)) return;
        to.put(replacement_character.data(), replacement_character.size());
        const bool alone = stream.pending_bytes == 1;
        stream.pending_bytes = 0;
        if (alone) return;
    }
}

}  // namespace

Status stream_token(const Tokenizer& tokenizer, linnet_text_stream& stream, int32_t token, bool special, char* text,
                    size_t capacity, size_t& text_bytes, Error& error) {
    text_bytes = 0;
    if (token < 0) return error.fail(Status::bad_argument) << "There is no token " << token << '.';
    if (stream.pending_bytes > 3) return error.fail(Status::bad_argument) << "The text stream was not set to zero at first.";
    // Ids past the vocabulary are the model's padding rows: they have no text.
    if (static_cast<uint32_t>(token) >= tokenizer.vocabulary()) return Status::ok;

    const Tokenizer::Kind kind = tokenizer.kind(token);
    const bool is_special = tokenizer.added(token) || kind == Tokenizer::Kind::control || kind == Tokenizer::Kind::unknown;
    if (is_special && !special) return Status::ok;
    std::string_view piece = tokenizer.piece(token);
    // At most three bytes come out for each that goes in, and for what was pending.
    const size_t most = valid_utf8(piece) ? piece.size() + 9 : 3 * piece.size() + 9;
    if (most > capacity) {
        return error.fail(Status::bad_argument)
               << "Token " << token << " needs room for " << static_cast<uint64_t>(most) << " bytes of text.";
    }
    TextWriter to{text, capacity, 0};
    const bool first = stream.started == 0;
    if (kind == Tokenizer::Kind::byte) {
        const uint8_t byte = tokenizer.byte_value(token);
        stream.started = 1;
        if (!(first && byte == ' ' && tokenizer.dummy_prefix())) put_byte(stream, byte, to);
    } else {
        if (first && !is_special && tokenizer.dummy_prefix() && piece.starts_with(word_space)) {
            piece.remove_prefix(word_space.size());
        }
        stream.started = 1;
        while (!piece.empty()) {
            if (!is_special && piece.starts_with(word_space)) {
                put_byte(stream, ' ', to);
                piece.remove_prefix(word_space.size());
            } else {
                put_byte(stream, static_cast<uint8_t>(piece[0]), to);
                piece.remove_prefix(1);
            }
        }
    }
    text_bytes = to.bytes;
    return Status::ok;
}

void stream_end(linnet_text_stream& stream, char* text, size_t capacity, size_t& text_bytes) {
    TextWriter to{text, capacity, 0};
    if (stream.pending_bytes != 0) to.put(replacement_character.data(), replacement_character.size());
    stream.pending_bytes = 0;
    text_bytes = to.bytes;
}

}  // namespace linnet
