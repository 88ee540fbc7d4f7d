// The tokenizer by itself: its rules on a vocabulary that can be read, its merging against a plain quadratic one, and blocks
// that are damaged. Equality with libsentencepiece is tested in tests/property.
#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <random>

#include "tests/unit/text_support.h"

using namespace linnet;
using namespace linnet::text_tests;

namespace {

using Ids = std::vector<int32_t>;
constexpr int32_t first_ordinary = 259;

// "▁", letters, and a few words.
Vocabulary words() {
    return small_vocabulary(
        {"▁h", "el", "lo", "hello", "▁hello", "hel", "▁he", "llo", "▁", "h", "e", "l", "o", "▁▁", "w", "▁w", "é"});
}
int32_t id_of(const Vocabulary& vocabulary, std::string_view text) {
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
        if (vocabulary.pieces[id].text == text) return static_cast<int32_t>(id);
    }
    return -1;
}
Ids ids_of(const Vocabulary& vocabulary, const std::vector<std::string>& pieces) {
    Ids ids;
    for (const std::string& piece : pieces) ids.push_back(id_of(vocabulary, piece));
    return ids;
}

// The definition, as slowly as it reads: the best adjacent pair, again and again.
Ids merge_plainly(const Vocabulary& vocabulary, const std::string& text) {
    std::map<std::string, int32_t> ids;
    for (size_t id = first_ordinary; id < vocabulary.pieces.size(); ++id) {
        ids.emplace(vocabulary.pieces[id].text, static_cast<int32_t>(id));
    }
    std::vector<std::string> symbols;
    for (const char c : text) symbols.emplace_back(1, c);
    for (;;) {
        size_t best = symbols.size();
        float best_score = -std::numeric_limits<float>::infinity();
        for (size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto at = ids.find(symbols[i] + symbols[i + 1]);
            if (at == ids.end() || vocabulary.pieces[static_cast<size_t>(at->second)].score <= best_score) continue;
            best = i;
            best_score = vocabulary.pieces[static_cast<size_t>(at->second)].score;
        }
        if (best == symbols.size()) break;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    Ids result;
    for (const std::string& symbol : symbols) result.push_back(ids.at(symbol));
    return result;
}

}  // namespace

TEST_CASE("tokenizer: merging, the space in front, bytes for what has no piece") {
    TestTokenizer test;
    const Vocabulary vocabulary = words();
    REQUIRE(test.open(vocabulary));
    CHECK(test.tokenizer.vocabulary() == vocabulary.pieces.size());
    CHECK(test.tokenizer.bos() == 1);
    CHECK(test.encode("") == Ids{});
    // The highest score first: "▁h", then "el", "lo"; "▁h" + "el" is no piece, nor is "el" + "lo".
    CHECK(test.encode("hello") == ids_of(vocabulary, {"▁h", "el", "lo"}));
    CHECK(test.encode("hello", {.dummy_prefix = false}) == ids_of(vocabulary, {"hello"}));
    CHECK(test.encode("hello", {.add_bos = true}) == ids_of(vocabulary, {"<s>", "▁h", "el", "lo"}));
    CHECK(test.encode("  w") == ids_of(vocabulary, {"▁▁", "▁w"}));
    CHECK(test.encode("é") == ids_of(vocabulary, {"▁", "é"}));
    CHECK(test.encode("\xe2\x82\xac") == ids_of(vocabulary, {"▁", "<0xE2>", "<0x82>", "<0xAC>"}));
    CHECK(test.encode(std::string_view("\0\n", 2)) == ids_of(vocabulary, {"▁", "<0x00>", "<0x0A>"}));
    // A person's own U+2581 is the same as a space.
    CHECK(test.encode("▁w") == test.encode(" w"));
}

TEST_CASE("tokenizer: malformed UTF-8 is one U+FFFD a byte") {
    TestTokenizer test;
    const Vocabulary vocabulary = small_vocabulary({"\xef\xbf\xbd", "▁", "a"});
    REQUIRE(test.open(vocabulary));
    const auto bad = [&](size_t count) {
        Ids ids = ids_of(vocabulary, {"▁", "a"});
        ids.insert(ids.end(), count, id_of(vocabulary, "\xef\xbf\xbd"));
        ids.push_back(id_of(vocabulary, "a"));
        return ids;
    };
    CHECK(test.encode("a\xff"
                      "a") == bad(1));
    CHECK(test.encode("a\xc3"
                      "a") == bad(1));  // cut off
    CHECK(test.encode("a\xe2\x96"
                      "a") == bad(2));  // cut off: a byte each
    CHECK(test.encode("a\xc0\xaf"
                      "a") == bad(2));  // overlong
    CHECK(test.encode("a\xed\xa0\x80"
                      "a") == bad(3));  // surrogate
    CHECK(test.encode("a\xf4\x90\x80\x80"
                      "a") == bad(4));  // past U+10FFFF
    CHECK(test.encode("a\xef\xbf\xbd"
                      "a") == bad(1));  // U+FFFD itself
}

TEST_CASE("tokenizer: special tokens are found on request only, the longest first") {
    Vocabulary vocabulary = words();
    const int32_t user = add_special(vocabulary, "<|user|>", true);
    const int32_t longer = add_special(vocabulary, "<|user|>>");
    const int32_t left = add_special(vocabulary, "[MASK]", false, true);
    TestTokenizer test;
    REQUIRE(test.open(vocabulary));
    CHECK(test.tokenizer.special("<|user|>") == user);
    CHECK(test.tokenizer.special("<s>") == 1);
    CHECK(test.tokenizer.special("<|user|") == -1);
    CHECK(test.tokenizer.special("hello") == -1);

    const int32_t space = id_of(vocabulary, "▁"), w = id_of(vocabulary, "▁w");
    CHECK(test.encode_special("<|user|>w") == Ids{user, w});
    CHECK(test.encode_special("<|user|>>w") == Ids{longer, w});
    // White space of any kind after it is swallowed; then the segment gets its own space.
    CHECK(test.encode_special("<|user|> \n\xc2\xa0\xe3\x80\x80w") == Ids{user, w});
    CHECK(test.encode_special("<|user|>\n") == Ids{user});
    CHECK(test.encode_special("<|user|> <|user|> ") == Ids{user, user});
    CHECK(test.encode_special("w <|user|>") == Ids{w, space, user});
    CHECK(test.encode_special("w \t[MASK] w") == Ids{w, left, id_of(vocabulary, "▁▁"), id_of(vocabulary, "w")});
    CHECK(test.encode_special("<s>w</s>") == Ids{1, w, 2});
    CHECK(test.encode("w", {.parse_special = true, .add_bos = true}) == Ids{1, w});
    CHECK(test.encode("<s>w", {.parse_special = true, .dummy_prefix = false}) == Ids{1, w});

    // Typed by a person it is text, whatever it looks like.
    for (const std::string text : {"<|user|>", "</s>", "<s>", "<0x41>", "<unk>"}) {
        const Ids ids = test.encode(text);
        CAPTURE(text);
        CHECK(ids.size() > text.size() / 2);
        for (const int32_t id : ids) CHECK(test.tokenizer.kind(id) != Tokenizer::Kind::control);
        CHECK(test.decode(ids) == text);
    }
}

TEST_CASE("tokenizer: a space in front of the text alone, or nowhere") {
    Vocabulary vocabulary = words();
    const int32_t tag = add_special(vocabulary, "<|user|>");
    const int32_t w = id_of(vocabulary, "w"), space_w = id_of(vocabulary, "▁w");
    TestTokenizer test;
    vocabulary.prefix_first_only = true;
    REQUIRE(test.open(vocabulary));
    CHECK(test.encode_special("w<|user|>w") == Ids{space_w, tag, w});
    vocabulary.dummy_prefix = false;
    REQUIRE(test.open(vocabulary));
    CHECK(test.encode_special("w<|user|>w") == Ids{w, tag, w});
    CHECK(test.decode({space_w}) == " w");
}

TEST_CASE("tokenizer: user-defined pieces stand whole; unknown stretches are one piece where there are no bytes") {
    Vocabulary vocabulary;
    using Kind = Tokenizer::Kind;
    vocabulary.pieces = {make_piece("<unk>", Kind::unknown),     make_piece("a", Kind::normal, 0),
                         make_piece("aa", Kind::normal, -1),     make_piece("ab", Kind::user_defined),
                         make_piece("abab", Kind::user_defined), make_piece("▁", Kind::normal, -2),
                         make_piece("▁x", Kind::user_defined)};
    vocabulary.unknown = 0;
    TestTokenizer test;
    REQUIRE(test.open(vocabulary));
    CHECK(test.encode("aab") == Ids{5, 1, 3});
    CHECK(test.encode("aaaabab") == Ids{5, 2, 1, 4});
    CHECK(test.encode("x") == Ids{6});
    CHECK(test.encode("ax x") == Ids{5, 1, 0, 6});
    CHECK(test.encode("zzzazz") == Ids{5, 0, 1, 0});
    CHECK(test.encode("z ab") == Ids{5, 0, 5, 3});
}

TEST_CASE("tokenizer: merging equals the plain definition, whatever the scores and the window") {
    std::mt19937 random(20240611);
    size_t refused = 0, cut = 0;
    for (int round = 0; round < 400; ++round) {
        // Pieces and scores at random: ties, pieces that score higher than their parts, pieces that nothing makes.
        const auto letters = static_cast<unsigned>(2 + random() % 3);
        const auto draw = [&](size_t length) {
            std::string text;
            for (size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % letters);
            return text;
        };
        Vocabulary vocabulary = small_vocabulary({});
        vocabulary.dummy_prefix = false;
        std::map<std::string, float> pieces;
        for (unsigned i = 0; i < letters; ++i) pieces[std::string(1, static_cast<char>('a' + i))] = 0;
        const size_t count = 4 + random() % 40;
        const auto distinct = static_cast<unsigned>(1 + random() % 12);
        for (size_t i = 0; i < count; ++i) pieces[draw(2 + random() % 5)] = -static_cast<float>(random() % distinct);
        for (const auto& [text, score] : pieces) vocabulary.pieces.push_back(make_piece(text, Tokenizer::Kind::normal, score));

        TestTokenizer small(1), large(4096);  // the smallest window is 64 characters
        REQUIRE(small.open(vocabulary));
        REQUIRE(large.open(vocabulary));
        for (int text_round = 0; text_round < 5; ++text_round) {
            std::string text = draw(1 + random() % 400);
            if (text_round == 3) text = std::string(300, 'a');
            if (text_round == 4) {
                const std::string unit = draw(2 + random() % 4);
                text.clear();
                while (text.size() < 300) text += unit;
            }
            const Ids expected = merge_plainly(vocabulary, text);
            CAPTURE(text);
            CHECK(large.encode(text) == expected);
            const Ids windowed = small.encode(text);
            if (small.error.failed()) {
                CHECK(small.error.status() == Status::does_not_fit);
                ++refused;
            } else {
                CHECK(windowed == expected);
                cut += text.size() > 64;
            }
        }
    }
    MESSAGE("runs longer than the window: ", cut, " cut exactly, ", refused, " refused");
    CHECK(cut > 10 * refused);
}

TEST_CASE("tokenizer: capacity measures, a small workspace is refused") {
    TestTokenizer test;
    const Vocabulary vocabulary = words();
    REQUIRE(test.open(vocabulary));
    size_t count = 0;
    const Tokenizer::Options options;
    CHECK(test.tokenizer.encode("hello hello", options, test.workspace.data(), test.workspace.size() * 8, nullptr, 0, count,
                                test.error) == Status::ok);
    CHECK(count == 6);
    Ids ids = {-7, -7, -7};
    CHECK(test.tokenizer.encode("hello hello", options, test.workspace.data(), test.workspace.size() * 8, ids.data(), 2, count,
                                test.error) == Status::ok);
    CHECK(count == 6);
    CHECK(ids == Ids{id_of(vocabulary, "▁h"), id_of(vocabulary, "el"), -7});
    CHECK(test.tokenizer.encode("hello", options, test.workspace.data(), 100, ids.data(), 2, count, test.error) ==
          Status::does_not_fit);
    CHECK(test.tokenizer.encode("hello", options, nullptr, 0, ids.data(), 2, count, test.error) == Status::does_not_fit);
}

TEST_CASE("tokenizer: a damaged block is refused or stays harmless") {
    Vocabulary vocabulary = words();
    add_special(vocabulary, "<|user|>", true);
    vocabulary.pieces.push_back(make_piece("ee", Tokenizer::Kind::user_defined));
    TestTokenizer good;
    REQUIRE(good.open(vocabulary));
    const std::string text = "hello <|user|> heello\n\xff wwww                                          end </s>";

    for (size_t bytes = 0; bytes < good.block.size(); bytes += bytes < 64 ? 1 : 97) {
        std::vector<uint8_t> cut(good.block.begin(), good.block.begin() + static_cast<std::ptrdiff_t>(bytes));
        Tokenizer tokenizer;
        Error error;
        CHECK(tokenizer.open(cut.data(), cut.size(), error) != Status::ok);
        CHECK(!tokenizer.available());
    }
    std::mt19937 random(7);
    size_t opened = 0;
    for (int round = 0; round < 20000; ++round) {
        TestTokenizer bad(1);
        bad.block = good.block;
        const unsigned changes = 1 + random() % 4;
        for (unsigned i = 0; i < changes; ++i) {
            // Half of them in the header and what follows it, where it hurts.
            const size_t at = random() % (random() % 2 == 0 ? 64 : bad.block.size());
            bad.block[at] = static_cast<uint8_t>(random() % 3 == 0 ? random() : bad.block[at] ^ (1u << random() % 8));
        }
        if (bad.tokenizer.open(bad.block.data(), bad.block.size(), bad.error) != Status::ok) continue;
        ++opened;
        const Ids ids = bad.encode(text, {.parse_special = true, .add_bos = true});
        bad.decode(ids, true);
    }
    CHECK(opened > 500);
    CHECK(opened < 19000);
}

TEST_CASE("tokenizer: what cannot be built is refused with a sentence") {
    Error error;
    std::vector<uint8_t> block;
    Vocabulary vocabulary;
    CHECK(build_tokenizer_block(vocabulary, block, error) == Status::bad_file);
    vocabulary = words();
    vocabulary.pieces[300 - 30].score = std::numeric_limits<float>::quiet_NaN();
    CHECK(build_tokenizer_block(vocabulary, block, error) == Status::bad_file);
    vocabulary = words();
    vocabulary.bos = 100000;
    CHECK(build_tokenizer_block(vocabulary, block, error) == Status::bad_file);
    vocabulary = words();
    vocabulary.pieces.push_back(make_piece(std::string(481, 'x'), Tokenizer::Kind::normal));
    CHECK(build_tokenizer_block(vocabulary, block, error) == Status::unsupported);
    vocabulary = words();
    vocabulary.pieces[10].text = "<0xZZ>";
    CHECK(build_tokenizer_block(vocabulary, block, error) == Status::bad_file);
    vocabulary = words();
    vocabulary.pieces[10].kind = Tokenizer::Kind::normal;
    vocabulary.unknown = -1;
    CHECK(build_tokenizer_block(vocabulary, block, error) == Status::bad_file);
}
