// How text is generated, for `run` and `chat`: the options, and one answer as it comes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tools/linnet/loaded_model.h"

namespace linnet {

struct GenerationChoices {
    linnet_sampling sampling = linnet_default_sampling();
    uint32_t max_tokens = 0;
    std::vector<std::string> stops;
    bool special = false;
    uint32_t speculate = LINNET_SPECULATE_AUTO;
};

// Gives a command -n, --temperature, --top-k, --top-p, --min-p, --repetition-penalty, --seed, --stop, --speculate.
void add_generation_choices(CLI::App& command, GenerationChoices& choices);

struct AnswerToken {
    int32_t token;
    float logit;
    std::string text;  // what became certain with it
};

struct Answer {
    std::string text;
    std::vector<AnswerToken> tokens;
    linnet_generated generated{};
    uint64_t microseconds = 0;  // from the first choice on

    const char* finish_name() const;
    // That a pass over the weights brought; 0 without a pass.
    double tokens_per_pass() const;
};

// Generates from the logits that the session has. `each` sees every token as it comes (token -1: text that was held back). Ctrl-C
// stops it: the answer then is finished as cancelled. Throws a Failure when the core fails.
Answer generate_answer(LoadedModel& model, const GenerationChoices& choices,
                       const std::function<void(const AnswerToken&)>& each);

double tokens_per_second(uint64_t tokens, uint64_t microseconds);

// A raised prompt for the person while a long prompt is evaluated, taken away when it is done. False: stopped by Ctrl-C.
bool evaluate_prompt(LoadedModel& model, const std::vector<int32_t>& tokens);

// "prompt 31 tokens, 210 tok/s · answer 64 tokens, 35.2 tok/s, 1.8 a pass · memory 711 MB (peak 735 MB)"
std::string statistics_line(const LoadedModel& model, uint64_t prompt_tokens, uint64_t prompt_microseconds,
                            const Answer& answer);

}  // namespace linnet
