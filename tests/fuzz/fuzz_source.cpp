// Hostile source files through the converter's readers: GGUF, llama2.c's .bin with its tokenizer, Hugging Face folders and every
// vocabulary format, up to the first rows of each tensor and the tokenizer's block.
//
// Layout of an input: u8 kind (kind % 6, below), then the bytes of the file; where a format has two files, u16 gives the length
// of the first.
#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/converter/source.h"
#include "tools/converter/vocabulary.h"

using namespace linnet;

namespace {

constexpr size_t most_values_read = 1 << 20;  // of one tensor's rows: keeps an input's time short

class Memory : public Input {
public:
    explicit Memory(std::string_view bytes) : bytes_(bytes) {}
    uint64_t size() const override { return bytes_.size(); }
    Status read(uint64_t offset, void* to, size_t count, Error& error) override {
        if (offset > bytes_.size() || count > bytes_.size() - offset) return error.fail(Status::io) << "outside the file";
        memcpy(to, bytes_.data() + offset, count);
        return Status::ok;
    }

private:
    std::string_view bytes_;
};

class Folder : public InputFolder {
public:
    void add(const std::string& name, std::string_view bytes) { files_.emplace(name, Memory(bytes)); }
    std::vector<std::string> names() const override {
        std::vector<std::string> all;
        for (const auto& file : files_) all.push_back(file.first);
        return all;
    }
    Status open(const std::string& name, Input*& input, Error&) override {
        const auto found = files_.find(name);
        input = found == files_.end() ? nullptr : &found->second;
        return Status::ok;
    }

private:
    std::map<std::string, Memory> files_;
};

// What the writer would do with it: the first rows of every tensor.
void read_model(Folder& folder, const std::string& main) {
    SourceModel model;
    Error error;
    if (open_source(folder, main, SourceOptions{}, model, error) != Status::ok) {
        if (error.text()[0] == 0) __builtin_trap();  // no failure without a sentence
        return;
    }
    std::vector<float> values;
    for (const SourceTensor& tensor : model.tensors) {
        if (tensor.rows == 0 || tensor.columns == 0) __builtin_trap();
        const uint64_t rows = std::min<uint64_t>(tensor.rows, most_values_read / tensor.columns);
        if (rows == 0) continue;
        values.resize(rows * tensor.columns);
        if (read_rows(tensor, 0, static_cast<uint32_t>(rows), values.data(), error) != Status::ok) return;
    }
}

void build(Vocabulary& vocabulary) {
    std::vector<uint8_t> block;
    Error error;
    if (build_tokenizer_block(vocabulary, block, error) != Status::ok) return;
    detect_chat_template(vocabulary);
    reply_end_tokens(vocabulary, detect_chat_template(vocabulary));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    const uint8_t kind = data[0] % 6;
    const size_t split = std::min<size_t>(data[1] | data[2] << 8, size - 3);
    const std::string_view all(reinterpret_cast<const char*>(data) + 3, size - 3);
    const std::string_view first = all.substr(0, split), second = all.substr(split);
    Folder folder;
    Vocabulary vocabulary;
    Error error;
    switch (kind) {
        case 0:
            folder.add("model.gguf", all);
            read_model(folder, "model.gguf");
            break;
        case 1:
            folder.add("tokenizer.bin", first);
            folder.add("model.bin", second);
            read_model(folder, "model.bin");
            break;
        case 2:
            folder.add("config.json", first);
            folder.add("model.safetensors", second);
            read_model(folder, "");
            break;
        case 3:
            if (read_sentencepiece_model(all, vocabulary, error) == Status::ok) build(vocabulary);
            break;
        case 4:
            if (read_tokenizer_json(first, vocabulary, error) == Status::ok &&
                apply_tokenizer_config(second, vocabulary, error) == Status::ok) {
                build(vocabulary);
            }
            break;
        case 5:
            if (read_llama2c_tokenizer(all, 300, vocabulary, error) == Status::ok) build(vocabulary);
            break;
    }
    return 0;
}
