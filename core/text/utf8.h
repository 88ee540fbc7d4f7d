// UTF-8 and white space, as the tokenizer and the chat templates need them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linnet {

// The length of the character that begins at `at`, and its code point; 0 when it is malformed: cut off, overlong, a surrogate,
// or past U+10FFFF. The same rule as libsentencepiece's.
inline size_t decode_utf8(const char* at, size_t bytes, uint32_t& code_point) {
    if (bytes == 0) return 0;
    const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(at[i])); };
    const auto trails = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
    const uint32_t first = byte(0);
    if (first < 0x80) {
        code_point = first;
        return 1;
    }
    if ((first & 0xe0) == 0xc0) {
        if (bytes < 2 || !trails(1)) return 0;
        code_point = (first & 0x1f) << 6 | (byte(1) & 0x3f);
        return code_point >= 0x80 ? 2 : 0;
    }
    if ((first & 0xf0) == 0xe0) {
        if (bytes < 3 || !trails(1) || !trails(2)) return 0;
        code_point = (first & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
        return code_point >= 0x800 && (code_point < 0xd800 || code_point >= 0xe000) ? 3 : 0;
    }
    if ((first & 0xf8) == 0xf0) {
        if (bytes < 4 || !trails(1) || !trails(2) || !trails(3)) return 0;
        code_point = (first & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
        return code_point >= 0x10000 && code_point <= 0x10ffff ? 4 : 0;
    }
    return 0;
}

// What remains of a text from `at` on; `at` is at most its length. (substr() would bring an exception into the core.)
inline std::string_view rest_of(std::string_view text, size_t at) { return {text.data() + at, text.size() - at}; }

inline bool valid_utf8(std::string_view text) {
    uint32_t code_point;
    for (size_t at = 0; at < text.size();) {
        const size_t length = decode_utf8(text.data() + at, text.size() - at, code_point);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

// Unicode's White_Space property: what a token that strips its neighbourhood swallows.
inline bool is_white_space(uint32_t c) {
    return (c >= 9 && c <= 13) || c == 32 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// What Jinja's strip() takes away, which is Python's: white space and four separators.
inline bool is_python_space(uint32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

template <typename IsSpace>
inline std::string_view strip_left(std::string_view text, IsSpace is_space) {
    uint32_t c;
    for (;;) {
        const size_t length = decode_utf8(text.data(), text.size(), c);
        if (length == 0 || !is_space(c)) return text;
        text.remove_prefix(length);
    }
}

template <typename IsSpace>
inline std::string_view strip_right(std::string_view text, IsSpace is_space) {
    while (!text.empty()) {
        size_t length = 1;
        while (length < 4 && length < text.size() && (static_cast<unsigned char>(text[text.size() - length]) & 0xc0) == 0x80) {
            ++length;
        }
        uint32_t c;
        if (decode_utf8(text.data() + text.size() - length, length, c) != length || !is_space(c)) break;
        text.remove_suffix(length);
    }
    return text;
}

inline constexpr std::string_view replacement_character = "\xef\xbf\xbd";  // U+FFFD
inline constexpr std::string_view word_space = "\xe2\x96\x81";             // U+2581, which stands for a space in pieces

}  // namespace linnet
