// What the fuzzers of the converter's readers share: patches to a sound file, and what must hold of a model that opened.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/model/reader.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/source_files.h"

namespace linnet::source_fuzzing {

using Data = fuzzing::Bytes;
inline source_test::Bytes rest(const Data& data) { return {data.data, data.data + data.size}; }

// u8 count; each { u16 offset, u8 kind, kind % 9 bytes }: written over the file; a kind above 127 inserts them instead, above 191 it
// cuts the file there.
inline void patch(source_test::Bytes& file, Data& data) {
    for (uint8_t count = data.next(); count != 0 && data.size != 0; --count) {
        const size_t offset = (data.next() | size_t{data.next()} << 8) % (file.size() + 1);
        const uint8_t kind = data.next();
        if (kind > 191) {
            file.resize(offset);
            continue;
        }
        for (uint8_t i = 0; i < kind % 9; ++i) {
            const uint8_t byte = data.next();
            if (kind > 127) {
                file.insert(file.begin() + static_cast<ptrdiff_t>(offset), byte);
            } else if (offset + i < file.size()) {
                file[offset + i] = byte;
            }
        }
    }
}

// A model that opened is one that the core accepts, whose every row can be read or is refused with a sentence.
inline void check(Status status, const SourceModel& model, const Error& error) {
    if (status != Status::ok) {
        if (error.text()[0] == 0 || error.status() != status) abort();
        return;
    }
    Error inner;
    if (check_config(model.config, inner) != Status::ok) abort();
    const uint32_t tied = (model.config.flags & tied_embeddings) != 0 ? 1 : 0;
    if (model.tensors.size() != model.config.layers * tensors_in_layer + 3 - tied) abort();
    std::vector<float> rows;
    for (const SourceTensor& tensor : model.tensors) {
        rows.resize(size_t{tensor.columns} * std::min(tensor.rows, 64u));
        if (read_rows(tensor, 0, std::min(tensor.rows, 64u), rows.data(), inner) != Status::ok && inner.text()[0] == 0) abort();
    }
}

}  // namespace linnet::source_fuzzing
