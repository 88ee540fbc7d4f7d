#include "tools/converter/synth_shapes.h"

#include <algorithm>

#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

// The factors of the published configurations (rope_scaling of Phi-3-mini-128k-instruct, June 2024, and Phi-3.5-mini-instruct).
constexpr float phi3_128k_short[] = {
    1.1f, 1.1f,  1.1f,  1.3f,  1.35f, 1.35f, 1.4f,  1.55f, 2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.0f,
    2.0f, 2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.0f,  2.05f, 2.05f, 2.05f, 2.05f, 2.05f, 2.05f, 2.1f,
    2.1f, 2.15f, 2.25f, 2.25f, 2.25f, 2.25f, 2.25f, 2.4f,  2.45f, 2.5f,  2.7f,  2.7f,  2.75f, 2.8f,  2.9f,  3.05f,
};
constexpr float phi3_128k_long[] = {
    1.07f,      1.12f,      1.15f,      1.42f,      1.5699999f, 1.8f,       2.1299999f, 2.1299999f, 3.01f,      5.9100003f,
    6.9500003f, 9.070001f,  9.93f,      10.71f,     11.13f,     14.61f,     15.409999f, 19.81f,     37.28f,     38.28f,
    38.6f,      40.120003f, 46.200005f, 50.940006f, 53.660007f, 54.93739f,  56.89739f,  57.287388f, 59.987385f, 60.867386f,
    60.887386f, 61.717392f, 62.917393f, 62.957394f, 63.417393f, 63.817394f, 63.837395f, 63.897396f, 63.937397f, 64.0674f,
    64.11435f,  64.12435f,  64.15435f,  64.19435f,  64.244354f, 64.574356f, 64.69f,     64.76f,
};
constexpr float phi35_short[] = {
    1.0f,       1.02f,      1.03f,      1.03f,      1.05f,      1.05f,      1.05f,      1.05f,      1.05f,      1.0699999f,
    1.0999999f, 1.1099999f, 1.1599998f, 1.1599998f, 1.1699998f, 1.2899998f, 1.3399998f, 1.6799998f, 1.7899998f, 1.8199998f,
    1.8499998f, 1.8799998f, 1.9099997f, 1.9399997f, 1.9899997f, 2.0199997f, 2.0199997f, 2.0199997f, 2.0199997f, 2.0199997f,
    2.0199997f, 2.0299997f, 2.0299997f, 2.0299997f, 2.0299997f, 2.0299997f, 2.0299997f, 2.0299997f, 2.0299997f, 2.0299997f,
    2.0799997f, 2.0899997f, 2.1899996f, 2.2199996f, 2.5899994f, 2.7299995f, 2.7499995f, 2.8399994f,
};
constexpr float phi35_long[] = {
    1.08f,      1.11f,      1.14f,      1.34f,      1.5899999f, 1.6f,       1.62f,      2.6200001f, 3.23f,      3.23f,
    4.79f,      7.4f,       7.7000003f, 9.09f,      12.2f,      17.67f,     24.460001f, 28.570002f, 30.420002f, 30.840002f,
    32.590004f, 32.930004f, 42.320004f, 44.960003f, 50.340004f, 50.450005f, 57.550003f, 57.930004f, 58.210003f, 60.140003f,
    62.610004f, 62.620003f, 62.710003f, 63.140003f, 63.140003f, 63.770004f, 63.930004f, 63.960003f, 63.97f,     64.03f,
    64.07f,     64.08f,     64.12f,     64.41f,     64.48f,     64.51f,     64.53f,     64.84f,
};
constexpr float phi3_attention_factor = 1.1902380714238083f;  // sqrt(1 + ln(131072 / 4096) / ln(4096))

struct Shape {
    const char* name;
    Architecture architecture;
    uint32_t vocabulary, hidden, layers, heads, kv_heads, head_dim, feed_forward;
    uint32_t context, original_context, window_keys;
    bool tied;
    ChatTemplate chat_template;
    float attention_factor;
    const float* short_factors;  // rotary_dims / 2 = head_dim / 2 of them; null: none, or made up if the contexts differ
    const float* long_factors;
};

constexpr Shape shapes[] = {
    {"micro", Architecture::phi3, 288, 32, 1, 2, 1, 16, 32, 64, 8, 0, false, ChatTemplate::phi35, 1.41421356f, nullptr,
     nullptr},
    {"micro-llama", Architecture::llama, 288, 32, 1, 2, 1, 16, 32, 64, 64, 0, true, ChatTemplate::zephyr, 1, nullptr, nullptr},
    {"tiny", Architecture::phi3, 512, 192, 4, 2, 2, 96, 512, 2048, 2048, 0, false, ChatTemplate::phi35, 1, nullptr, nullptr},
    {"tiny-window", Architecture::phi3, 512, 192, 4, 2, 2, 96, 512, 2048, 2048, 16, false, ChatTemplate::phi35, 1, nullptr,
     nullptr},
    // For attention: three heads on each KV head; and a window in which tokens that are computed together do not all see the same.
    {"tiny-shared", Architecture::llama, 512, 192, 2, 6, 2, 32, 96, 512, 512, 0, false, ChatTemplate::zephyr, 1, nullptr,
     nullptr},
    {"tiny-narrow", Architecture::phi3, 512, 192, 2, 4, 4, 48, 96, 512, 512, 3, false, ChatTemplate::phi35, 1, nullptr,
     nullptr},
    // Both with LongRoPE: sqrt(1 + ln(s) / ln(original context)), s the ratio of the contexts and equal to the latter.
    {"tiny-longrope", Architecture::phi3, 512, 192, 4, 2, 2, 96, 512, 4096, 64, 0, false, ChatTemplate::phi35, 1.41421356f,
     nullptr, nullptr},
    {"tiny-llama", Architecture::llama, 512, 128, 4, 4, 2, 32, 352, 1024, 1024, 0, true, ChatTemplate::zephyr, 1, nullptr,
     nullptr},
    // Enough weights and KV cache that a ceiling is about them and not about the rest: 16 MB at group 64, 8 kB a token.
    {"small", Architecture::phi3, 2048, 512, 8, 8, 8, 64, 1408, 4096, 4096, 0, false, ChatTemplate::phi35, 1, nullptr, nullptr},
    {"stories15m", Architecture::llama, 32000, 288, 6, 6, 6, 48, 768, 256, 256, 0, true, ChatTemplate::none, 1, nullptr,
     nullptr},
    {"tinyllama", Architecture::llama, 32000, 2048, 22, 32, 4, 64, 5632, 2048, 2048, 0, false, ChatTemplate::zephyr, 1, nullptr,
     nullptr},
    {"phi-3-mini", Architecture::phi3, 32064, 3072, 32, 32, 32, 96, 8192, 4096, 4096, 2048, false, ChatTemplate::phi35, 1,
     nullptr, nullptr},
    {"phi-3-mini-128k", Architecture::phi3, 32064, 3072, 32, 32, 32, 96, 8192, 131072, 4096, 0, false, ChatTemplate::phi35,
     phi3_attention_factor, phi3_128k_short, phi3_128k_long},
    {"phi-3.5-mini", Architecture::phi3, 32064, 3072, 32, 32, 32, 96, 8192, 131072, 4096, 0, false, ChatTemplate::phi35,
     phi3_attention_factor, phi35_short, phi35_long},
};

// phi-3's added tokens, which follow the 32000 pieces of its vocabulary, with what they swallow.
constexpr const char* phi3_tokens[] = {"<|endoftext|>",    "<|assistant|>",    "<|placeholder1|>", "<|placeholder2|>",
                                       "<|placeholder3|>", "<|placeholder4|>", "<|system|>",       "<|end|>",
                                       "<|placeholder5|>", "<|placeholder6|>", "<|user|>"};
constexpr uint32_t phi3_token_count = 11;

bool is_phi3(const Shape& shape) { return shape.architecture == Architecture::phi3; }

// Pieces without the rows that only pad a vocabulary: phi-3 has 53 of those, our small shapes one.
uint32_t usable_vocabulary(const Shape& shape) {
    if (!is_phi3(shape)) return shape.vocabulary;
    return shape.vocabulary == 32064 ? 32011 : shape.vocabulary - 1;
}

// A word made of syllables, another one for each number: a random model's babble can be read and timed like text.
std::string babble(uint32_t number) {
    static constexpr char consonants[] = "bcdfghjklmnprstvwxyz";
    static constexpr char vowels[] = "aeiou";
    std::string word = "\xe2\x96\x81";  // U+2581, a space
    for (int syllable = 0; syllable < 3; ++syllable, number /= 100) {
        word += consonants[number % 100 / 5];
        word += vowels[number % 5];
    }
    return word;
}

// <unk>, <s>, </s>, the 256 bytes, letters, words, and phi-3's added tokens where the shape is phi-3's.
Vocabulary make_vocabulary(const Shape& shape) {
    Vocabulary vocabulary;
    vocabulary.unknown = 0;
    vocabulary.bos = 1;
    vocabulary.eos = is_phi3(shape) ? static_cast<int32_t>(usable_vocabulary(shape) - phi3_token_count) : 2;
    vocabulary.add_bos = !is_phi3(shape);
    const auto add = [&](std::string text, Tokenizer::Kind kind) -> Piece& {
        Piece piece;
        piece.text = std::move(text);
        piece.score = -static_cast<float>(vocabulary.pieces.size());
        piece.kind = kind;
        vocabulary.pieces.push_back(std::move(piece));
        return vocabulary.pieces.back();
    };
    add("<unk>", Tokenizer::Kind::unknown);
    add("<s>", Tokenizer::Kind::control);
    add("</s>", Tokenizer::Kind::control);
    for (uint32_t byte = 0; byte < 256; ++byte) {
        constexpr char digits[] = "0123456789ABCDEF";
        add(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", Tokenizer::Kind::byte);
    }
    const uint32_t usable = usable_vocabulary(shape);
    const uint32_t pieces = is_phi3(shape) ? usable - phi3_token_count : usable;
    const auto room = [&] { return vocabulary.pieces.size() < pieces; };
    if (room()) add("\xe2\x96\x81", Tokenizer::Kind::normal);
    for (char letter = 'a'; letter <= 'z' && room(); ++letter) add(std::string(1, letter), Tokenizer::Kind::normal);
    for (char letter = 'a'; letter <= 'z' && room(); ++letter) {
        add(std::string("\xe2\x96\x81") + letter, Tokenizer::Kind::normal);
    }
    for (uint32_t number = 0; room(); ++number) add(babble(number), Tokenizer::Kind::normal);
    if (is_phi3(shape)) {
        for (uint32_t i = 0; i < phi3_token_count; ++i) {
            Piece& piece = add(phi3_tokens[i], Tokenizer::Kind::control);
            piece.added = true;
            piece.rstrip = i != 0;
        }
    }
    return vocabulary;
}

void set_config(const Shape& shape, ModelConfig& config) {
    config.architecture = static_cast<uint32_t>(shape.architecture);
    config.vocabulary = shape.vocabulary;
    config.usable_vocabulary = usable_vocabulary(shape);
    config.hidden = shape.hidden;
    config.layers = shape.layers;
    config.heads = shape.heads;
    config.kv_heads = shape.kv_heads;
    config.head_dim = config.rotary_dims = shape.head_dim;
    config.feed_forward = shape.feed_forward;
    config.context = shape.context;
    config.original_context = shape.original_context;
    config.window_keys = shape.window_keys;
    config.rms_epsilon = 1e-5f;
    config.rope_attention_factor = shape.attention_factor;
    config.rope_theta = 10000;
    config.flags = (shape.tied ? tied_embeddings : 0u) | (shape.context != shape.original_context ? long_rope : 0u);
    config.chat_template = static_cast<uint32_t>(shape.chat_template);
    config.bos_token = 1;
    config.add_bos = is_phi3(shape) ? 0 : 1;
    if (is_phi3(shape)) {
        const int32_t first = static_cast<int32_t>(usable_vocabulary(shape) - phi3_token_count);
        config.eos_count = 3;
        config.eos_tokens[0] = first;      // <|endoftext|>
        config.eos_tokens[1] = first + 1;  // <|assistant|>
        config.eos_tokens[2] = first + 7;  // <|end|>
    } else {
        config.eos_count = 1;
        config.eos_tokens[0] = 2;
    }
}

void set_factors(const Shape& shape, ContainerHead& head) {
    if (shape.context == shape.original_context) return;
    const uint32_t count = shape.head_dim / 2;
    for (uint32_t i = 0; i < count; ++i) {
        const float step = static_cast<float>(i);
        head.rope_short.push_back(shape.short_factors != nullptr ? shape.short_factors[i] : 1 + 0.03125f * step);
        head.rope_long.push_back(shape.long_factors != nullptr ? shape.long_factors[i] : 1 + step);
    }
}

}  // namespace

std::vector<std::string> synth_shape_names() {
    std::vector<std::string> names;
    for (const Shape& shape : shapes) names.emplace_back(shape.name);
    return names;
}

Status synth_head(const std::string& name, uint32_t group, ContainerHead& head, Error& error) {
    const Shape* shape =
        std::find_if(std::begin(shapes), std::end(shapes), [&](const Shape& known) { return name == known.name; });
    if (shape == std::end(shapes)) {
        error.fail(Status::bad_argument) << "There is no shape \"" << name << "\". Shapes:";
        for (const Shape& known : shapes) error << ' ' << known.name;
        return error << '.';
    }
    if (group != 32 && group != 64 && group != 128) {
        return error.fail(Status::bad_argument) << "The group is " << group << "; it must be 32, 64 or 128.";
    }
    head = {};
    head.name = "synthetic " + name;
    set_config(*shape, head.config);
    set_factors(*shape, head);
    if (Status status = build_tokenizer_block(make_vocabulary(*shape), head.tokenizer_block, error); status != Status::ok) {
        return status;
    }
    const auto add = [&](TensorRole role, uint32_t layer, TensorFormat format, uint32_t rows, uint32_t columns) {
        TensorRecord record{};
        record.role = static_cast<uint32_t>(role);
        record.layer = layer;
        record.format = static_cast<uint32_t>(format);
        record.group = format == TensorFormat::f32_vector ? 0 : group;
        record.rows = rows;
        record.columns = columns;
        head.tensors.push_back(record);
    };
    const uint32_t hidden = shape->hidden, attention = shape->heads * shape->head_dim;
    if (!shape->tied) add(TensorRole::embedding, 0, TensorFormat::int8_rows, shape->vocabulary, hidden);
    for (uint32_t layer = 0; layer < shape->layers; ++layer) {
        const uint32_t qkv_rows = attention + 2 * shape->kv_heads * shape->head_dim;
        add(TensorRole::attention_norm, layer, TensorFormat::f32_vector, 1, hidden);
        add(TensorRole::qkv, layer, TensorFormat::int4_packed, qkv_rows, hidden);
        add(TensorRole::attention_output, layer, TensorFormat::int4_packed, hidden, attention);
        add(TensorRole::feed_forward_norm, layer, TensorFormat::f32_vector, 1, hidden);
        add(TensorRole::gate_up, layer, TensorFormat::int4_packed, 2 * shape->feed_forward, hidden);
        add(TensorRole::down, layer, TensorFormat::int4_packed, hidden, shape->feed_forward);
    }
    add(TensorRole::output_norm, 0, TensorFormat::f32_vector, 1, hidden);
    add(TensorRole::output, 0, TensorFormat::int8_packed, shape->vocabulary, hidden);
    return Status::ok;
}

}  // namespace linnet
