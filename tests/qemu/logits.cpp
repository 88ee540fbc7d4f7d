// The logits of given tokens, for another processor's Linux, under user-mode QEMU:
//
//     linnet_logits MODEL KERNELS BATCH TOKENS     KERNELS "": the best; TOKENS 1,2,3; logits are float32, to standard output
//
// Says on standard error which kernels it took. 1: a sentence on standard error says why there are no logits.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "platform/posix/posix.h"

namespace {

struct Output {
    uint32_t vocabulary;
    bool complete;
};

void write_row(void* context, uint32_t, const float* logits) {
    Output& output = *static_cast<Output*>(context);
    output.complete &= std::fwrite(logits, sizeof(float), output.vocabulary, stdout) == output.vocabulary;
}

int complain(const char* sentence) {
    std::fprintf(stderr, "%s\n", sentence);
    return 1;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) return complain("Usage: linnet_logits MODEL KERNELS BATCH TOKENS");
    std::vector<int32_t> tokens;
    for (const char* at = arguments[4]; *at != 0;) {
        char* end = nullptr;
        tokens.push_back(static_cast<int32_t>(std::strtol(at, &end, 10)));
        if (end == at) return complain("TOKENS are numbers with commas between them.");
        at = *end == ',' ? end + 1 : end;
    }
    linnet::PosixPlatform posix;
    std::string problem;
    if (!posix.open(arguments[1], 1, problem)) return complain(problem.c_str());

    linnet_options options = linnet_default_options();
    options.context = static_cast<uint32_t>(tokens.size());
    options.batch = static_cast<uint32_t>(std::atoi(arguments[3]));
    if (*arguments[2] != 0) options.kernels = arguments[2];
    linnet_error error;
    linnet_plan plan;
    if (linnet_make_plan(&posix.platform(), &options, &plan, &error)) return complain(error.text);
    linnet::ArenaMemory arena;
    if (!arena.allocate(plan.total_bytes)) return complain("There is not enough memory.");
    linnet_model* model = nullptr;
    linnet_session* session = nullptr;
    if (linnet_open(&posix.platform(), &options, arena.data(), arena.size(), &model, &error)) return complain(error.text);
    if (linnet_session_open(model, &session, &error)) return complain(error.text);
    linnet_info info;
    linnet_get_info(model, &info);
    std::fprintf(stderr, "%s\n", info.kernels);
    Output output = {info.vocabulary, true};
    if (linnet_evaluate_all(session, tokens.data(), tokens.size(), write_row, &output, &error)) return complain(error.text);
    if (std::fflush(stdout) != 0 || !output.complete) return complain("The logits could not be written.");
    return 0;
}
