// A random-weight model in memory, opened through the C API: for tests of what stands above the kernels.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "tests/unit/container_tools.h"
#include "tools/converter/convert.h"

namespace linnet {

// Made once a shape and group: tests share the bytes.
inline const std::vector<uint8_t>& synth_bytes(const std::string& shape, uint32_t group = 32) {
    static std::map<std::string, std::vector<uint8_t>> made;
    std::vector<uint8_t>& bytes = made[shape + "/" + std::to_string(group)];
    if (bytes.empty()) {
        MemoryOutput output;
        Error error;
        REQUIRE_MESSAGE(synthesise(shape, 1, group, output, nullptr, nullptr, error) == Status::ok, error.text());
        bytes = std::move(output.bytes);
    }
    return bytes;
}

class TestModel {
public:
    explicit TestModel(const std::string& shape, const std::function<void(linnet_options&)>& change = {},
                       const std::function<void(linnet_platform&)>& change_platform = {})
        : bytes_(synth_bytes(shape)) {
        platform_.version = LINNET_PLATFORM_VERSION;
        platform_.context = this;
        platform_.file_bytes = bytes_.size();
        platform_.read = [](void* context, uint64_t offset, void* to, size_t bytes) -> int32_t {
            const std::vector<uint8_t>& from = static_cast<TestModel*>(context)->bytes_;
            if (offset > from.size() || bytes > from.size() - offset) return -1;
            if (bytes != 0) memcpy(to, from.data() + offset, bytes);
            return 0;
        };
        if (change_platform) change_platform(platform_);
        options_ = linnet_default_options();
        if (change) change(options_);
        linnet_error error;
        linnet_status status = linnet_make_plan(&platform_, &options_, &plan_, &error);
        REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
        const size_t bytes = static_cast<size_t>(plan_.total_bytes);
        arena_.reset(static_cast<unsigned char*>(aligned_alloc(LINNET_ARENA_ALIGNMENT, bytes)));
        status = linnet_open(&platform_, &options_, arena_.get(), bytes, &model_, &error);
        REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
    }

    linnet_session* session() {
        linnet_session* session = nullptr;
        linnet_error error;
        REQUIRE(linnet_session_open(model_, &session, &error) == LINNET_OK);
        return session;
    }
    linnet_model* model() { return model_; }
    const linnet_plan& plan() const { return plan_; }

private:
    struct Free {
        void operator()(unsigned char* memory) const { free(memory); }
    };
    const std::vector<uint8_t>& bytes_;
    linnet_platform platform_{};
    linnet_options options_{};
    linnet_plan plan_{};
    std::unique_ptr<unsigned char, Free> arena_;
    linnet_model* model_ = nullptr;
};

inline uint32_t vocabulary_of(TestModel& model) {
    linnet_info info;
    linnet_get_info(model.model(), &info);
    return info.vocabulary;
}

inline std::vector<int32_t> some_tokens(size_t count, uint32_t vocabulary) {
    std::vector<int32_t> tokens;
    uint64_t state = 12345;
    for (size_t i = 0; i < count; ++i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        tokens.push_back(static_cast<int32_t>((state >> 33) % vocabulary));
    }
    return tokens;
}

}  // namespace linnet
