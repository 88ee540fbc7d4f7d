// Hostile GGUF and llama2.c files. An input is: u8 mode (bit 0: the rest is a whole file and not patches; bit 1: llama instead of
// phi3; bit 2: a file in two parts; bit 3: llama2.c), then the file, or patches to a sound one.
#include "tests/fuzz/source_fuzzing.h"

using namespace linnet;
using namespace linnet::source_test;

namespace {

GgufFile base(bool llama) {
    GgufFile file = gguf_model(llama ? "llama" : "phi3", Sizes{.vocabulary = 48});
    const std::string architecture = llama ? "llama." : "phi3.";
    file.u32(architecture + "attention.sliding_window", 11);
    file.u32(architecture + "rope.dimension_count", 16);
    file.u32(architecture + "rope.scaling.original_context_length", 32);
    file.text(architecture + "rope.scaling.type", llama ? "linear" : "longrope");
    if (llama) {
        file.f32("llama.rope.scaling.factor", 2);
        file.matrix("rope_freqs.weight", 1, 8, 0);
        file.tensors.back().data = float_bytes(std::vector<float>(8, 1.0f));
        file.tensor("token_embd.weight").type = 2;
        file.tensor("token_embd.weight").data.resize(48 * 18);
    } else {
        for (const char* name : {"rope_factors_short.weight", "rope_factors_long.weight"}) {
            file.matrix(name, 1, 8, 0);
            file.tensors.back().data = float_bytes(std::vector<float>(8, 1.5f));
        }
    }
    std::vector<std::string> tokens;
    Bytes scores, types;
    for (int id = 0; id < 48; ++id) {
        tokens.push_back(id == 0 ? "<unk>" : id == 1 ? "<s>" : id == 2 ? "</s>" : "t" + std::to_string(id));
        put(scores, -static_cast<float>(id));
        put<int32_t>(types, id == 0 ? 2 : id < 3 ? 3 : id < 44 ? 1 : 5);
    }
    file.text("tokenizer.ggml.model", "llama");
    file.texts("tokenizer.ggml.tokens", tokens);
    file.array("tokenizer.ggml.scores", 6, 48, scores);
    file.array("tokenizer.ggml.token_type", 5, 48, types);
    file.u32("tokenizer.ggml.bos_token_id", 1);
    file.u32("tokenizer.ggml.eos_token_id", 2);
    file.boolean("tokenizer.ggml.add_bos_token", true);
    file.text("tokenizer.chat_template", "{{ '<|user|>' }}");
    return file;
}

Bytes llama2c() {
    Bytes bytes;
    for (const int32_t field : {32, 24, 1, 2, 1, 48, 16}) put(bytes, field);
    bytes.resize(28 + 4 * (48 * 32 + 2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 24 + 32 + 16 * 16));
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    static const Bytes phi3_file = base(false).bytes(), llama_file = base(true).bytes(), llama2c_file = llama2c();
    source_fuzzing::Data data{bytes, size};
    const uint8_t mode = data.next();
    const bool is_bin = (mode & 8) != 0;
    Bytes file = is_bin ? llama2c_file : (mode & 2) != 0 ? llama_file : phi3_file;
    if ((mode & 1) != 0) {
        file = source_fuzzing::rest(data);
    } else {
        source_fuzzing::patch(file, data);
    }
    MemoryFolder folder;
    const bool in_parts = (mode & 4) != 0;
    const std::string name = is_bin ? "m.bin" : in_parts ? "m-00001-of-00002.gguf" : "m.gguf";
    folder.files[name] = file;
    if (in_parts) folder.files["m-00002-of-00002.gguf"] = source_fuzzing::rest(data);
    if (is_bin) folder.files["tokenizer.bin"] = source_fuzzing::rest(data);
    SourceModel model;
    Error error;
    const Status status = open_in_memory(folder, name, model, error);
    source_fuzzing::check(status, model, error);
    return 0;
}
