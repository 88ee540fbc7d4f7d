#include "core/kernels/scalar/scalar.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable scalar_kernels = {
    .name = "scalar",
    .matmul = scalar::matmul,
    .quantize = scalar::quantize,
    .rms_norm = scalar::rms_norm,
    .add = scalar::add,
    .swiglu = scalar::swiglu,
    .rope = scalar::rope,
    .softmax = scalar::softmax,
    .quantize_query = scalar::quantize_query,
    .quantize_head = scalar::quantize_head,
    .attention_queries = 1,
    .attention_scores_int8 = scalar::attention_scores_int8,
    .attention_output_int8 = scalar::attention_output_int8,
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
