// What fuzzers share: an input that is taken byte by byte, and a sound little model to spoil.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tools/converter/convert.h"

namespace linnet::fuzzing {

struct Bytes {
    const uint8_t* data;
    size_t size;
    uint8_t next() {
        if (size == 0) return 0;
        --size;
        return *data++;
    }
};

inline std::vector<uint8_t> base_model(const char* shape) {
    struct VectorOutput : Output {
        std::vector<uint8_t> bytes;
        Status write(const void* from, size_t count, Error&) override {
            const auto* begin = static_cast<const uint8_t*>(from);
            bytes.insert(bytes.end(), begin, begin + count);
            return Status::ok;
        }
    } output;
    Error error;
    if (synthesise(shape, 1, 32, output, nullptr, nullptr, error) != Status::ok) abort();
    return output.bytes;
}

}  // namespace linnet::fuzzing
