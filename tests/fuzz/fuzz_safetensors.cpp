// Hostile safetensors files. An input is: u8 mode (bit 0: the rest is a header's text; bit 1: it is a whole file; else: patches to a
// sound file).
#include "tests/fuzz/source_fuzzing.h"
#include "tools/converter/safetensors.h"

using namespace linnet;
using namespace linnet::source_test;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    static const SafetensorsFile sound = safetensors_model("llama");
    static const Bytes sound_bytes = sound.bytes();
    source_fuzzing::Data data{bytes, size};
    const uint8_t mode = data.next();
    Bytes file;
    if ((mode & 1) != 0) {
        const Bytes text = source_fuzzing::rest(data);
        file = sound.bytes_with(std::string(text.begin(), text.end()));
    } else if ((mode & 2) != 0) {
        file = source_fuzzing::rest(data);
    } else {
        file = sound_bytes;
        source_fuzzing::patch(file, data);
    }
    MemoryInput input(file);
    std::vector<SafetensorsEntry> entries;
    Error error;
    if (read_safetensors(input, "x.safetensors", entries, error) != Status::ok) {
        if (error.text()[0] == 0) abort();
        return 0;
    }
    uint64_t bytes_of_entries = 0;
    for (const SafetensorsEntry& entry : entries) {
        if (entry.begin > entry.end || entry.end > file.size() || entry.rows == 0 || entry.columns == 0) abort();
        bytes_of_entries += entry.end - entry.begin;
    }
    if (bytes_of_entries > file.size()) abort();
    return 0;
}
