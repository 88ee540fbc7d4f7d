// The platform without an operating system: the same bytes and logits from memory in place, and from blocks of any size.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "platform/baremetal/baremetal.h"
#include "platform/fake/fake_device.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

struct Aligned {
    explicit Aligned(const std::vector<uint8_t>& bytes) : memory(bytes.size() + 64) {
        at = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
        memcpy(at, bytes.data(), bytes.size());
    }
    std::vector<uint8_t> memory;
    uint8_t* at;
};

std::vector<float> logits(const linnet_platform& platform, uint64_t* mapped) {
    linnet_options options = linnet_default_options();
    linnet_error error;
    linnet_plan plan;
    REQUIRE(linnet_make_plan(&platform, &options, &plan, &error) == LINNET_OK);
    *mapped = plan.mapped_bytes;
    const std::vector<uint8_t> empty(static_cast<size_t>(plan.total_bytes));
    Aligned arena(empty);
    linnet_model* model = nullptr;
    linnet_session* session = nullptr;
    REQUIRE(linnet_open(&platform, &options, arena.at, static_cast<size_t>(plan.total_bytes), &model, &error) == LINNET_OK);
    REQUIRE(linnet_session_open(model, &session, &error) == LINNET_OK);
    const int32_t tokens[] = {1, 5, 9, 2};
    REQUIRE(linnet_evaluate(session, tokens, 4, &error) == LINNET_OK);
    linnet_info info;
    linnet_get_info(model, &info);
    std::vector<float> row(linnet_logits(session), linnet_logits(session) + info.vocabulary);
    linnet_close(model);
    return row;
}

}  // namespace

TEST_CASE("a model in memory and on devices of any block gives the same logits") {
    const std::vector<uint8_t> file = synth_bytes("tiny");
    Aligned memory(file);
    linnet_baremetal in_memory{};
    linnet_platform platform;
    REQUIRE(linnet_baremetal_in_memory(&in_memory, memory.at, file.size() + 1000, &platform) == 0);
    CHECK(platform.file_bytes == file.size());
    CHECK((platform.ticks == nullptr));
    uint64_t mapped = 0;
    const std::vector<float> expected = logits(platform, &mapped);
    CHECK(mapped > 0);
    for (const uint32_t block_bytes : {512u, 4096u}) {
        for (const uint64_t first : {uint64_t{0}, uint64_t{3}}) {
            FakeDevice device(block_bytes, file.size() / block_bytes + 1 + first);
            memcpy(device.bytes().data() + first * block_bytes, file.data(), file.size());
            linnet_baremetal on_device{};
            REQUIRE(linnet_baremetal_on_device(&on_device, &device.device(), first, &platform) == 0);
            CHECK((platform.map == nullptr));
            CHECK(logits(platform, &mapped) == expected);
            // Any bytes from any place, and none from outside.
            std::vector<uint8_t> part(9000);
            for (const size_t offset : {size_t{0}, size_t{1}, size_t{511}, size_t{512}, size_t{4095}, size_t{12345}}) {
                for (const size_t count : {size_t{0}, size_t{1}, size_t{513}, size_t{4097}, size_t{9000}}) {
                    REQUIRE(platform.read(platform.context, offset, part.data(), count) == 0);
                    REQUIRE(memcmp(part.data(), file.data() + offset, count) == 0);
                }
            }
            CHECK(platform.read(platform.context, file.size() - 10, part.data(), 11) != 0);
            CHECK(platform.read(platform.context, UINT64_MAX, part.data(), 1) != 0);
            device.cut_at(1, Torn::old, false);
            std::vector<uint8_t> block(block_bytes);
            CHECK(device.device().write(device.device().context, 0, block.data(), 1) != 0);
            CHECK(platform.read(platform.context, 0, part.data(), 100) != 0);
        }
    }
}

TEST_CASE("where no model is, none is taken") {
    std::vector<uint8_t> file = synth_bytes("tiny");
    linnet_baremetal baremetal{};
    linnet_platform platform;
    {
        Aligned memory(file);
        CHECK(linnet_baremetal_in_memory(&baremetal, memory.at, file.size() - 1, &platform) == -1);
        CHECK(linnet_baremetal_in_memory(&baremetal, memory.at, 8, &platform) == -1);
    }
    FakeDevice small(512, file.size() / 512);
    memcpy(small.bytes().data(), file.data(), small.bytes().size());
    CHECK(linnet_baremetal_on_device(&baremetal, &small.device(), 0, &platform) == -1);
    CHECK(linnet_baremetal_on_device(&baremetal, &small.device(), 1, &platform) == -1);
    CHECK(linnet_baremetal_on_device(&baremetal, &small.device(), UINT64_MAX, &platform) == -1);
    FakeDevice wide(8192, file.size() / 8192 + 1);
    memcpy(wide.bytes().data(), file.data(), file.size());
    CHECK(linnet_baremetal_on_device(&baremetal, &wide.device(), 0, &platform) == -1);
    file[0] ^= 1;
    Aligned memory(file);
    CHECK(linnet_baremetal_in_memory(&baremetal, memory.at, file.size(), &platform) == -1);
}
