// Vocabularies from files: what is read, what is refused. Real files are tested in tests/property.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/unit/text_support.h"

using namespace linnet;
using namespace linnet::text_tests;

namespace {

std::string varint(uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}
std::string number(uint32_t field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes_field(uint32_t field, const std::string& bytes) {
    return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string piece(const std::string& text, float score, uint32_t type) {
    std::string four(4, '\0');
    memcpy(four.data(), &score, 4);
    return bytes_field(1, bytes_field(1, text) + varint(2 << 3 | 5) + four + number(3, type));
}
std::string model_pieces() {
    return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("▁", -2, 1) + piece("a", -1, 1) +
           piece("▁a", 0, 1);
}
const std::string trainer = bytes_field(2, number(3, 2));
const std::string normalizer = bytes_field(3, bytes_field(1, "identity") + number(4, 0));

Status read(const std::string& bytes, Vocabulary& vocabulary) {
    Error error;
    const Status status = read_sentencepiece_model(bytes, vocabulary, error);
    CHECK((status == Status::ok) == (std::string(error.text()).empty()));
    return status;
}

// A tokenizer.json of the shape that the SentencePiece converters write.
std::string json(const std::string& merges, const std::string& rest = "", const std::string& vocab = "") {
    return R"({"added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},
        {"id":5,"content":"<|user|>","special":true,"rstrip":true}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
            {"type":"Replace","pattern":{"String":" "},"content":"▁"}]},)" +
           rest +
           R"("model":{"type":"BPE","byte_fallback":true,"unk_token":"<unk>","vocab":{"<unk>":0,"<s>":1,"▁":2,"a":3,"▁a":4)" +
           vocab + R"(},"merges":)" + merges + "}}";
}

}  // namespace

TEST_CASE("vocabulary: tokenizer.model") {
    Vocabulary vocabulary;
    REQUIRE(read(model_pieces() + trainer + normalizer, vocabulary) == Status::ok);
    CHECK(vocabulary.pieces.size() == 6);
    CHECK(vocabulary.pieces[5].text == "▁a");
    CHECK(vocabulary.pieces[3].score == -2);
    CHECK(vocabulary.pieces[1].kind == Tokenizer::Kind::control);
    CHECK(vocabulary.bos == 1);
    CHECK(vocabulary.eos == 2);
    CHECK(vocabulary.unknown == 0);
    CHECK(vocabulary.add_bos);
    CHECK(vocabulary.dummy_prefix);

    const std::string good = model_pieces() + trainer + normalizer;
    CHECK(read(good + bytes_field(3, number(3, 0)), vocabulary) == Status::ok);  // messages merge
    CHECK(!vocabulary.dummy_prefix);
    CHECK(read(model_pieces() + normalizer, vocabulary) == Status::unsupported);  // unigram is the default
    CHECK(read(model_pieces() + trainer, vocabulary) == Status::unsupported);     // collapses white space by default
    CHECK(read(good + bytes_field(3, bytes_field(2, "map")), vocabulary) == Status::unsupported);
    CHECK(read(good + bytes_field(3, number(5, 0)), vocabulary) == Status::unsupported);
    CHECK(read(good + bytes_field(2, number(24, 1)), vocabulary) == Status::unsupported);
    CHECK(read(good + piece("b", 0, 5), vocabulary) == Status::unsupported);
    CHECK(read(good + piece("b", 0, 9), vocabulary) == Status::bad_file);
    CHECK(read(good + piece("a", 0, 1), vocabulary) == Status::bad_file);
    CHECK(read(good + piece("", 0, 1), vocabulary) == Status::bad_file);
    CHECK(read(good + piece("<unk2>", 0, 2), vocabulary) == Status::bad_file);
    CHECK(read(good + piece("<0x00>", 0, 6), vocabulary) == Status::bad_file);
    CHECK(read(trainer + normalizer, vocabulary) == Status::bad_file);
    CHECK(read("", vocabulary) == Status::bad_file);
    CHECK(read(good.substr(0, good.size() - 1), vocabulary) == Status::bad_file);
    CHECK(read(good + bytes_field(1, "").substr(0, 1), vocabulary) == Status::bad_file);
    CHECK(read(std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), vocabulary) == Status::bad_file);
}

TEST_CASE("vocabulary: tokenizer.json") {
    Vocabulary vocabulary;
    Error error;
    for (const char* merges : {R"(["▁ a"])", R"([["▁","a"]])"}) {
        REQUIRE(read_tokenizer_json(json(merges), vocabulary, error) == Status::ok);
        CHECK(vocabulary.pieces.size() == 6);
        CHECK(vocabulary.pieces[4].score > vocabulary.pieces[3].score);
        CHECK(vocabulary.pieces[5].added);
        CHECK(vocabulary.pieces[5].rstrip);
        CHECK(vocabulary.pieces[0].kind == Tokenizer::Kind::unknown);
        CHECK(vocabulary.dummy_prefix);
        CHECK(!vocabulary.add_bos);
    }
    const std::string bos = R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]},)";
    REQUIRE(read_tokenizer_json(json(R"(["▁ a"])", bos), vocabulary, error) == Status::ok);
    CHECK(vocabulary.add_bos);
    CHECK(vocabulary.bos == 1);
    const std::string metaspace =
        R"({"model":{"type":"BPE","byte_fallback":true,"vocab":{"<s>":0,"▁":1},"merges":[]},
            "pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":)";
    REQUIRE(read_tokenizer_json(metaspace + "false}}", vocabulary, error) == Status::ok);
    CHECK(vocabulary.dummy_prefix);
    CHECK(vocabulary.prefix_first_only);
    CHECK(read_tokenizer_json(metaspace + "true}}", vocabulary, error) == Status::unsupported);

    CHECK(read_tokenizer_json(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]}})", vocabulary, error) ==
          Status::unsupported);
    CHECK(std::string(error.text()).find("byte-level") != std::string::npos);
    CHECK(read_tokenizer_json(R"({"model":{"type":"Unigram"}})", vocabulary, error) == Status::unsupported);
    // A merge that is missing, one that makes nothing, one that is no pair.
    CHECK(read_tokenizer_json(json("[]"), vocabulary, error) == Status::unsupported);
    CHECK(read_tokenizer_json(json(R"(["▁ a","a a"])"), vocabulary, error) == Status::bad_file);
    CHECK(read_tokenizer_json(json(R"(["▁ a","a"])"), vocabulary, error) == Status::bad_file);
    CHECK(read_tokenizer_json(json(R"(["▁ a",7])"), vocabulary, error) == Status::bad_file);
    // Ids: twice, too large, negative, no number; an added token that contradicts the vocabulary.
    CHECK(read_tokenizer_json(json(R"(["▁ a"])", "", R"(,"b":4)"), vocabulary, error) == Status::bad_file);
    CHECK(read_tokenizer_json(json(R"(["▁ a"])", "", R"(,"b":900000)"), vocabulary, error) == Status::bad_file);
    CHECK(read_tokenizer_json(json(R"(["▁ a"])", "", R"(,"b":-1)"), vocabulary, error) == Status::bad_file);
    CHECK(read_tokenizer_json(json(R"(["▁ a"])", "", R"(,"b":"c")"), vocabulary, error) == Status::bad_file);
    CHECK(read_tokenizer_json(json(R"(["▁ a"])", "", R"(,"b":5)"), vocabulary, error) == Status::bad_file);
    for (const std::string text : {"", "[]", "{}", "null", "{\"model\":7}", "{\"model\":{\"byte_fallback\":true}}", "\xff"}) {
        CHECK(read_tokenizer_json(text, vocabulary, error) != Status::ok);
    }
    CHECK(read_tokenizer_json(std::string(1000000, '['), vocabulary, error) == Status::bad_file);
    std::string deep = "{\"model\":";
    for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
    CHECK(read_tokenizer_json(deep + "1" + std::string(100001, '}'), vocabulary, error) == Status::bad_file);
}

TEST_CASE("vocabulary: tokenizer_config.json and added_tokens.json") {
    Vocabulary vocabulary = small_vocabulary({"▁", "a"});
    vocabulary.add_bos = true;
    Error error;
    const std::string config = R"({"add_bos_token":false,"bos_token":{"content":"<s>"},"eos_token":"<|end|>",
        "added_tokens_decoder":{"2":{"content":"</s>","rstrip":true,"special":false},"262":{"content":"<|end|>","special":true}},
        "chat_template":[{"name":"tool_use","template":"tools"},{"name":"default","template":"<|user|><|end|><|system|>\n'"}]})";
    REQUIRE(apply_tokenizer_config(config, vocabulary, error) == Status::ok);
    CHECK(!vocabulary.add_bos);
    CHECK(vocabulary.pieces.size() == 263);
    CHECK(vocabulary.pieces[261].kind == Tokenizer::Kind::unused);
    CHECK(vocabulary.eos == 262);
    CHECK(vocabulary.bos == 1);
    CHECK(vocabulary.pieces[2].rstrip);
    CHECK(vocabulary.pieces[2].added);
    CHECK(detect_chat_template(vocabulary) == ChatTemplate::phi35);
    CHECK(reply_end_tokens(vocabulary, ChatTemplate::phi35) == std::vector<int32_t>{262});

    REQUIRE(apply_tokenizer_config(R"({"<|user|>":261})", vocabulary, error) == Status::ok);
    CHECK(vocabulary.pieces[261].text == "<|user|>");
    CHECK(vocabulary.pieces[261].added);
    CHECK(apply_tokenizer_config("{}", vocabulary, error) == Status::ok);
    CHECK(apply_tokenizer_config(R"({"<|user|>":12345678901234567890})", vocabulary, error) == Status::bad_file);
    CHECK(apply_tokenizer_config(R"({"<|other|>":261})", vocabulary, error) == Status::bad_file);
    for (const char* key : {"-1", "9999999", "1x", "", "99999999999999999999"}) {
        const std::string bad = std::string(R"({"added_tokens_decoder":{")") + key + R"(":{"content":"x"}}})";
        CHECK(apply_tokenizer_config(bad, vocabulary, error) == Status::bad_file);
    }
    CHECK(apply_tokenizer_config("[1]", vocabulary, error) == Status::bad_file);
}

TEST_CASE("vocabulary: GGUF's arrays") {
    const auto arrays = [] {
        GgufVocabulary gguf;
        gguf.model = "llama";
        gguf.model_name = "Phi-3 mini";
        gguf.tokens = {"<unk>", "<s>", "</s>", "▁", "a", "<|endoftext|>", "<|user|>", "[PAD7]", "\n\n"};
        gguf.scores = {0, 0, 0, -1, -2, -1000, -1000, -1000, 0};
        gguf.types = {3, 3, 4, 1, 1, 3, 3, 2, 4};
        return gguf;
    };
    Vocabulary vocabulary;
    Error error;
    REQUIRE(read_gguf_vocabulary(arrays(), vocabulary, error) == Status::ok);
    CHECK(vocabulary.unknown == 0);
    CHECK(vocabulary.bos == 1);
    CHECK(vocabulary.eos == 2);
    CHECK(vocabulary.add_bos);
    CHECK(vocabulary.pieces[0].kind == Tokenizer::Kind::unknown);
    CHECK(vocabulary.pieces[2].added);
    CHECK(vocabulary.pieces[2].rstrip);
    CHECK(!vocabulary.pieces[5].rstrip);
    CHECK(vocabulary.pieces[6].rstrip);
    CHECK(vocabulary.pieces[7].kind == Tokenizer::Kind::unused);
    CHECK(!vocabulary.pieces[8].added);

    GgufVocabulary gguf = arrays();
    gguf.model_name = "TinyLlama";
    REQUIRE(read_gguf_vocabulary(std::move(gguf), vocabulary, error) == Status::ok);
    CHECK(!vocabulary.pieces[6].rstrip);
    const auto refused = [&](auto change, Status status) {
        GgufVocabulary bad = arrays();
        change(bad);
        CHECK(read_gguf_vocabulary(std::move(bad), vocabulary, error) == status);
    };
    refused([](GgufVocabulary& bad) { bad.model = "gpt2"; }, Status::unsupported);
    refused([](GgufVocabulary& bad) { bad.tokens.clear(); }, Status::bad_file);
    refused([](GgufVocabulary& bad) { bad.scores.pop_back(); }, Status::bad_file);
    refused([](GgufVocabulary& bad) { bad.types.pop_back(); }, Status::bad_file);
    refused([](GgufVocabulary& bad) { bad.types[3] = 7; }, Status::bad_file);
    refused([](GgufVocabulary& bad) { bad.bos = 9; }, Status::bad_file);
}

TEST_CASE("vocabulary: llama2.c's tokenizer.bin") {
    std::string bytes(4, '\0');
    const auto add = [&](const std::string& text, float score) {
        const auto length = static_cast<int32_t>(text.size());
        char head[8];
        memcpy(head, &score, 4);
        memcpy(head + 4, &length, 4);
        bytes += std::string(head, 8) + text;
    };
    add("<unk>", 0);
    add("\n<s>\n", 0);
    add("\n</s>\n", 0);
    add("<0x00>", 0);
    add(" a", -1);
    Vocabulary vocabulary;
    Error error;
    REQUIRE(read_llama2c_tokenizer(bytes, 5, vocabulary, error) == Status::ok);
    CHECK(vocabulary.pieces[1].text == "<s>");
    CHECK(vocabulary.pieces[3].kind == Tokenizer::Kind::byte);
    CHECK(vocabulary.pieces[4].text == "▁a");
    CHECK(vocabulary.pieces[4].score == -1);
    CHECK(read_llama2c_tokenizer(bytes, 6, vocabulary, error) == Status::bad_file);
    CHECK(read_llama2c_tokenizer(bytes, 2, vocabulary, error) == Status::bad_file);
    CHECK(read_llama2c_tokenizer(bytes, 0xffffffff, vocabulary, error) == Status::bad_file);
    for (size_t size = 0; size < bytes.size(); ++size) {
        CHECK(read_llama2c_tokenizer(bytes.substr(0, size), 5, vocabulary, error) == Status::bad_file);
    }
    bytes[8] = '\xff', bytes[9] = '\xff', bytes[10] = '\xff', bytes[11] = '\xff';
    CHECK(read_llama2c_tokenizer(bytes, 5, vocabulary, error) == Status::bad_file);
}

TEST_CASE("vocabulary: the chat template and what ends a reply") {
    Vocabulary vocabulary = small_vocabulary({"▁"});
    const auto detect = [&](const char* jinja) {
        vocabulary.chat_template = jinja;
        return detect_chat_template(vocabulary);
    };
    CHECK(detect("") == ChatTemplate::none);
    CHECK(detect("{{ messages[0]['content'] }}") == ChatTemplate::none);
    CHECK(detect("{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + "
                 "message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% endif %}{% endfor %}") ==
          ChatTemplate::phi3);
    CHECK(detect("{{'<|user|>' + '\n' + message['content'] + '<|end|>' + '\n' + '<|assistant|>' + '\n'}}") ==
          ChatTemplate::phi3);
    CHECK(detect("{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif "
                 "message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}") == ChatTemplate::phi35);
    CHECK(detect("{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}") == ChatTemplate::phi35);
    CHECK(detect("{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}") == ChatTemplate::phi4_mini);
    CHECK(detect("{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }} '<<SYS>>\\n'") == ChatTemplate::llama2);
    CHECK(detect("{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}") == ChatTemplate::none);
    CHECK(detect("{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + "
                 "eos_token }}\n{{ '<|assistant|>' }}") == ChatTemplate::zephyr);
    CHECK(detect("{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}") ==
          ChatTemplate::chatml);

    CHECK(reply_end_tokens(vocabulary, ChatTemplate::none) == std::vector<int32_t>{2});
    CHECK(reply_end_tokens(vocabulary, ChatTemplate::zephyr) == std::vector<int32_t>{2});
    const int32_t text_end = add_special(vocabulary, "<|endoftext|>"), answer = add_special(vocabulary, "<|assistant|>"),
                  end = add_special(vocabulary, "<|end|>"), turn_end = add_special(vocabulary, "<|im_end|>");
    add_special(vocabulary, "<|user|>");
    vocabulary.eos = text_end;
    CHECK(reply_end_tokens(vocabulary, ChatTemplate::phi3) == std::vector<int32_t>{text_end, end, answer});
    CHECK(reply_end_tokens(vocabulary, ChatTemplate::chatml) == std::vector<int32_t>{text_end, turn_end});
    CHECK(detect("") == ChatTemplate::phi35);
}
