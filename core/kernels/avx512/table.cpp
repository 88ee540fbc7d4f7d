#include "core/kernels/avx512/avx512.h"
#include "core/kernels/avx512/vector.h"
#include "core/kernels/generic/attention.h"
#include "core/kernels/generic/elementwise.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable avx512_kernels = {
    .name = "avx512",
    .matmul = avx512::matmul,
    .quantize = generic::quantize<avx512::Vector>,
    .rms_norm = generic::rms_norm<avx512::Vector>,
    .add = generic::add<avx512::Vector>,
    .swiglu = generic::swiglu<avx512::Vector>,
    .rope = generic::rope<avx512::Vector>,
    .softmax = generic::softmax<avx512::Vector>,
    .quantize_query = generic::quantize_whole<avx512::Vector, int16_t>,
    .quantize_head = generic::quantize_whole<avx512::Vector, int8_t>,
    .attention_scores_int8 = generic::attention_scores_int8<avx512::Vector>,
    .attention_output_int8 = generic::attention_output_int8<avx512::Vector>,
    .attention_scores_f32 = generic::attention_scores_float<avx512::Vector, float>,
    .attention_output_f32 = generic::attention_output_float<avx512::Vector, float>,
    .attention_scores_f16 = generic::attention_scores_float<avx512::Vector, uint16_t>,
    .attention_output_f16 = generic::attention_output_float<avx512::Vector, uint16_t>,
};

}  // namespace linnet
