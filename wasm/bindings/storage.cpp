#include "wasm/bindings/storage.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/crc32c.h"
#include "core/model/reader.h"
#include "core/text/tokenizer.h"
#include "wasm/bindings/values.h"

namespace linnet {

using emscripten::val;

namespace {

// The beginning of a file, in memory. What lies behind it cannot be read.
struct Beginning {
    std::vector<uint8_t> bytes;
    linnet_platform platform{};

    explicit Beginning(const val& first) { append(first); }

    void append(const val& more) {
        const size_t before = bytes.size();
        const size_t count = more["length"].as<size_t>();
        bytes.resize(before + count);
        if (count != 0) val(emscripten::typed_memory_view(count, bytes.data() + before)).call<void>("set", more);
    }

    // The size that the header gives stands for the file's: who downloads compares the two.
    Status header(FileHeader& header, Error& error) {
        platform.version = LINNET_PLATFORM_VERSION;
        platform.context = this;
        platform.read = read;
        platform.file_bytes = bytes.size();
        if (bytes.size() >= sizeof header) {
            const uint64_t said = load<uint64_t>(bytes.data() + offsetof(FileHeader, file_bytes));
            platform.file_bytes = std::max(said, uint64_t{sizeof header});
        }
        return read_header(platform, header, error);
    }

    static int32_t read(void* context, uint64_t offset, void* to, size_t count) {
        const Beginning& self = *static_cast<Beginning*>(context);
        if (offset > self.bytes.size() || count > self.bytes.size() - offset) return 1;
        memcpy(to, self.bytes.data() + offset, count);
        return 0;
    }
};

// Sizes of a model are far below 2^53.
val number(uint64_t value) { return val(static_cast<double>(value)); }

Status check_metadata(Beginning& file, Error& error) {
    FileHeader header;
    if (Status status = file.header(header, error); status != Status::ok) return status;
    if (file.bytes.size() != header.weights_offset) {
        return error.fail(Status::bad_argument) << "The metadata given ends at byte " << uint64_t{file.bytes.size()}
                                                << "; the file's ends at " << header.weights_offset << '.';
    }
    if (Status status = verify_metadata(file.platform, header, error); status != Status::ok) return status;
    ModelLayout layout;
    if (Status status = read_layout(file.platform, header, layout, nullptr, error); status != Status::ok) return status;
    if (header.tokenizer_bytes == 0) return Status::ok;
    Tokenizer tokenizer;
    return tokenizer.open(file.bytes.data() + header.tokenizer_offset, static_cast<size_t>(header.tokenizer_bytes), error);
}

}  // namespace

val file_layout(val header_bytes) {
    Beginning file(header_bytes);
    FileHeader header;
    Error error;
    const Status status = file.header(header, error);
    val result = refusal(static_cast<linnet_status>(status), error.text());
    if (status != Status::ok) return result;
    std::string name(header.name_bytes, '\0');
    if (Beginning::read(&file, header.name_offset, name.data(), name.size()) != 0) name.clear();
    result.set("name", name);
    result.set("fileBytes", number(header.file_bytes));
    result.set("weightsOffset", number(header.weights_offset));
    result.set("weightsBytes", number(header.weights_bytes));
    result.set("checksumsOffset", number(header.checksums_offset));
    result.set("chunkBytes", header.chunk_bytes);
    result.set("chunks", number(chunk_count(header.weights_bytes)));
    return result;
}

val metadata_problem(val header, val metadata) {
    Beginning file(header);
    if (file.bytes.size() > sizeof(FileHeader)) file.bytes.resize(sizeof(FileHeader));
    file.append(metadata);
    Error error;
    const Status status = check_metadata(file, error);
    return val(std::string(status == Status::ok ? "" : error.text()));
}

unsigned crc32c_of(val bytes, unsigned before) {
    // Piece by piece through a buffer that stays in the processor's cache.
    static uint8_t piece[32768];
    const size_t count = bytes["length"].as<size_t>();
    const val view(emscripten::typed_memory_view(sizeof piece, piece));
    uint32_t crc = before;
    for (size_t done = 0; done < count;) {
        const size_t part = std::min(count - done, sizeof piece);
        view.call<void>("set", bytes.call<val>("subarray", done, done + part));
        crc = crc32c(crc, piece, part);
        done += part;
    }
    return crc;
}

}  // namespace linnet
