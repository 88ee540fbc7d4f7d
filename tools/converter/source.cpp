// Tells the source formats apart.
#include "tools/converter/source.h"

#include <cstring>

#include "tools/converter/source_build.h"

namespace linnet {

Status open_source(InputFolder& folder, const std::string& main, const SourceOptions& options, SourceModel& model,
                   Error& error) {
    constexpr const char* readable =
        "Linnet reads GGUF files, llama2.c's .bin files, and Hugging Face folders (config.json and *.safetensors).";
    if (main.empty()) {
        Input* config = nullptr;
        if (Status status = folder.open("config.json", config, error); status != Status::ok) return status;
        if (config != nullptr) return open_hugging_face(folder, options, model, error);
        return error.fail(Status::bad_file) << "The folder has no config.json. " << readable;
    }
    Input* input = nullptr;
    if (Status status = folder.open(main, input, error); status != Status::ok) return status;
    if (input == nullptr) return error.fail(Status::bad_file) << "There is no file " << in_quotes(main) << '.';
    char magic[4] = {};
    if (input->size() >= sizeof magic) {
        if (Status status = input->read(0, magic, sizeof magic, error); status != Status::ok) return status;
    }
    if (memcmp(magic, "GGUF", 4) == 0) return open_gguf(folder, main, options, model, error);
    const bool is_bin = main.size() > 4 && main.compare(main.size() - 4, 4, ".bin") == 0;
    if (is_bin) return open_llama2c(folder, main, options, model, error);
    const bool is_safetensors = main.size() > 12 && main.compare(main.size() - 12, 12, ".safetensors") == 0;
    return error.fail(Status::bad_file) << "The file " << in_quotes(main) << " is not a model that can be read. "
                                        << (is_safetensors ? "Name the folder that it lies in. " : "") << readable;
}

}  // namespace linnet
