#include "core/kernels/generic/attention.h"
#include "core/kernels/generic/elementwise.h"
#include "core/kernels/tables.h"
#include "core/kernels/wasm_relaxed/wasm_relaxed.h"
#include "core/kernels/wasm_simd128/vector.h"

namespace linnet {

constexpr KernelTable wasm_relaxed_kernels = {
    .name = "wasm-relaxed",
    .matmul = wasm_relaxed::matmul,
    .quantize = generic::quantize<wasm_simd128::Vector>,
    .rms_norm = generic::rms_norm<wasm_simd128::Vector>,
    .add = generic::add<wasm_simd128::Vector>,
    .swiglu = generic::swiglu<wasm_simd128::Vector>,
    .rope = generic::rope<wasm_simd128::Vector>,
    .softmax = generic::softmax<wasm_simd128::Vector>,
    .quantize_query = generic::quantize_whole<wasm_simd128::Vector, int16_t>,
    .quantize_head = generic::quantize_whole<wasm_simd128::Vector, int8_t>,
    .attention_scores_int8 = generic::attention_scores_int8<wasm_simd128::Vector>,
    .attention_output_int8 = generic::attention_output_int8<wasm_simd128::Vector>,
    .attention_scores_f32 = generic::attention_scores_float<wasm_simd128::Vector, float>,
    .attention_output_f32 = generic::attention_output_float<wasm_simd128::Vector, float>,
    .attention_scores_f16 = generic::attention_scores_float<wasm_simd128::Vector, uint16_t>,
    .attention_output_f16 = generic::attention_output_float<wasm_simd128::Vector, uint16_t>,
};

}  // namespace linnet
