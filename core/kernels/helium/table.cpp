// What a model with an int8 cache does all the time is Helium's; the rest is plain code, so that a small image stays small.
#include "core/kernels/helium/helium.h"
#include "core/kernels/scalar/scalar.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable helium_kernels = {
    .name = "helium",
    .matmul = helium::matmul,
    .quantize = helium::quantize,
    .rms_norm = helium::rms_norm,
    .add = scalar::add,
    .swiglu = helium::swiglu,
    .rope = scalar::rope,
    .softmax = helium::softmax,
    .quantize_query = helium::quantize_query,
    .quantize_head = helium::quantize_head,
    .attention_queries = 1,
    .attention_scores_int8 = helium::attention_scores_int8,
    .attention_output_int8 = helium::attention_output_int8,
    .rotate = scalar::rotate,
    .quantize_head_int4 = scalar::quantize_head_int4,
    .attention_scores_int4 = scalar::attention_scores_int4,
    .attention_output_int4 = scalar::attention_output_int4,
    .attention_scores_f32 = scalar::attention_scores_f32,
    .attention_output_f32 = scalar::attention_output_f32,
    .attention_scores_f16 = scalar::attention_scores_f16,
    .attention_output_f16 = scalar::attention_output_f16,
};

}  // namespace linnet
