// Writes one .linnet file, front to back, in bounded memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/converter/bytes_io.h"
#include "tools/converter/source.h"

namespace linnet {

class Importance;

enum class WeightFormat : uint32_t { int4, int8, f32 };

struct ConvertOptions {
    WeightFormat weights = WeightFormat::int4;
    uint32_t group = 32;                       // 32, 64 or 128 columns share a scale
    WeightFormat output = WeightFormat::int8;  // of the output matrix, where weights are int4
    bool search_scales = true;                 // false: plain rounding, for comparison
    // What errors cost by column (importance.h). Null: all the same, but in qkv, where groups are larger than 32 and scales are
    // searched: there the square of the attention norm's factor.
    const Importance* importance = nullptr;
};

// What quantisation cost, over all matrices of a role: root of sum of squared error over sum of squares. All sums are weighted by
// what an error in their column costs.
struct RoleError {
    TensorRole role;
    uint64_t weights = 0;
    double squares = 0;
    double squared_error = 0;           // as written
    double squared_error_rounding = 0;  // plain rounding, scale = max|w| / 7 (int4) or / 127 (int8)
};

struct ConvertReport {
    uint64_t file_bytes = 0;
    uint64_t parameters = 0;
    uint64_t exact_weights = 0;  // weights that came from Q4_0 and stayed as they were
    std::vector<RoleError> errors;
};

// Whether every weight that would become int4 comes from Q4_0 and stays as it is: there is nothing to choose then.
bool keeps_all_int4(const SourceModel& model, const ConvertOptions& options);

Status write_container(const SourceModel& model, const ConvertOptions& options, Output& output, Workers* workers,
                       Progress* progress, ConvertReport& report, Error& error);

// A random-weight model of a named shape. Weights are drawn from the seed alone: the same file everywhere.
std::vector<std::string> synth_shapes();
Status synthesise(const std::string& shape, uint64_t seed, uint32_t group, Output& output, Workers* workers, Progress* progress,
                  Error& error);

}  // namespace linnet
