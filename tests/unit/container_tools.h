// For tests of containers: source matrices and output in memory, and a platform over the bytes that came out.
#pragma once

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "core/model/reader.h"
#include "platform/fake/fake.h"
#include "tools/converter/convert.h"

namespace linnet {

class MemoryInput : public Input {
public:
    explicit MemoryInput(std::vector<uint8_t> content) : bytes(std::move(content)) {}
    uint64_t size() const override { return bytes.size(); }
    Status read(uint64_t offset, void* to, size_t count, Error& error) override {
        if (offset > bytes.size() || count > bytes.size() - offset) return error.fail(Status::io) << "outside of the memory";
        if (count != 0) memcpy(to, bytes.data() + offset, count);
        return Status::ok;
    }
    std::vector<uint8_t> bytes;
};

class MemoryOutput : public Output {
public:
    Status write(const void* from, size_t count, Error& error) override {
        if (bytes.size() + count > limit) return error.fail(Status::io) << "The disk is full.";
        const auto* begin = static_cast<const uint8_t*>(from);
        bytes.insert(bytes.end(), begin, begin + count);
        return Status::ok;
    }
    std::vector<uint8_t> bytes;
    uint64_t limit = UINT64_MAX;
};

// Real threads that take the tasks in an order of their own.
class TestWorkers : public Workers {
public:
    explicit TestWorkers(uint32_t threads) : threads_(threads) {}
    uint32_t threads() const override { return threads_; }
    void run(ParallelTask task, void* context, uint32_t count) override {
        std::vector<std::thread> pool;
        pool.reserve(threads_);
        for (uint32_t thread = 0; thread < threads_; ++thread) {
            pool.emplace_back([=, this] {
                for (uint32_t i = 0; i < count; ++i) {
                    const uint32_t index = count - 1 - i;
                    if (index % threads_ == thread) task(context, index);
                }
            });
        }
        for (std::thread& thread : pool) thread.join();
    }

private:
    uint32_t threads_;
};

// Everything that the core checks when it opens a file, and the weights as they stand in it.
struct OpenContainer {
    FileHeader header{};
    ModelLayout layout{};
    std::vector<LayerPlaces> layers;
    std::vector<uint8_t> weights;

    Status open(const std::vector<uint8_t>& bytes, Error& error) {
        FakePlatform platform(bytes);
        if (Status status = read_header(platform.platform(), header, error); status != Status::ok) return status;
        layers.resize(header.config.layers);
        Status status = read_layout(platform.platform(), header, layout, layers.data(), error);
        if (status == Status::ok) status = verify_metadata(platform.platform(), header, error);
        if (status != Status::ok) return status;
        weights.resize(header.weights_bytes);
        uint8_t scratch[64];
        uint64_t bytes_read = 0;
        return load_weights(platform.platform(), header, 0, weights.data(), true, {}, scratch, sizeof scratch, bytes_read,
                            error);
    }

    // Any weight of a matrix or embedding, by the format's description.
    float weight(const TensorPlace& place, uint32_t row, uint32_t column) const {
        const uint8_t* at = weights.data() + place.offset;
        const uint32_t groups = place.group == 0 ? 0 : column / place.group;
        switch (place.format) {
            case TensorFormat::f32_vector:
            case TensorFormat::f32_rows: return load<float>(at + (size_t{row} * place.columns + column) * 4);
            case TensorFormat::int8_rows: {
                at += row * row_stride(place.format, place.columns, place.group);
                const float scale = half_to_float(load<uint16_t>(at + padded_columns(place.columns) + groups * 2));
                return scale * static_cast<float>(load<int8_t>(at + column));
            }
            default: break;
        }
        at += row / rows_in_block * block_stride(place.format, place.columns, place.group);
        const uint32_t lane = row % rows_in_block;
        if (place.format == TensorFormat::f32_packed) return load<float>(at + (size_t{column} * rows_in_block + lane) * 4);
        const size_t scale_at = scales_offset(place.format, place.group, groups) + lane * 2;
        return half_to_float(load<uint16_t>(at + scale_at)) *
               static_cast<float>(packed_value(place.format, place.group, at, lane, column));
    }
};

}  // namespace linnet
