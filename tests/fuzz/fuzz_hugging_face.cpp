// Hostile Hugging Face folders. An input is: u8 mode, then what takes the place of one file of a sound folder (mode & 7 picks it), or
// with bit 3 patches to it. Bit 4: llama instead of phi3, bit 5: shards and an index.
#include "tests/fuzz/source_fuzzing.h"

using namespace linnet;
using namespace linnet::source_test;

namespace {

std::string config_text(bool llama) {
    std::string text =
        R"({"vocab_size":40,"hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":16,)"
        R"("intermediate_size":24,"hidden_act":"silu","max_position_embeddings":64,"rms_norm_eps":1e-05,"rope_theta":10000.0,)"
        R"("tie_word_embeddings":false,"attention_bias":false,"bos_token_id":1,"eos_token_id":[2,3],"sliding_window":11,)";
    text += llama ? R"("model_type":"llama","rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,)"
                    R"("high_freq_factor":4.0,"original_max_position_embeddings":32}})"
                  : R"("model_type":"phi3","original_max_position_embeddings":32,"partial_rotary_factor":0.75,)"
                    R"("rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1],"long_factor":[1,2,3,4,5,6]}})";
    return text;
}

std::map<std::string, Bytes> sound_folder(bool llama, bool shards) {
    std::map<std::string, Bytes> files;
    files["config.json"] = to_bytes(config_text(llama));
    files["generation_config.json"] = to_bytes(R"({"bos_token_id":1,"eos_token_id":[2,3]})");
    const SafetensorsFile whole = safetensors_model(llama ? "llama" : "phi3");
    if (!shards) {
        files["model.safetensors"] = whole.bytes();
    } else {
        SafetensorsFile first, second;
        std::string map;
        for (size_t i = 0; i < whole.tensors.size(); ++i) {
            (i % 2 == 0 ? first : second).tensors.push_back(whole.tensors[i]);
            map += (i != 0 ? ",\"" : "\"") + whole.tensors[i].name +
                   (i % 2 == 0 ? "\":\"a.safetensors\"" : "\":\"b.safetensors\"");
        }
        files["a.safetensors"] = first.bytes();
        files["b.safetensors"] = second.bytes();
        files["model.safetensors.index.json"] = to_bytes("{\"weight_map\":{" + map + "}}");
    }
    return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    static const std::map<std::string, Bytes> folders[4] = {sound_folder(false, false), sound_folder(true, false),
                                                            sound_folder(false, true), sound_folder(true, true)};
    static const char* const names[8] = {"config.json",           "model.safetensors",      "model.safetensors.index.json",
                                         "tokenizer_config.json", "generation_config.json", "tokenizer.json",
                                         "tokenizer.model",       "a.safetensors"};
    source_fuzzing::Data data{bytes, size};
    const uint8_t mode = data.next();
    MemoryFolder folder;
    folder.files = folders[mode >> 4 & 3];
    Bytes& target = folder.files[names[mode & 7]];
    if ((mode & 8) != 0) {
        source_fuzzing::patch(target, data);
    } else {
        target = source_fuzzing::rest(data);
    }
    SourceModel model;
    Error error;
    const Status status = open_in_memory(folder, "", model, error);
    source_fuzzing::check(status, model, error);
    return 0;
}
