// Our tokenizer against libsentencepiece: random texts of every kind, long ones with a time limit, and no allocation in between.
//
//     linnet_sentencepiece trained [COUNT [SEED]]   vocabularies that libsentencepiece trains here
//     linnet_sentencepiece models  [COUNT [SEED]]   tokenizer.model of the folder that LINNET_MODELS names; 77 if there is none
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>

#include "tests/unit/text_support.h"

using namespace linnet;
using namespace linnet::text_tests;

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Allocations while `counting` is set.
bool counting = false;
size_t allocations = 0;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LINNET_SANITIZED
#endif
#endif
#if defined(LINNET_SANITIZED) || defined(__SANITIZE_ADDRESS__)
constexpr double slower = 30;  // the sanitizers' cost, with room
#else
constexpr double slower = 1;
#endif

}  // namespace

void* operator new(size_t bytes) {
    if (counting) ++allocations;
    if (void* memory = malloc(bytes == 0 ? 1 : bytes)) return memory;
    std::abort();
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }

namespace {

struct Oracle {
    std::string name;
    sentencepiece::SentencePieceProcessor processor;
    Vocabulary vocabulary;
    TestTokenizer large{16384}, small{64};

    bool open(const std::string& label, const std::string& model) {
        name = label;
        if (const auto status = processor.LoadFromSerializedProto(model); !status.ok()) {
            printf("%s: libsentencepiece cannot load it: %s\n", label.c_str(), status.ToString().c_str());
            return false;
        }
        if (read_sentencepiece_model(model, vocabulary, large.error) != Status::ok || !large.open(vocabulary) ||
            !small.open(vocabulary)) {
            printf("%s: %s%s\n", label.c_str(), large.error.text(), small.error.text());
            return false;
        }
        return true;
    }
};

std::string utf8(uint32_t c) {
    std::string text;
    if (c < 0x80) return text += static_cast<char>(c);
    if (c < 0x800) {
        text += static_cast<char>(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            text += static_cast<char>(0xe0 | c >> 12);
        } else {
            text += static_cast<char>(0xf0 | c >> 18);
            text += static_cast<char>(0x80 | (c >> 12 & 63));
        }
        text += static_cast<char>(0x80 | (c >> 6 & 63));
    }
    return text += static_cast<char>(0x80 | (c & 63));
}

// Some text of one kind.
std::string snippet(std::mt19937_64& random, const Vocabulary& vocabulary) {
    const auto draw = [&](uint32_t below) { return static_cast<uint32_t>(random() % below); };
    static const char* const special[] = {
        "<s>", "</s>", "<unk>",        "<0x41>",   "<0x0A>",       "<|user|>",         "<|end|>",  "▁",
        "▁▁",  " ▁ ",  "\xef\xbf\xbd", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x96", "\xf0\x9f\xa6"};
    static const uint32_t scripts[][2] = {
        {0x20, 0x7e},     {0xa0, 0x17f},    {0x370, 0x3ff},   {0x400, 0x4ff},   {0x590, 0x5ff},     {0x600, 0x6ff},
        {0x900, 0x97f},   {0xe00, 0xe7f},   {0x1100, 0x11ff}, {0x2000, 0x206f}, {0x2580, 0x259f},   {0x3040, 0x30ff},
        {0x4e00, 0x9fff}, {0xac00, 0xd7a3}, {0xfe00, 0xfe0f}, {0xfff0, 0xffff}, {0x1f300, 0x1faff}, {0x10000, 0x10ffff}};
    std::string text;
    switch (draw(9)) {
        case 0:  // pieces side by side, so that merges compete
            for (uint32_t i = 1 + draw(4); i > 0; --i)
                text += vocabulary.pieces[draw(static_cast<uint32_t>(vocabulary.pieces.size()))].text;
            break;
        case 1:  // pieces as a person types them
            for (uint32_t i = 1 + draw(4); i > 0; --i) {
                std::string piece = vocabulary.pieces[draw(static_cast<uint32_t>(vocabulary.pieces.size()))].text;
                for (size_t at; (at = piece.find("▁")) != std::string::npos;) piece.replace(at, 3, " ");
                text += piece;
            }
            break;
        case 2: {  // one script
            const auto& range = scripts[draw(std::size(scripts))];
            for (uint32_t i = 1 + draw(8); i > 0; --i) text += utf8(range[0] + draw(range[1] - range[0] + 1));
            break;
        }
        case 3:  // anything
            for (uint32_t i = 1 + draw(8); i > 0; --i) text += static_cast<char>(draw(256));
            break;
        case 4:  // bytes that look like the middle of characters
            for (uint32_t i = 1 + draw(6); i > 0; --i) text += static_cast<char>(0x80 + draw(128));
            break;
        case 5: text.assign(1 + draw(draw(4) == 0 ? 70 : 6), " \t\n\r "[draw(5)]); break;
        case 6: text.assign(1 + draw(draw(8) == 0 ? 90 : 12), static_cast<char>(33 + draw(94))); break;
        case 7: text = special[draw(std::size(special))]; break;
        default:
            for (uint32_t i = 1 + draw(10); i > 0; --i) text += static_cast<char>('a' + draw(26));
            break;
    }
    return text;
}

void show(const char* what, const std::vector<int>& ids) {
    printf("  %s:", what);
    for (size_t i = 0; i < ids.size() && i < 40; ++i) printf(" %d", ids[i]);
    printf("%s\n", ids.size() > 40 ? " ..." : "");
}

void show_text(const std::string& text) {
    printf("  text:");
    for (size_t i = 0; i < text.size() && i < 200; ++i) printf(" %02x", static_cast<unsigned char>(text[i]));
    printf("%s\n", text.size() > 200 ? " ..." : "");
}

bool same_pieces(const Oracle& oracle) {
    const auto& processor = oracle.processor;
    const auto count = static_cast<size_t>(processor.GetPieceSize());
    bool same = count == oracle.vocabulary.pieces.size() && processor.unk_id() == oracle.vocabulary.unknown &&
                processor.bos_id() == oracle.vocabulary.bos && processor.eos_id() == oracle.vocabulary.eos;
    for (size_t id = 0; same && id < count; ++id) {
        const Piece& piece = oracle.vocabulary.pieces[id];
        const auto index = static_cast<int>(id);
        same = processor.IdToPiece(index) == piece.text && processor.GetScore(index) == piece.score &&
               processor.IsControl(index) == (piece.kind == Tokenizer::Kind::control) &&
               processor.IsByte(index) == (piece.kind == Tokenizer::Kind::byte) &&
               processor.IsUnknown(index) == (piece.kind == Tokenizer::Kind::unknown) &&
               oracle.large.tokenizer.piece(index) == piece.text && oracle.large.tokenizer.kind(index) == piece.kind;
        if (!same) printf("%s: piece %zu differs\n", oracle.name.c_str(), id);
    }
    return same;
}

// The number of texts that differ.
size_t random_texts(Oracle& oracle, size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    size_t different = 0, bytes = 0, tokens = 0;
    double theirs = 0;
    std::vector<int> expected;
    std::vector<int32_t> ids(1 << 16);
    const auto start = Clock::now();
    for (size_t i = 0; i < count; ++i) {
        std::string text;
        for (uint64_t parts = random() % 8; parts > 0; --parts) text += snippet(random, oracle.vocabulary);
        const auto begin = Clock::now();
        if (!oracle.processor.Encode(text, &expected).ok()) return count;
        theirs += seconds_since(begin);
        // Every other time the smallest window, so that longer words are cut.
        TestTokenizer& ours = i % 2 == 0 ? oracle.large : oracle.small;
        size_t written = 0;
        allocations = 0;
        counting = true;
        const Status status = ours.tokenizer.encode(text, {}, ours.workspace.data(), ours.workspace.size() * 8, ids.data(),
                                                    ids.size(), written, ours.error);
        counting = false;
        bytes += text.size();
        tokens += written;
        const bool same = status == Status::ok && std::equal(expected.begin(), expected.end(), ids.begin(),
                                                             ids.begin() + static_cast<std::ptrdiff_t>(written));
        if (same && allocations == 0) continue;
        if (++different > 5) continue;
        printf("%s: text %zu differs%s (%zu allocations)\n", oracle.name.c_str(), i,
               status == Status::ok ? "" : ours.error.text(), allocations);
        show_text(text);
        show("theirs", expected);
        show("ours", {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(written)});
    }
    printf("%s: %zu texts, %.1f MB, %zu tokens, %zu differ; %.1f s, %.1f of them libsentencepiece's\n", oracle.name.c_str(),
           count, static_cast<double>(bytes) / 1e6, tokens, different, seconds_since(start), theirs);
    fflush(stdout);
    return different;
}

size_t long_texts(Oracle& oracle, size_t size, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::pair<const char*, std::string>> texts = {{"a run of a", std::string(size, 'a')},
                                                              {"spaces", std::string(size, ' ')},
                                                              {"equals signs", std::string(size, '=')},
                                                              {"line breaks", std::string(size, '\n')}};
    const auto make = [&](const char* name, auto next) {
        std::string text;
        while (text.size() < size) text += next();
        texts.emplace_back(name, std::move(text));
    };
    make("random bytes", [&] { return std::string(1, static_cast<char>(random())); });
    make("base64",
         [&] { return std::string(1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random() % 64]); });
    make("two letters", [&] { return std::string(1, "ab"[random() % 2]); });
    make("emoji", [&] { return utf8(0x1f600 + static_cast<uint32_t>(random() % 64)); });
    make("ideographs", [&] { return utf8(0x4e00 + static_cast<uint32_t>(random() % 20000)); });
    make("pieces", [&] { return oracle.vocabulary.pieces[random() % oracle.vocabulary.pieces.size()].text; });
    make("mixed", [&] { return snippet(random, oracle.vocabulary); });

    size_t failed = 0;
    std::vector<int32_t> ids(size * 4);
    std::vector<int> expected;
    for (const auto& [name, text] : texts) {
        if (!oracle.processor.Encode(text, &expected).ok()) return texts.size();
        const auto start = Clock::now();
        size_t written = 0;
        const Status status =
            oracle.large.tokenizer.encode(text, {}, oracle.large.workspace.data(), oracle.large.workspace.size() * 8,
                                          ids.data(), ids.size(), written, oracle.large.error);
        const double seconds = seconds_since(start);
        const bool same = status == Status::ok && std::equal(expected.begin(), expected.end(), ids.begin(),
                                                             ids.begin() + static_cast<std::ptrdiff_t>(written));
        // 0.05 to 0.4 s for a megabyte; anything quadratic would take minutes.
        const bool fast = seconds < 2 * slower;
        printf("%s: %zu bytes of %s: %zu tokens in %.0f ms%s%s\n", oracle.name.c_str(), text.size(), name, written,
               seconds * 1e3,
               same                   ? ""
               : status == Status::ok ? ", NOT THE SAME"
                                      : oracle.large.error.text(),
               fast ? "" : ", TOO SLOW");
        failed += !same || !fast;
    }
    fflush(stdout);
    return failed;
}

size_t check(Oracle& oracle, size_t count, size_t long_bytes, uint64_t seed) {
    return (same_pieces(oracle) ? 0 : 1) + random_texts(oracle, count, seed) + long_texts(oracle, long_bytes, seed);
}

// Sentences of made-up words, the same ones every time.
class Sentences : public sentencepiece::SentenceIterator {
public:
    explicit Sentences(uint64_t seed) : random_(seed) {
        for (int i = 0; i < 400; ++i) {
            std::string word;
            for (uint64_t letters = 1 + random_() % 7; letters > 0; --letters) {
                word += i % 20 == 0 ? utf8(0x430 + static_cast<uint32_t>(random_() % 32))
                                    : std::string(1, static_cast<char>('a' + (random_() % 26) * (random_() % 26) / 26));
            }
            words_.push_back(word);
        }
        Next();
    }
    bool done() const override { return made_ > 3000; }
    void Next() override {
        ++made_;
        sentence_.clear();
        for (uint64_t words = 3 + random_() % 12; words > 0; --words) {
            if (!sentence_.empty()) sentence_.append(random_() % 9 == 0 ? 1 + random_() % 4 : 1, ' ');
            sentence_ += words_[(random_() % words_.size()) * (random_() % words_.size()) / words_.size()];
            if (random_() % 10 == 0) sentence_ += ",.!?-=0123456789"[random_() % 16];
            if (random_() % 40 == 0) sentence_ += "é日";
        }
    }
    const std::string& value() const override { return sentence_; }
    sentencepiece::util::Status status() const override { return {}; }

private:
    std::mt19937_64 random_;
    std::vector<std::string> words_;
    std::string sentence_;
    int made_ = 0;
};

int trained(size_t count, uint64_t seed) {
    struct Kind {
        const char* name;
        const char* options;
    };
    const Kind kinds[] = {
        {"words, bytes", "--vocab_size=1200 --byte_fallback=true"},
        {"words, unknown pieces", "--vocab_size=600 --byte_fallback=false"},
        {"across words", "--vocab_size=1500 --byte_fallback=true --split_by_whitespace=false --max_sentencepiece_length=24"},
        {"spaces alone, no space in front",
         "--vocab_size=900 --byte_fallback=true --allow_whitespace_only_pieces=true --add_dummy_prefix=false"},
        {"user-defined", "--vocab_size=900 --byte_fallback=true --user_defined_symbols=<tag>,<tag>>,ab,▁the,=="},
        {"control and user-defined, unknown pieces",
         "--vocab_size=700 --byte_fallback=false --control_symbols=<ctl> --user_defined_symbols=<x>,日"},
    };
    size_t failed = 0;
    for (const Kind& kind : kinds) {
        Sentences sentences(seed);
        std::string model;
        const std::string options = std::string(
                                        "--model_type=bpe --normalization_rule_name=identity --remove_extra_whitespaces=false "
                                        "--minloglevel=2 --num_threads=1 --hard_vocab_limit=false --character_coverage=1.0 ") +
                                    kind.options;
        if (const auto status = sentencepiece::SentencePieceTrainer::Train(options, &sentences, &model); !status.ok()) {
            printf("%s: cannot be trained: %s\n", kind.name, status.ToString().c_str());
            return 1;
        }
        auto oracle = std::make_unique<Oracle>();
        if (!oracle->open(kind.name, model)) return 1;
        failed += check(*oracle, count / std::size(kinds), 1 << 17, seed);
    }
    return failed == 0 ? 0 : 1;
}

int models(size_t count, uint64_t seed) {
    const char* folder = getenv("LINNET_MODELS");
    std::vector<std::string> found;
    std::string bytes;
    if (folder != nullptr && *folder != 0) {
        for (const char* name : {"phi3-tokenizer", "llama-spm-tokenizer", "stories15M"}) {
            std::string model;
            if (!read_file(std::string(folder) + "/" + name + "/tokenizer.model", model) || model == bytes) continue;
            bytes = model;
            found.push_back(std::move(model));
        }
    }
    if (found.empty()) {
        printf("Skipped: there is no tokenizer.model under LINNET_MODELS (%s).\n", folder != nullptr ? folder : "not set");
        return 77;
    }
    size_t failed = 0;
    for (size_t i = 0; i < found.size(); ++i) {
        auto oracle = std::make_unique<Oracle>();
        if (!oracle->open("tokenizer.model " + std::to_string(i + 1), found[i])) return 1;
        failed += check(*oracle, count / found.size(), 1 << 20, seed);
    }
    return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    const size_t count = argc > 2 ? strtoull(argv[2], nullptr, 10) : 100000;
    const uint64_t seed = argc > 3 ? strtoull(argv[3], nullptr, 10) : 1;
    if (what == "trained") return trained(count, seed);
    if (what == "models") return models(count, seed);
    printf("usage: linnet_sentencepiece trained|models [COUNT [SEED]]\n");
    return 2;
}
