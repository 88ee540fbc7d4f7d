// For test_calibration.py: what the converter gathers from a model that reads, as floats.
//
//     linnet_gather MODEL.linnet TOKENS OUT.f32 MEMORY BATCH THREADS
//
// TOKENS: a file with a window of ids on each line. OUT: the importance of each matrix, [layers][qkv, attention output, gate_up,
// down], then the output matrix, columns only. MEMORY: the ceiling in bytes, 0 for none.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/session/model.h"
#include "platform/posix/posix.h"
#include "tools/converter/importance.h"

using namespace linnet;

namespace {

int refuse(const char* what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) return refuse("wrong arguments");
    std::vector<std::vector<int32_t>> windows;
    std::ifstream file(argv[2]);
    for (std::string line; std::getline(file, line);) {
        std::istringstream ids(line);
        windows.emplace_back();
        for (int32_t id; ids >> id;) windows.back().push_back(id);
    }
    PosixPlatform posix;
    std::string problem;
    if (!posix.open(argv[1], static_cast<uint32_t>(atoi(argv[6])), problem)) return refuse(problem.c_str());
    linnet_options options = linnet_default_options();
    options.memory = strtoull(argv[4], nullptr, 10);
    options.batch = static_cast<uint32_t>(atoi(argv[5]));
    options.kv_format = LINNET_KV_F32;
    linnet_plan plan;
    linnet_error error;
    if (linnet_make_plan(&posix.platform(), &options, &plan, &error) != LINNET_OK) return refuse(error.text);
    ArenaMemory memory;
    if (!memory.allocate(plan.total_bytes)) return refuse("no memory");
    linnet_model* model = nullptr;
    linnet_session* session = nullptr;
    if (linnet_open(&posix.platform(), &options, memory.data(), memory.size(), &model, &error) != LINNET_OK)
        return refuse(error.text);
    if (linnet_session_open(model, &session, &error) != LINNET_OK) return refuse(error.text);
    Importance importance;
    Error inner;
    if (gather_importance(*session, windows, nullptr, importance, inner) != Status::ok) return refuse(inner.text());
    std::ofstream out(argv[3], std::ios::binary);
    const ModelConfig& config = model->header.config;
    const auto write = [&](TensorRole role, uint32_t layer, uint32_t columns) {
        out.write(reinterpret_cast<const char*>(importance.of(role, layer)), columns * std::streamsize{sizeof(float)});
    };
    for (uint32_t layer = 0; layer < config.layers; ++layer) {
        write(TensorRole::qkv, layer, config.hidden);
        write(TensorRole::attention_output, layer, config.heads * config.head_dim);
        write(TensorRole::gate_up, layer, config.hidden);
        write(TensorRole::down, layer, config.feed_forward);
    }
    write(TensorRole::output, 0, config.hidden);
    out.close();
    printf("%llu\n", static_cast<unsigned long long>(plan.streamed_bytes_per_pass));
    linnet_close(model);
    return out ? 0 : refuse("cannot write");
}
