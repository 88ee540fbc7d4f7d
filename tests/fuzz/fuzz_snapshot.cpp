// Hostile saved sessions: patches to a sound one, whose checksums are then made right again, or any bytes at all. Layout of an input:
//     u8 mode: bit 0: the rest is a whole snapshot and not patches; bit 1: checksums are left wrong; bit 2: the model with a window;
//              bits 3-4: KV format
//     then the snapshot, or patches: u8 count; each { u8 kind, u16 offset, u8[kind % 8 + 1] bytes }
// What is taken is used: evaluated, rewound, sampled from, copied and saved again.
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/base/crc32c.h"
#include "core/linnet.h"
#include "core/session/snapshot.h"
#include "platform/fake/fake.h"
#include "tests/fuzz/fuzz_input.h"

using namespace linnet;
using fuzzing::Bytes;

namespace {

int32_t append(void* context, const void* from, size_t count) {
    const auto* begin = static_cast<const uint8_t*>(from);
    auto& to = *static_cast<std::vector<uint8_t>*>(context);
    to.insert(to.end(), begin, begin + count);
    return 0;
}

int32_t take(void* context, void* to, size_t count) {
    Bytes& from = *static_cast<Bytes*>(context);
    if (count > from.size) return -1;
    memcpy(to, from.data, count);
    from.data += count;
    from.size -= count;
    return 0;
}

// A model that stays open, and a sound snapshot of one of its sessions.
struct Opened {
    std::unique_ptr<FakePlatform> fake;
    void* arena = nullptr;
    linnet_model* model = nullptr;
    linnet_session* session = nullptr;
    linnet_session* other = nullptr;
    std::vector<uint8_t> snapshot;

    Opened(const char* shape, uint32_t kv_format) {
        fake = std::make_unique<FakePlatform>(fuzzing::base_model(shape));
        linnet_options options = linnet_default_options();
        options.context = 64;
        options.batch = 4;
        options.sessions = 2;
        options.kv_format = kv_format;
        linnet_plan plan;
        linnet_error reason{};
        if (linnet_make_plan(&fake->platform(), &options, &plan, &reason) != LINNET_OK) abort();
        arena = aligned_alloc(LINNET_ARENA_ALIGNMENT, plan.total_bytes);
        if (linnet_open(&fake->platform(), &options, arena, plan.total_bytes, &model, &reason) != LINNET_OK) abort();
        linnet_session_open(model, &session, &reason);
        linnet_session_open(model, &other, &reason);
        int32_t tokens[50];
        for (int i = 0; i < 50; ++i) tokens[i] = i * 7 % 64;
        if (linnet_evaluate(session, tokens, 50, &reason) != LINNET_OK) abort();
        if (linnet_snapshot_save(session, append, &snapshot, &reason) != LINNET_OK) abort();
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Opened models[2][3] = {{{"micro", 1}, {"micro", 2}, {"micro", 3}},
                                  {{"tiny-window", 1}, {"tiny-window", 2}, {"tiny-window", 3}}};
    Bytes input{data, size};
    const uint8_t mode = input.next();
    Opened& opened = models[(mode & 4) != 0 ? 1 : 0][(mode >> 3) % 3];
    std::vector<uint8_t> snapshot;
    if ((mode & 1) != 0) {
        snapshot.assign(input.data, input.data + input.size);
    } else {
        snapshot = opened.snapshot;
        for (int patches = input.next() % 16; patches > 0; --patches) {
            const uint8_t kind = input.next();
            size_t offset = input.next();
            offset |= size_t{input.next()} << 8;
            offset %= (kind & 64) != 0 ? sizeof(SnapshotHeader) : snapshot.size();  // often the header
            for (uint32_t i = 0; i <= kind % 8; ++i) {
                const uint8_t byte = input.next();
                if (offset + i < snapshot.size()) snapshot[offset + i] = byte;
            }
            if ((kind & 128) != 0) snapshot.resize(offset);
            if (snapshot.empty()) break;
        }
    }
    if ((mode & 2) == 0 && snapshot.size() >= sizeof(SnapshotHeader) + 4) {
        SnapshotHeader header = load<SnapshotHeader>(snapshot.data());
        header.bytes = snapshot.size();
        header.header_crc = crc32c(0, &header, sizeof header - 4);
        store(snapshot.data(), header);
        store(snapshot.data() + snapshot.size() - 4, crc32c(0, snapshot.data(), snapshot.size() - 4));
    }
    linnet_error error{};
    Bytes from{snapshot.data(), snapshot.size()};
    const linnet_status status = linnet_snapshot_restore(opened.session, snapshot.size(), take, &from, &error);
    if (status != LINNET_OK && linnet_length(opened.session) != 0) abort();  // a refusal leaves nothing
    const linnet_sampling sampling = linnet_default_sampling();
    int32_t token = 0;
    linnet_sample(opened.session, &sampling, &token, &error);
    linnet_session_copy(opened.other, opened.session, &error);
    const int32_t tokens[] = {1, 5, 7, 2, 9};
    linnet_evaluate(opened.session, tokens, 5, &error);
    std::vector<uint8_t> again;
    if (linnet_snapshot_save(opened.session, append, &again, &error) != LINNET_OK) abort();
    if (again.size() != linnet_snapshot_bytes(opened.session)) abort();
    linnet_rewind(opened.other, linnet_length(opened.other) / 2, &error);
    linnet_evaluate(opened.other, tokens, 1, &error);
    linnet_sample(opened.other, &sampling, &token, &error);
    return 0;
}
