// The table of a family that has a Vector and a matrix product of its own: everything else is the generic kernels.
#pragma once

#include "core/kernels/generic/attention.h"
#include "core/kernels/generic/attention_int4.h"
#include "core/kernels/generic/elementwise.h"

namespace linnet::generic {

template <typename Vector>
consteval KernelTable table(const char* name, decltype(KernelTable::matmul) matmul) {
    return {
        .name = name,
        .matmul = matmul,
        .quantize = quantize<Vector>,
        .rms_norm = rms_norm<Vector>,
        .add = add<Vector>,
        .swiglu = swiglu<Vector>,
        .rope = rope<Vector>,
        .softmax = softmax<Vector>,
        .quantize_query = quantize_whole<Vector, int16_t>,
        .quantize_head = quantize_whole<Vector, int8_t>,
        .attention_queries = Vector::queries,
        .attention_scores_int8 = attention_scores_int8<Vector>,
        .attention_output_int8 = attention_output_int8<Vector>,
        .rotate = rotate<Vector>,
        .quantize_head_int4 = quantize_head_int4<Vector>,
        .attention_scores_int4 = attention_scores_int4<Vector>,
        .attention_output_int4 = attention_output_int4<Vector>,
        .attention_scores_f32 = attention_scores_float<Vector, float, 1>,
        .attention_output_f32 = attention_output_float<Vector, float, 1>,
        .attention_scores_f16 = attention_scores_float<Vector, uint16_t, Vector::queries>,
        .attention_output_f16 = attention_output_float<Vector, uint16_t, output_queries<Vector>()>,
    };
}

}  // namespace linnet::generic
