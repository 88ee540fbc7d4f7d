// The Llama-2 and phi-3 vocabularies as their files come: known ids, chat templates, and every kind of file giving the same.
//
// The ids come from the reference tokenizers of these models (llama.cpp's and Hugging Face's), run on the texts given here.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <stdexcept>

#include "tests/unit/container_tools.h"
#include "tests/unit/text_support.h"
#include "tools/converter/gguf_header.h"

using namespace linnet;
using namespace linnet::text_tests;

namespace {

using Ids = std::vector<int32_t>;

std::string folder() {
    const char* path = getenv("LINNET_MODELS");
    return path != nullptr ? path : "";
}

std::string file(const std::string& name) {
    std::string bytes;
    if (!read_file(folder() + "/" + name, bytes)) throw std::runtime_error(name + " cannot be read");
    return bytes;
}

// Without these there is nothing to test.
void need(Status status, const Error& error) {
    if (status != Status::ok) throw std::runtime_error(error.text());
}

Vocabulary from_model(const std::string& name) {
    Vocabulary vocabulary;
    Error error;
    need(read_sentencepiece_model(file(name), vocabulary, error), error);
    return vocabulary;
}

Vocabulary from_json(const std::string& name) {
    Vocabulary vocabulary;
    Error error;
    need(read_tokenizer_json(file(name), vocabulary, error), error);
    return vocabulary;
}

void configure(Vocabulary& vocabulary, const std::string& name) {
    Error error;
    need(apply_tokenizer_config(file(name), vocabulary, error), error);
}

Vocabulary from_gguf(const std::string& name) {
    const std::string bytes = file(name);
    MemoryInput input({bytes.begin(), bytes.end()});
    GgufHeader header;
    Error error;
    need(header.read(input, name, error), error);
    GgufVocabulary arrays;
    bool add_bos = false;
    Status status = header.strings("tokenizer.ggml.tokens", 1 << 20, arrays.tokens, error);
    if (status == Status::ok) status = header.floats("tokenizer.ggml.scores", 1 << 20, arrays.scores, error);
    if (status == Status::ok) status = header.integers("tokenizer.ggml.token_type", 1 << 20, arrays.types, error);
    if (status == Status::ok) status = header.string("tokenizer.ggml.model", 100, arrays.model, error);
    if (status == Status::ok) status = header.string("general.name", 100, arrays.model_name, error);
    if (status == Status::ok) status = header.string("tokenizer.chat_template", 1 << 20, arrays.chat_template, error);
    if (status == Status::ok) status = header.token("tokenizer.ggml.bos_token_id", arrays.bos, error);
    if (status == Status::ok) status = header.token("tokenizer.ggml.eos_token_id", arrays.eos, error);
    if (status == Status::ok) status = header.token("tokenizer.ggml.unknown_token_id", arrays.unknown, error);
    if (status == Status::ok) status = header.boolean("tokenizer.ggml.add_bos_token", add_bos, error);
    need(status, error);
    if (header.has("tokenizer.ggml.add_bos_token")) arrays.add_bos = add_bos ? 1 : 0;
    Vocabulary vocabulary;
    need(read_gguf_vocabulary(std::move(arrays), vocabulary, error), error);
    return vocabulary;
}

Vocabulary phi3() {
    Vocabulary vocabulary = from_json("phi3-tokenizer/tokenizer.json");
    configure(vocabulary, "phi3-tokenizer/tokenizer_config.json");
    return vocabulary;
}
Vocabulary phi3_april() {
    Vocabulary vocabulary = from_json("phi3-tokenizer/rev-april2024/tokenizer.json");
    configure(vocabulary, "phi3-tokenizer/rev-april2024/tokenizer_config.json");
    return vocabulary;
}

const std::vector<Said> conversation = {system_says("Be brief."), user(" What is 2+2?"), assistant("It is 4."),
                                        user("日本語\nthanks")};

}  // namespace

TEST_CASE("real: known ids") {
    TestTokenizer test;
    REQUIRE(test.open(phi3()));
    CHECK(test.encode(" Hello") == Ids{29871, 15043});
    CHECK(test.encode("  Hello") == Ids{259, 15043});
    CHECK(test.encode("a\nb") == Ids{263, 13, 29890});
    CHECK(test.encode("\n") == Ids{29871, 13});
    CHECK(test.encode(" ") == Ids{259});
    CHECK(test.encode("🦙") == Ids{29871, 243, 162, 169, 156});
    CHECK(test.encode("日") == Ids{29871, 30325});
    CHECK(test.encode_special("<|user|>\nHello<|end|>\n<|assistant|>\n") == Ids{32010, 15043, 32007, 32001});
    CHECK(test.encode_special("x <|end|> y") == Ids{921, 29871, 32007, 343});
    CHECK(test.encode_special("<|endoftext|> x") == Ids{32000, 29871, 921});
    CHECK(test.encode_special("<|user|>\n\xc2\xa0\xe3\x80\x80 Hello <|end|>") == Ids{32010, 15043, 29871, 32007});
    CHECK(test.encode_special("<|system|>\nS</s>\n<|user|>\nhi</s>\n<|assistant|>\n") ==
          Ids{32006, 317, 2, 32010, 7251, 2, 32001});
    CHECK(test.encode_special("<s>[INST] hi [/INST] yo </s><s>[INST] x [/INST]") ==
          Ids{1, 518, 25580, 29962, 7251,  518, 29914, 25580, 29962, 24800, 29871,
              2, 1,   518,   25580, 29962, 921, 518,   29914, 25580, 29962});
    CHECK(test.decode({32010, 15043, 32007, 32001}) == "Hello");
    CHECK(test.decode({32010, 15043, 32007, 32001}, true) == "<|user|> Hello<|end|><|assistant|>");
    CHECK(test.decode({921, 29871, 32007, 343}) == "x  y");
}

TEST_CASE("real: chat templates of phi-3") {
    TestTokenizer test;
    Vocabulary vocabulary = phi3();
    REQUIRE(test.open(vocabulary));
    CHECK(detect_chat_template(vocabulary) == ChatTemplate::phi35);
    CHECK(!vocabulary.add_bos);
    CHECK(vocabulary.eos == 32000);
    CHECK(reply_end_tokens(vocabulary, ChatTemplate::phi35) == Ids{32000, 32007, 32001});
    CHECK(chat(test, ChatTemplate::phi35, conversation, true).ids ==
          Ids{32006, 1522,  11473, 29889, 32007, 32010, 1724,  338,   29871, 29906, 29974, 29906, 29973, 32007, 32001, 739,
              338,   29871, 29946, 29889, 32007, 32010, 29871, 30325, 30346, 30968, 13,    386,   1331,  32007, 32001});
    CHECK(chat(test, ChatTemplate::phi35, {user("Hello")}, true).ids == Ids{32010, 15043, 32007, 32001});

    vocabulary = phi3_april();
    REQUIRE(test.open(vocabulary));
    CHECK(detect_chat_template(vocabulary) == ChatTemplate::phi3);
    CHECK(vocabulary.add_bos);
    CHECK(chat(test, ChatTemplate::phi3, {conversation.begin() + 1, conversation.end()}, true).ids ==
          Ids{1,     32010, 29871, 13,   1724, 338,   29871, 29906, 29974, 29906, 29973, 32007, 29871, 13,
              32001, 29871, 13,    3112, 338,  29871, 29946, 29889, 32007, 29871, 13,    32010, 29871, 13,
              30325, 30346, 30968, 13,   386,  1331,  32007, 29871, 13,    32001, 29871, 13});

    vocabulary = from_gguf("phi3-tokenizer/ggml-vocab-phi-3.gguf");
    REQUIRE(test.open(vocabulary));
    CHECK(detect_chat_template(vocabulary) == ChatTemplate::phi3);
    CHECK(vocabulary.pieces.size() == 32064);
    CHECK(chat(test, ChatTemplate::phi3, {user("Hello")}, true).ids == Ids{1, 32010, 15043, 32007, 32001});
}

TEST_CASE("real: chat templates on the Llama-2 vocabulary") {
    TestTokenizer test;
    Vocabulary vocabulary = from_json("llama-spm-tokenizer/tokenizer.json");
    configure(vocabulary, "llama-spm-tokenizer/tokenizer_config.json");
    REQUIRE(test.open(vocabulary));
    CHECK(vocabulary.add_bos);
    CHECK(vocabulary.bos == 1);
    CHECK(vocabulary.eos == 2);
    CHECK(chat(test, ChatTemplate::llama2, conversation, true).ids ==
          Ids{1,     518,   25580, 29962, 3532, 14816, 29903, 6778,  13,    3629,  11473, 29889, 13,    29966,
              829,   14816, 29903, 6778,  13,   13,    1724,  338,   29871, 29906, 29974, 29906, 29973, 518,
              29914, 25580, 29962, 739,   338,  29871, 29946, 29889, 29871, 2,     1,     518,   25580, 29962,
              29871, 30325, 30346, 30968, 13,   386,   1331,  518,   29914, 25580, 29962});
    CHECK(chat(test, ChatTemplate::zephyr, conversation, true).ids ==
          Ids{529,   29989, 5205,  29989, 29958, 13,    3629,  11473, 29889, 2,     29871, 13,    29966,
              29989, 1792,  29989, 29958, 13,    1724,  338,   29871, 29906, 29974, 29906, 29973, 2,
              29871, 13,    29966, 29989, 465,   22137, 29989, 29958, 13,    3112,  338,   29871, 29946,
              29889, 2,     29871, 13,    29966, 29989, 1792,  29989, 29958, 13,    30325, 30346, 30968,
              13,    386,   1331,  2,     29871, 13,    29966, 29989, 465,   22137, 29989, 29958, 13});
}

TEST_CASE("real: tokenizer.model, tokenizer.json, GGUF and tokenizer.bin give the same ids") {
    Vocabulary binary;
    Error error;
    REQUIRE(read_llama2c_tokenizer(file("stories15M/tokenizer.bin"), 32000, binary, error) == Status::ok);
    // (llama-spm-tokenizer/tokenizer.json is left out: its non-breaking spaces have been turned into spaces.)
    Vocabulary configured = from_model("phi3-tokenizer/tokenizer.model");
    configure(configured, "phi3-tokenizer/tokenizer_config.json");
    const std::vector<std::pair<const char*, Vocabulary>> sources = {
        {"tokenizer.model", from_model("llama-spm-tokenizer/tokenizer.model")},

        {"GGUF", from_gguf("llama-spm-tokenizer/ggml-vocab-llama-spm.gguf")},
        {"tokenizer.bin", binary},
        {"phi-3 tokenizer.json", phi3()},
        {"phi-3 tokenizer.model", configured},
        {"phi-3 GGUF", from_gguf("phi3-tokenizer/ggml-vocab-phi-3.gguf")}};
    std::vector<std::unique_ptr<TestTokenizer>> tests;
    for (const auto& source : sources) {
        const Vocabulary& vocabulary = source.second;
        const std::string name = source.first;
        CAPTURE(name);
        tests.push_back(std::make_unique<TestTokenizer>());
        REQUIRE(tests.back()->open(vocabulary));
        // The same scores in the same order, but for how special tokens are kept.
        const Vocabulary& first = sources[0].second;
        for (size_t id = 3; id < first.pieces.size(); ++id) {
            if (vocabulary.pieces[id].text == first.pieces[id].text && vocabulary.pieces[id].kind == first.pieces[id].kind)
                continue;
            CAPTURE(id);
            FAIL_CHECK("a piece differs");
        }
    }
    std::mt19937 random(11);
    const auto compare = [&](const std::string& text) {
        const Ids expected = tests[0]->encode(text);
        for (size_t i = 1; i < tests.size(); ++i) {
            CAPTURE(sources[i].first);
            CAPTURE(text);
            CHECK(tests[i]->encode(text) == expected);
        }
    };
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (unsigned parts = 1 + random() % 6; parts > 0; --parts) {
            if (random() % 3 == 0) text += static_cast<char>(random());
            if (random() % 3 == 0) text.append(random() % 9, ' ');
            text += sources[0].second.pieces[random() % 32000].text;
        }
        compare(text);
    }
    std::string shakespeare;
    if (read_file(folder() + "/corpora/tinyshakespeare.txt", shakespeare)) compare(shakespeare.substr(0, 100000));
}

TEST_CASE("real: the tinyllamas' vocabulary of 512") {
    Vocabulary binary;
    Error error;
    REQUIRE(read_llama2c_tokenizer(file("stories260K/tok512.bin"), 512, binary, error) == Status::ok);
    TestTokenizer a, b;
    REQUIRE(a.open(binary));
    REQUIRE(b.open(from_gguf("stories260K/stories260K-f32.gguf")));
    for (const std::string text : {"Once upon a time, there was a little girl named Lily.", "  two  spaces ", "日本\n\t<s>"}) {
        CHECK(a.encode(text) == b.encode(text));
        CHECK(a.decode(a.encode(text)) == text);
    }
    CHECK(a.encode("Once upon a time", {.add_bos = true}) == Ids{1, 403, 407, 261, 378});
}

int main(int argc, char** argv) {
    std::string bytes;
    for (const char* name :
         {"phi3-tokenizer/tokenizer.json", "llama-spm-tokenizer/tokenizer.json", "stories15M/tokenizer.bin"}) {
        if (read_file(folder() + "/" + name, bytes)) continue;
        printf("Skipped: LINNET_MODELS (%s) has no %s.\n", folder().empty() ? "not set" : folder().c_str(), name);
        return 77;
    }
    return doctest::Context(argc, argv).run();
}
