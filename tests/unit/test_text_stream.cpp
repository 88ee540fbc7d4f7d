// Tokens to text, a token at a time.
#include <doctest/doctest.h>

#include <random>

#include "core/text/utf8.h"
#include "tests/unit/text_support.h"

using namespace linnet;
using namespace linnet::text_tests;

namespace {

// The text of raw bytes, given as byte pieces; "|" after each token's text when `marks`.
std::string decode_bytes(TestTokenizer& test, std::string_view bytes, bool marks = false) {
    linnet_text_stream stream{};
    stream.started = 1;
    std::string text;
    char piece[512];
    size_t count = 0;
    for (const char byte : bytes) {
        REQUIRE(stream_token(test.tokenizer, stream, 3 + static_cast<uint8_t>(byte), false, piece, sizeof piece, count,
                             test.error) == Status::ok);
        CHECK(valid_utf8({piece, count}));
        text.append(piece, count);
        if (marks) text += '|';
    }
    stream_end(stream, piece, sizeof piece, count);
    return text.append(piece, count);
}

}  // namespace

TEST_CASE("text stream: spaces, the first space, special tokens") {
    Vocabulary vocabulary = small_vocabulary({"▁", "▁w", "w", "▁▁"});
    const int32_t tag = add_special(vocabulary, "<|user|>");
    TestTokenizer test;
    REQUIRE(test.open(vocabulary));
    const int32_t space = 259, space_w = 260, w = 261, spaces = 262;
    CHECK(test.decode({space_w, space_w}) == "w w");
    CHECK(test.decode({space, w}) == "w");
    CHECK(test.decode({spaces, w}) == " w");
    CHECK(test.decode({w, space_w}) == "w w");
    CHECK(test.decode({1, space_w, 2}) == "w");
    CHECK(test.decode({tag, space_w, tag}) == "w");
    CHECK(test.decode({tag, space_w, tag}, true) == "<|user|> w<|user|>");
    CHECK(test.decode({0}) == "");
    CHECK(test.decode({100000}) == "");  // the model's padding rows
    CHECK(test.decode({-1}) == "(failed)");

    linnet_text_stream stream{};
    char small[8];
    size_t count = 0;
    CHECK(stream_token(test.tokenizer, stream, tag, true, small, sizeof small, count, test.error) == Status::bad_argument);
    stream.pending_bytes = 7;
    char room[512];
    CHECK(stream_token(test.tokenizer, stream, w, true, room, sizeof room, count, test.error) == Status::bad_argument);
}

TEST_CASE("text stream: a character comes when it is whole, U+FFFD for each maximal subpart of what is malformed") {
    TestTokenizer test;
    REQUIRE(test.open(small_vocabulary({"▁", "a"})));
    const std::string bad = "\xef\xbf\xbd";
    CHECK(decode_bytes(test, "\xf0\x9f\xa6\x99", true) == "|||\xf0\x9f\xa6\x99|");
    CHECK(decode_bytes(test,
                       "\xc3\xa9"
                       "a",
                       true) == "|\xc3\xa9|a|");
    CHECK(decode_bytes(test, "\xf0\x9f\xa6") == bad);  // cut off: one for the whole beginning
    CHECK(decode_bytes(test,
                       "\xf0\x9f"
                       "a") == bad + "a");
    CHECK(decode_bytes(test, "\xff\xff") == bad + bad);
    CHECK(decode_bytes(test, "\x80") == bad);
    CHECK(decode_bytes(test, "\xc0\xaf") == bad + bad);  // overlong: no byte of it begins a character
    CHECK(decode_bytes(test, "\xe0\x80\x80") == bad + bad + bad);
    CHECK(decode_bytes(test, "\xed\xa0\x80") == bad + bad + bad);  // surrogate
    CHECK(decode_bytes(test, "\xf4\x90\x80\x80") == bad + bad + bad + bad);
    // The example of the Unicode standard, table 3-8.
    CHECK(decode_bytes(test, "\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64") ==
          "a" + bad + bad + bad + "b" + bad + "c" + bad + bad + "d");
    // A byte piece in the middle of ordinary ones.
    CHECK(test.decode({260, 3 + 0xe2, 260}) == "a" + bad + "a");
}

TEST_CASE("text stream: any bytes give UTF-8, and UTF-8 comes back as it went in") {
    TestTokenizer test;
    REQUIRE(test.open(small_vocabulary({"▁", "a", "b", "ab", "▁a", "é", "日"})));
    std::mt19937 random(3);
    const std::vector<std::string> parts = {"a", "b", " ", "  ", "\n", "é", "日", "🦙", "ab", "\t", "€", "\xcc\x81"};
    for (int round = 0; round < 5000; ++round) {
        std::string text, noise;
        for (unsigned i = random() % 20; i > 0; --i) text += parts[random() % parts.size()];
        for (unsigned i = random() % 20; i > 0; --i)
            noise += static_cast<char>(random() % 5 == 0 ? random() : 0x80 + random() % 128);
        CAPTURE(text);
        CHECK(test.decode(test.encode(text)) == text);
        CHECK(valid_utf8(decode_bytes(test, noise)));
    }
}
