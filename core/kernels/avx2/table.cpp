#include "core/kernels/avx2/avx2.h"
#include "core/kernels/avx2/vector.h"
#include "core/kernels/generic/attention.h"
#include "core/kernels/generic/elementwise.h"
#include "core/kernels/tables.h"

namespace linnet {

constexpr KernelTable avx2_kernels = {
    .name = "avx2",
    .matmul = avx2::matmul,
    .quantize = generic::quantize<avx2::Vector>,
    .rms_norm = generic::rms_norm<avx2::Vector>,
    .add = generic::add<avx2::Vector>,
    .swiglu = generic::swiglu<avx2::Vector>,
    .rope = generic::rope<avx2::Vector>,
    .softmax = generic::softmax<avx2::Vector>,
    .quantize_query = generic::quantize_whole<avx2::Vector, int16_t>,
    .quantize_head = generic::quantize_whole<avx2::Vector, int8_t>,
    .attention_scores_int8 = generic::attention_scores_int8<avx2::Vector>,
    .attention_output_int8 = generic::attention_output_int8<avx2::Vector>,
    .attention_scores_f32 = generic::attention_scores_float<avx2::Vector, float>,
    .attention_output_f32 = generic::attention_output_float<avx2::Vector, float>,
    .attention_scores_f16 = generic::attention_scores_float<avx2::Vector, uint16_t>,
    .attention_output_f16 = generic::attention_output_float<avx2::Vector, uint16_t>,
};

}  // namespace linnet
