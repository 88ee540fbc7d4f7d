// What the tasks of one parallel step of the decoder share; for core/model/decoder.cpp and attention.cpp only.
#pragma once

#include "core/model/decoder.h"

namespace linnet {

// Positions that a token sees: [start, end).
struct Seen {
    uint32_t start;
    uint32_t end;
};

// The tasks split their items evenly among `pieces`.
struct Decoder::Step {
    static constexpr uint32_t most_segments = 16;

    Decoder* self;
    uint32_t pieces;
    uint32_t from;  // the first item
    uint32_t items;
    // norm, quantise, swiglu
    const float* source;
    size_t source_stride;
    const float* weight;
    bool quantise;
    uint32_t columns;
    // multiply
    const PackedMatrix* matrix;
    Activations activations;
    float* result;
    size_t result_stride;
    uint32_t tokens;
    // cache and attention
    KvCache* cache;
    uint32_t layer;
    uint32_t queries;   // of an item, at most
    uint32_t first;     // position of the first token
    uint32_t position;  // page by page: of the first key or value,
    uint32_t keys;      // and how many neighbours there are
    // multiply: where the matrix is. Last, so that what a worker reads of a short list stands in few cache lines.
    uint32_t segment_count;
    Segment segments[most_segments];

    uint32_t begin(uint32_t piece) const { return from + static_cast<uint32_t>(uint64_t{items} * piece / pieces); }
    uint32_t end(uint32_t piece) const { return begin(piece + 1); }
};

inline bool is_quantised(const PackedMatrix& matrix) { return matrix.format != TensorFormat::f32_packed; }

constexpr uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

// How many of `left` items of `work` multiply-adds each are about `most`: at least one.
constexpr uint32_t part(uint32_t left, uint64_t work, uint64_t most) {
    const uint64_t fit = most / work;
    return fit < 1 ? 1 : fit < left ? static_cast<uint32_t>(fit) : left;
}

}  // namespace linnet
