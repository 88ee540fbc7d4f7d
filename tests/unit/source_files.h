// Model files made in memory, for the tests of the converter's readers: sound ones, and ways to spoil them.
#pragma once

#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "tools/converter/source.h"

namespace linnet::source_test {

using Bytes = std::vector<uint8_t>;

inline Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

class MemoryInput : public Input {
public:
    explicit MemoryInput(const Bytes& bytes) : bytes_(bytes) {}
    uint64_t size() const override { return bytes_.size(); }
    Status read(uint64_t offset, void* to, size_t count, Error& error) override {
        if (offset > bytes_.size() || count > bytes_.size() - offset)
            return error.fail(Status::io) << "A read past the file's end.";
        memcpy(to, bytes_.data() + offset, count);
        return Status::ok;
    }

private:
    const Bytes& bytes_;
};

class MemoryFolder : public InputFolder {
public:
    std::map<std::string, Bytes> files;
    std::vector<std::string> names() const override {
        std::vector<std::string> result;
        for (const auto& [name, bytes] : files) result.push_back(name);
        return result;
    }
    Status open(const std::string& name, Input*& input, Error&) override {
        const auto place = files.find(name);
        input = nullptr;
        if (place == files.end()) return Status::ok;
        opened_.push_back(std::make_unique<MemoryInput>(place->second));
        input = opened_.back().get();
        return Status::ok;
    }

private:
    std::vector<std::unique_ptr<MemoryInput>> opened_;
};

template <typename T>
void put(Bytes& bytes, T value) {
    const size_t end = bytes.size();
    bytes.resize(end + sizeof value);
    store(bytes.data() + end, value);
}

inline Bytes float_bytes(const std::vector<float>& values) {
    Bytes bytes;
    for (float value : values) put(bytes, value);
    return bytes;
}

// Small numbers that differ everywhere: element (row, column) of matrix `salt`.
inline float test_weight(uint32_t salt, uint32_t row, uint32_t column) {
    return static_cast<float>(static_cast<int32_t>((salt * 131 + row * 17 + column * 5) % 251) - 125) / 256.0f;
}
inline std::vector<float> test_matrix(uint32_t salt, uint32_t rows, uint32_t columns) {
    std::vector<float> values;
    for (uint32_t row = 0; row < rows; ++row) {
        for (uint32_t column = 0; column < columns; ++column) values.push_back(test_weight(salt, row, column));
    }
    return values;
}

// A GGUF file: keys and tensors by name, in order, each of which a test may change.
class GgufFile {
public:
    struct Tensor {
        std::string name;
        std::vector<uint64_t> sizes;  // the first is the row's length
        uint32_t type = 0;
        Bytes data;
        int64_t offset_shift = 0;  // a test's lie about the place
    };
    std::vector<std::pair<std::string, Bytes>> keys;  // type and value
    std::vector<Tensor> tensors;
    uint32_t version = 3;
    uint64_t alignment = 32;

    void erase(const std::string& key) {
        std::erase_if(keys, [&](const auto& entry) { return entry.first == key; });
    }
    void set(const std::string& key, uint32_t type, const Bytes& value) {
        Bytes bytes;
        put(bytes, type);
        bytes.insert(bytes.end(), value.begin(), value.end());
        for (auto& entry : keys) {
            if (entry.first == key) {
                entry.second = bytes;
                return;
            }
        }
        keys.emplace_back(key, bytes);
    }
    void u32(const std::string& key, uint32_t value) { set(key, 4, number(value)); }
    void f32(const std::string& key, float value) { set(key, 6, number(value)); }
    void boolean(const std::string& key, bool value) { set(key, 7, number(static_cast<uint8_t>(value))); }
    void text(const std::string& key, std::string_view value) { set(key, 8, string_bytes(value)); }
    void array(const std::string& key, uint32_t element, uint64_t count, const Bytes& elements) {
        Bytes bytes;
        put(bytes, element);
        put(bytes, count);
        bytes.insert(bytes.end(), elements.begin(), elements.end());
        set(key, 9, bytes);
    }
    void texts(const std::string& key, const std::vector<std::string>& values) {
        Bytes elements;
        for (const std::string& value : values) {
            const Bytes bytes = string_bytes(value);
            elements.insert(elements.end(), bytes.begin(), bytes.end());
        }
        array(key, 8, values.size(), elements);
    }
    void matrix(const std::string& name, uint32_t rows, uint32_t columns, uint32_t salt) {
        std::vector<uint64_t> sizes = {columns};
        if (rows != 1) sizes.push_back(rows);
        tensors.push_back({name, sizes, 0, float_bytes(test_matrix(salt, rows, columns)), 0});
    }
    Tensor& tensor(const std::string& name) {
        for (Tensor& each : tensors) {
            if (each.name == name) return each;
        }
        abort();
    }
    void erase_tensor(const std::string& name) {
        std::erase_if(tensors, [&](const Tensor& each) { return each.name == name; });
    }

    Bytes bytes() const {
        Bytes file = to_bytes("GGUF");
        put(file, version);
        put<uint64_t>(file, tensors.size());
        put<uint64_t>(file, keys.size());
        for (const auto& [key, value] : keys) {
            append(file, string_bytes(key));
            append(file, value);
        }
        uint64_t offset = 0;
        for (const Tensor& each : tensors) {
            append(file, string_bytes(each.name));
            put(file, static_cast<uint32_t>(each.sizes.size()));
            for (uint64_t size : each.sizes) put(file, size);
            put(file, each.type);
            put<uint64_t>(file, offset + static_cast<uint64_t>(each.offset_shift));
            offset = align_up(offset + each.data.size(), alignment);
        }
        file.resize(align_up(file.size(), alignment));
        for (const Tensor& each : tensors) {
            append(file, each.data);
            if (&each != &tensors.back()) file.resize(align_up(file.size(), alignment));
        }
        return file;
    }

    static Bytes string_bytes(std::string_view value) {
        Bytes bytes;
        put<uint64_t>(bytes, value.size());
        bytes.insert(bytes.end(), value.begin(), value.end());
        return bytes;
    }
    template <typename T>
    static Bytes number(T value) {
        Bytes bytes;
        put(bytes, value);
        return bytes;
    }

private:
    static void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }
};

// The sizes of all models here: hidden 32, 2 heads of 16, 1 of keys and values, feed-forward 24, vocabulary 40.
struct Sizes {
    uint32_t hidden = 32, layers = 1, heads = 2, kv_heads = 1, head_dim = 16, feed_forward = 24, vocabulary = 40, context = 64;
    uint32_t query_rows() const { return heads * head_dim; }
    uint32_t key_rows() const { return kv_heads * head_dim; }
};

inline GgufFile gguf_model(const std::string& architecture, const Sizes& sizes = {}) {
    GgufFile file;
    const auto key = [&](const char* name) { return architecture + '.' + name; };
    file.text("general.architecture", architecture);
    file.text("general.name", "a small model");
    file.u32(key("context_length"), sizes.context);
    file.u32(key("embedding_length"), sizes.hidden);
    file.u32(key("block_count"), sizes.layers);
    file.u32(key("feed_forward_length"), sizes.feed_forward);
    file.u32(key("attention.head_count"), sizes.heads);
    file.u32(key("attention.head_count_kv"), sizes.kv_heads);
    file.f32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    file.f32(key("rope.freq_base"), 500000.0f);
    uint32_t salt = 1;
    const auto matrix = [&](const std::string& name, uint32_t rows, uint32_t columns) {
        file.matrix(name + ".weight", rows, columns, salt++);
    };
    matrix("token_embd", sizes.vocabulary, sizes.hidden);
    for (uint32_t layer = 0; layer < sizes.layers; ++layer) {
        const std::string block = "blk." + std::to_string(layer) + '.';
        matrix(block + "attn_norm", 1, sizes.hidden);
        if (architecture == "phi3") {
            matrix(block + "attn_qkv", sizes.query_rows() + 2 * sizes.key_rows(), sizes.hidden);
            matrix(block + "attn_output", sizes.hidden, sizes.query_rows());
            matrix(block + "ffn_norm", 1, sizes.hidden);
            matrix(block + "ffn_up", 2 * sizes.feed_forward, sizes.hidden);
        } else {
            matrix(block + "attn_q", sizes.query_rows(), sizes.hidden);
            matrix(block + "attn_k", sizes.key_rows(), sizes.hidden);
            matrix(block + "attn_v", sizes.key_rows(), sizes.hidden);
            matrix(block + "attn_output", sizes.hidden, sizes.query_rows());
            matrix(block + "ffn_norm", 1, sizes.hidden);
            matrix(block + "ffn_gate", sizes.feed_forward, sizes.hidden);
            matrix(block + "ffn_up", sizes.feed_forward, sizes.hidden);
        }
        matrix(block + "ffn_down", sizes.hidden, sizes.feed_forward);
    }
    matrix("output_norm", 1, sizes.hidden);
    matrix("output", sizes.vocabulary, sizes.hidden);
    return file;
}

// A safetensors file. `header` may be spoilt before bytes().
struct SafetensorsFile {
    struct Tensor {
        std::string name, dtype;
        std::vector<uint64_t> shape;
        Bytes data;
    };
    std::vector<Tensor> tensors;

    void matrix(const std::string& name, uint32_t rows, uint32_t columns, uint32_t salt) {
        std::vector<uint64_t> shape = {columns};
        if (rows != 1) shape.insert(shape.begin(), rows);
        tensors.push_back({name, "F32", shape, float_bytes(test_matrix(salt, rows, columns))});
    }
    Tensor& tensor(const std::string& name) {
        for (Tensor& each : tensors) {
            if (each.name == name) return each;
        }
        abort();
    }
    std::string header() const {
        std::string text = "{\"__metadata__\":{\"format\":\"pt\"}";
        uint64_t offset = 0;
        for (const Tensor& each : tensors) {
            text += ",\"" + each.name + "\":{\"dtype\":\"" + each.dtype + "\",\"shape\":[";
            for (size_t i = 0; i < each.shape.size(); ++i) text += (i != 0 ? "," : "") + std::to_string(each.shape[i]);
            text += "],\"data_offsets\":[" + std::to_string(offset) + ',' + std::to_string(offset + each.data.size()) + "]}";
            offset += each.data.size();
        }
        return text + '}';
    }
    Bytes bytes() const { return bytes_with(header()); }
    Bytes bytes_with(const std::string& header_text) const {
        Bytes file;
        put<uint64_t>(file, header_text.size());
        file.reserve(file.size() + header_text.size());  // g++ 12 sees an overflow without it
        file.insert(file.end(), header_text.begin(), header_text.end());
        for (const Tensor& each : tensors) file.insert(file.end(), each.data.begin(), each.data.end());
        return file;
    }
};

inline SafetensorsFile safetensors_model(const std::string& kind, const Sizes& sizes = {}) {
    SafetensorsFile file;
    uint32_t salt = 1;
    const auto matrix = [&](const std::string& name, uint32_t rows, uint32_t columns) {
        file.matrix(name + ".weight", rows, columns, salt++);
    };
    matrix("model.embed_tokens", sizes.vocabulary, sizes.hidden);
    for (uint32_t layer = 0; layer < sizes.layers; ++layer) {
        const std::string block = "model.layers." + std::to_string(layer) + '.';
        matrix(block + "input_layernorm", 1, sizes.hidden);
        if (kind == "phi3") {
            matrix(block + "self_attn.qkv_proj", sizes.query_rows() + 2 * sizes.key_rows(), sizes.hidden);
            matrix(block + "self_attn.o_proj", sizes.hidden, sizes.query_rows());
            matrix(block + "post_attention_layernorm", 1, sizes.hidden);
            matrix(block + "mlp.gate_up_proj", 2 * sizes.feed_forward, sizes.hidden);
        } else {
            matrix(block + "self_attn.q_proj", sizes.query_rows(), sizes.hidden);
            matrix(block + "self_attn.k_proj", sizes.key_rows(), sizes.hidden);
            matrix(block + "self_attn.v_proj", sizes.key_rows(), sizes.hidden);
            matrix(block + "self_attn.o_proj", sizes.hidden, sizes.query_rows());
            matrix(block + "post_attention_layernorm", 1, sizes.hidden);
            matrix(block + "mlp.gate_proj", sizes.feed_forward, sizes.hidden);
            matrix(block + "mlp.up_proj", sizes.feed_forward, sizes.hidden);
        }
        matrix(block + "mlp.down_proj", sizes.hidden, sizes.feed_forward);
    }
    matrix("model.norm", 1, sizes.hidden);
    matrix("lm_head", sizes.vocabulary, sizes.hidden);
    return file;
}

inline Status open_in_memory(MemoryFolder& folder, const std::string& main, SourceModel& model, Error& error,
                             const SourceOptions& options = {}) {
    error.clear();
    return open_source(folder, main, options, model, error);
}

inline const SourceTensor* find_tensor(const SourceModel& model, TensorRole role, uint32_t layer = 0) {
    for (const SourceTensor& tensor : model.tensors) {
        if (tensor.role == role && tensor.layer == layer) return &tensor;
    }
    return nullptr;
}

inline bool contains(const char* text, std::string_view part) {
    return std::string_view(text).find(part) != std::string_view::npos;
}

}  // namespace linnet::source_test
