// config.json of a Hugging Face folder: what its fields mean for the shapes phi3, llama and mistral.
#include <cmath>

#include "core/model/reader.h"
#include "tools/converter/hugging_face.h"
#include "tools/converter/source_build.h"

namespace linnet {

namespace {

Status refuse_field(const char* name, const char* reason, Error& error) {
    return error.fail(Status::unsupported) << "The field \"" << name << "\" of config.json " << reason
                                           << ", which Linnet does not have.";
}

// Fields with which the same tensors mean another computation.
Status refuse_other_graphs(const JsonFields& fields, Error& error) {
    std::string activation = "silu";
    Status status = fields.string("hidden_act", activation);
    if (status != Status::ok) return status;
    if (activation != "silu" && activation != "swish")
        return refuse_field("hidden_act", "asks for an activation other than silu", error);
    for (const char* name : {"attention_bias", "mlp_bias", "lm_head_bias"}) {
        bool bias = false;
        if (status = fields.boolean(name, bias); status != Status::ok) return status;
        if (bias) return refuse_field(name, "asks for bias vectors", error);
    }
    for (const char* name : {"full_attn_mod", "interpolate_factor"}) {
        double value = 1;
        if (status = fields.number(name, -1e30, 1e30, value); status != Status::ok) return status;
        if (value != 1) return refuse_field(name, "is not 1", error);
    }
    if (fields.find("quantization_config") != nullptr) {
        return refuse_field("quantization_config", "says that the weights are quantised in a way of its own", error);
    }
    if (const nlohmann::json* types = fields.find("layer_types"); types != nullptr && types->is_array()) {
        for (const nlohmann::json& type : *types) {
            if (type != types->front()) return refuse_field("layer_types", "mixes kinds of attention", error);
        }
    }
    return Status::ok;
}

Status read_sizes(const JsonFields& fields, ModelConfig& config, Error& error) {
    for (const char* name : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                             "max_position_embeddings", "rms_norm_eps"}) {
        if (Status status = fields.require(name); status != Status::ok) return status;
    }
    Status status = fields.count("vocab_size", 1, 1u << 20, config.vocabulary);
    if (status == Status::ok) status = fields.count("hidden_size", 1, 1u << 16, config.hidden);
    if (status == Status::ok) status = fields.count("num_hidden_layers", 1, 512, config.layers);
    if (status == Status::ok) status = fields.count("num_attention_heads", 1, 1024, config.heads);
    config.kv_heads = config.heads;
    if (status == Status::ok) status = fields.count("num_key_value_heads", 1, config.heads, config.kv_heads);
    if (status == Status::ok) status = fields.count("intermediate_size", 1, 1u << 19, config.feed_forward);
    if (status == Status::ok) status = fields.count("max_position_embeddings", 1, 1u << 21, config.context);
    double epsilon = 0;
    if (status == Status::ok) status = fields.number("rms_norm_eps", 0, 1, epsilon);
    if (status != Status::ok) return status;
    config.rms_epsilon = static_cast<float>(epsilon);
    config.usable_vocabulary = config.vocabulary;
    if (config.heads % config.kv_heads != 0) {
        return error.fail(Status::bad_file) << "The field \"num_key_value_heads\" of config.json is " << config.kv_heads
                                            << ", which does not divide num_attention_heads, " << config.heads << '.';
    }
    if (fields.find("head_dim") == nullptr && config.hidden % config.heads != 0) {
        return error.fail(Status::bad_file) << "The field \"num_attention_heads\" of config.json is " << config.heads
                                            << ", which does not divide hidden_size, " << config.hidden << '.';
    }
    config.head_dim = config.hidden / config.heads;
    return fields.count("head_dim", 2, 512, config.head_dim);
}

Status to_factors(const JsonFields& scaling, const char* name, uint32_t pairs, std::vector<float>& factors, Error& error) {
    std::vector<double> numbers;
    Status status = scaling.require(name);
    if (status == Status::ok) status = scaling.numbers(name, 1024, numbers);
    if (status != Status::ok) return status;
    if (numbers.size() != pairs) {
        return error.fail(Status::bad_file)
               << "The field \"" << name << "\" of config.json's rope_scaling has " << numbers.size()
               << " numbers; half the rotary dimensions, " << pairs << ", are expected.";
    }
    factors.clear();
    for (const double number : numbers) {
        if (!(number >= 1e-6 && number <= 1e9)) return scaling.wrong(name, "a list of numbers above 0");
        factors.push_back(static_cast<float>(number));
    }
    return Status::ok;
}

// Length up to which LongRoPE's short factors hold, and how its attention factor follows, as transformers has it.
Status read_long_rope(const JsonFields& fields, const JsonFields& scaling, SourceModel& model, Error& error) {
    ModelConfig& config = model.config;
    for (const char* name : {"short_mscale", "long_mscale"}) {
        if (scaling.find(name) != nullptr) return refuse_field(name, "asks for an attention factor of each table", error);
    }
    Status status = to_factors(scaling, "short_factor", config.rotary_dims / 2, model.rope_short, error);
    if (status == Status::ok) status = to_factors(scaling, "long_factor", config.rotary_dims / 2, model.rope_long, error);
    uint32_t original = 0;
    if (status == Status::ok) status = fields.count("original_max_position_embeddings", 1, 1u << 21, original);
    if (status == Status::ok && original == 0)
        status = scaling.count("original_max_position_embeddings", 1, 1u << 21, original);
    if (status != Status::ok) return status;
    double factor = 1;
    if (original != 0) {
        factor = static_cast<double>(config.context) / original;
    } else {
        original = config.context;
        if (status = scaling.number("factor", 1e-3, 1e6, factor); status != Status::ok) return status;
    }
    double attention_factor = 1;
    if (factor > 1 && original > 1)
        attention_factor = std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original)));
    if (status = scaling.number("attention_factor", 1e-3, 100, attention_factor); status != Status::ok) return status;
    config.rope_attention_factor = static_cast<float>(attention_factor);
    if (config.context > original) {
        config.original_context = original;
        config.flags |= long_rope;
    } else {
        model.rope_long.clear();  // positions never reach the long factors
    }
    return Status::ok;
}

Status read_llama3_rope(const JsonFields& scaling, SourceModel& model) {
    for (const char* name : {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
        if (Status status = scaling.require(name); status != Status::ok) return status;
    }
    double factor = 1, low = 1, high = 1;
    uint32_t original = 1;
    Status status = scaling.number("factor", 1e-3, 1e6, factor);
    if (status == Status::ok) status = scaling.number("low_freq_factor", 1e-3, 1e6, low);
    if (status == Status::ok) status = scaling.number("high_freq_factor", 1e-3, 1e6, high);
    if (status == Status::ok) status = scaling.count("original_max_position_embeddings", 1, 1u << 21, original);
    if (status != Status::ok) return status;
    if (!(high > low)) return scaling.wrong("high_freq_factor", "above low_freq_factor");
    const ModelConfig& config = model.config;
    model.rope_short = llama3_rope_factors(config.rotary_dims, config.rope_theta, factor, low, high, original);
    return Status::ok;
}

// Older files have rope_theta, partial_rotary_factor and rope_scaling; newer ones put all of it into rope_parameters.
Status read_rope(const JsonFields& fields, SourceModel& model, Error& error) {
    ModelConfig& config = model.config;
    static const nlohmann::json nothing = nlohmann::json::object();
    const nlohmann::json* object = fields.find("rope_parameters");
    const char* scaling_name = "rope_parameters";
    if (object == nullptr) {
        object = fields.find("rope_scaling");
        scaling_name = "rope_scaling";
    }
    if (object == nullptr) object = &nothing;
    if (!object->is_object()) return fields.wrong(scaling_name, "an object, or null");
    const JsonFields scaling(*object, std::string("config.json's ") + scaling_name, error);

    config.rope_theta = 10000.0;
    config.rope_attention_factor = 1.0f;
    config.original_context = config.context;
    double partial = 1;
    Status status = fields.number("rope_theta", 1, 1e12, config.rope_theta);
    if (status == Status::ok) status = scaling.number("rope_theta", 1, 1e12, config.rope_theta);
    if (status == Status::ok) status = fields.number("partial_rotary_factor", 1e-3, 1, partial);
    if (status == Status::ok) status = scaling.number("partial_rotary_factor", 1e-3, 1, partial);
    if (status != Status::ok) return status;
    config.rotary_dims = static_cast<uint32_t>(static_cast<double>(config.head_dim) * partial);
    if (config.rotary_dims < 2 || config.rotary_dims % 2 != 0) {
        return error.fail(Status::bad_file) << "The fields \"head_dim\" and \"partial_rotary_factor\" of config.json give "
                                            << config.rotary_dims << " rotary dimensions; they must be even and at least 2.";
    }
    std::string type = "default";
    status = scaling.string("type", type);
    if (status == Status::ok) status = scaling.string("rope_type", type);
    if (status != Status::ok || type == "default") return status;
    if (type == "su" || type == "longrope") return read_long_rope(fields, scaling, model, error);
    if (type == "llama3") return read_llama3_rope(scaling, model);
    if (type == "linear") {
        double factor = 1;
        status = scaling.require("factor");
        if (status == Status::ok) status = scaling.number("factor", 1e-3, 1e6, factor);
        if (status == Status::ok && factor != 1) model.rope_short.assign(config.rotary_dims / 2, static_cast<float>(factor));
        return status;
    }
    return error.fail(Status::unsupported) << "The type of " << scaling_name << " in config.json is " << in_quotes(type)
                                           << "; Linnet knows default, linear, llama3, su and longrope.";
}

}  // namespace

Status read_hugging_face_config(const JsonFields& fields, const SourceOptions& options, SourceModel& model, std::string& kind,
                                Error& error) {
    ModelConfig& config = model.config;
    Status status = fields.require("model_type");
    if (status == Status::ok) status = fields.string("model_type", kind);
    if (status != Status::ok) return status;
    if (kind == "phi3") {
        config.architecture = static_cast<uint32_t>(Architecture::phi3);
    } else if (kind == "llama" || kind == "mistral") {
        config.architecture = static_cast<uint32_t>(Architecture::llama);
    } else {
        return error.fail(Status::unsupported)
               << "The field \"model_type\" of config.json is " << in_quotes(kind) << "; Linnet runs phi3, llama and mistral.";
    }
    status = refuse_other_graphs(fields, error);
    if (status == Status::ok) status = read_sizes(fields, config, error);
    if (status == Status::ok) status = read_rope(fields, model, error);
    bool tied = false;
    if (status == Status::ok) status = fields.boolean("tie_word_embeddings", tied);
    uint32_t window = 0;
    // A llama has no window: transformers does not look at the field there.
    if (status == Status::ok && kind != "llama") status = fields.count("sliding_window", 0, UINT32_MAX, window);
    if (status != Status::ok) return status;
    if (tied) config.flags |= tied_embeddings;
    config.window_keys = window_keys(window, config.context, options);
    return check_config(config, error);
}

}  // namespace linnet
