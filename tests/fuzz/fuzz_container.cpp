// Hostile .linnet files through everything that opens and runs one.
//
// Random bytes never pass the first checksum, so most inputs are a list of patches to a sound little model, whose checksums are then
// made right again: what is tested is the reading behind them. Layout of an input:
//     u8 mode: bit 0: the rest is a whole file and not patches; bit 1: checksums are left wrong; bit 2: the file is mapped;
//              bit 3: only its text is opened; bit 4: another base model
//     u8 context, u8 batch
//     then the file, or patches: u8 count; each { u8 kind, u24 offset, u8[kind % 8 + 1] bytes }
// What is left of it is text for the tokenizer.
#include <cstdlib>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/crc32c.h"
#include "core/linnet.h"
#include "core/model/format.h"
#include "platform/fake/fake.h"
#include "tests/fuzz/fuzz_input.h"

using namespace linnet;
using fuzzing::base_model;
using fuzzing::Bytes;

namespace {

constexpr uint64_t arena_ceiling = 4 * 1024 * 1024;

// Makes every checksum right that lies inside the file.
void mend(std::vector<uint8_t>& file) {
    if (file.size() < sizeof(FileHeader)) return;
    FileHeader header = load<FileHeader>(file.data());
    memcpy(header.magic, file_magic, sizeof file_magic);
    header.version = file_version;
    header.header_bytes = sizeof header;
    header.chunk_bytes = chunk_bytes;
    header.file_bytes = file.size();
    const uint64_t size = file.size();
    if (header.weights_offset >= sizeof header && header.weights_offset <= size) {
        header.metadata_crc =
            crc32c(0, file.data() + sizeof header, static_cast<size_t>(header.weights_offset) - sizeof header);
        if (header.weights_bytes <= size - header.weights_offset) {
            uint64_t at = header.checksums_offset;
            uint32_t table = 0;
            for (uint64_t offset = 0; offset < header.weights_bytes && at <= size - 4; offset += chunk_bytes, at += 4) {
                const uint64_t left = header.weights_bytes - offset;
                const uint32_t crc = crc32c(0, file.data() + header.weights_offset + offset,
                                            static_cast<size_t>(left < chunk_bytes ? left : chunk_bytes));
                table = crc32c(table, &crc, 4);
                store(file.data() + at, crc);
            }
            if (at <= size - 4) store(file.data() + at, table);
        }
    }
    header.header_crc = crc32c(0, &header, sizeof header - 4);
    store(file.data(), header);
}

void use(FakePlatform& fake, const linnet_options& options, const char* text, size_t text_bytes) {
    linnet_plan plan;
    linnet_error error{};
    if (linnet_make_plan(&fake.platform(), &options, &plan, &error) != LINNET_OK) return;
    if (plan.total_bytes > arena_ceiling) abort();  // the ceiling holds
    void* arena = aligned_alloc(LINNET_ARENA_ALIGNMENT, align_up(plan.total_bytes, LINNET_ARENA_ALIGNMENT));
    if (arena == nullptr) return;
    linnet_model* model = nullptr;
    if (linnet_open(&fake.platform(), &options, arena, plan.total_bytes, &model, &error) == LINNET_OK) {
        linnet_info info{};
        linnet_get_info(model, &info);
        int32_t ids[64];
        size_t count = 0;
        for (uint32_t flags : {LINNET_TEXT_PLAIN, LINNET_TEXT_SPECIAL}) {
            linnet_tokenize(model, text, text_bytes, flags, ids, 64, &count, &error);
        }
        linnet_text_stream stream{};
        char piece[512];
        for (int32_t token = -2; token < 300; ++token) {
            size_t bytes = 0;
            linnet_detokenize(model, &stream, token, LINNET_TEXT_SPECIAL, piece, sizeof piece, &bytes, &error);
        }
        const linnet_message message{LINNET_ROLE_USER, text, text_bytes};
        linnet_chat_tokens(model, &message, 1, LINNET_CHAT_ANSWER, ids, 64, &count, &error);
        linnet_session* session = nullptr;
        if (linnet_session_open(model, &session, &error) == LINNET_OK) {
            const int32_t tokens[] = {1, 5, 7, 2, 9, 1, 3, 4, 8, 6};
            linnet_evaluate(session, tokens, 3, &error);
            for (int i = 3; i < 10; ++i) linnet_evaluate(session, tokens + i, 1, &error);
            const linnet_sampling sampling = linnet_default_sampling();
            int32_t token = 0;
            linnet_sample(session, &sampling, &token, &error);
            linnet_session_close(session);
        }
    }
    free(arena);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::vector<uint8_t> bases[2] = {base_model("micro"), base_model("micro-llama")};
    Bytes input{data, size};
    const uint8_t mode = input.next();
    linnet_options options = linnet_default_options();
    options.context = input.next();
    options.batch = input.next() % 8;
    options.memory = arena_ceiling;
    options.text_run = 256;
    options.text_only = (mode & 8) != 0 ? 1 : 0;

    std::vector<uint8_t> file;
    if ((mode & 1) != 0) {
        file.assign(input.data, input.data + input.size);
    } else {
        file = bases[(mode & 16) != 0 ? 1 : 0];
        for (int patches = input.next() % 16; patches > 0; --patches) {
            const uint8_t kind = input.next();
            size_t offset = input.next();
            offset |= size_t{input.next()} << 8;
            offset |= size_t{input.next()} << 16;
            offset %= (kind & 64) != 0 ? sizeof(FileHeader) : file.size();  // often the header
            for (uint32_t i = 0; i <= kind % 8; ++i) {
                const uint8_t byte = input.next();
                if (offset + i < file.size()) file[offset + i] = byte;
            }
            if ((kind & 128) != 0) file.resize(offset);  // and sometimes the end is missing
            if (file.empty()) break;
        }
    }
    if ((mode & 2) == 0) mend(file);
    FakePlatform fake(std::move(file));
    Faults faults;
    faults.mapped = (mode & 4) != 0;
    fake.restart(faults);
    use(fake, options, reinterpret_cast<const char*>(input.data), input.size);
    return 0;
}
