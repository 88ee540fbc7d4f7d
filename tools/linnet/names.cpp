#include "tools/linnet/names.h"

namespace linnet {

const char* role_name(TensorRole role) {
    switch (role) {
        case TensorRole::embedding: return "embedding";
        case TensorRole::attention_norm: return "attention_norm";
        case TensorRole::qkv: return "qkv";
        case TensorRole::attention_output: return "attention_output";
        case TensorRole::feed_forward_norm: return "feed_forward_norm";
        case TensorRole::gate_up: return "gate_up";
        case TensorRole::down: return "down";
        case TensorRole::output_norm: return "output_norm";
        case TensorRole::output: return "output";
    }
    return "unknown";
}

const char* format_name(TensorFormat format) {
    switch (format) {
        case TensorFormat::f32_vector: return "f32 vector";
        case TensorFormat::f32_rows: return "f32 rows";
        case TensorFormat::int8_rows: return "int8 rows";
        case TensorFormat::f32_packed: return "f32";
        case TensorFormat::int8_packed: return "int8";
        case TensorFormat::int4_packed: return "int4";
    }
    return "unknown";
}

const char* architecture_name(uint32_t architecture) {
    switch (static_cast<Architecture>(architecture)) {
        case Architecture::phi3: return "phi-3";
        case Architecture::llama: return "llama";
    }
    return "unknown";
}

}  // namespace linnet
