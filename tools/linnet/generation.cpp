#include "tools/linnet/generation.h"

#include <cmath>
#include <cstdio>

#include "tools/linnet/command.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

CLI::Validator number(double least, double most) {
    return CLI::Validator(
        [least, most](std::string& text) -> std::string {
            try {
                size_t used = 0;
                const double value = std::stod(text, &used);
                if (used == text.size() && value >= least && value <= most) return {};
            } catch (const std::exception&) {}
            return "\"" + text + "\" is not a number from " + format_fixed(least, 0) + " to " + format_fixed(most, 0);
        },
        "", "number");
}

}  // namespace

void add_generation_choices(CLI::App& command, GenerationChoices& choices) {
    linnet_sampling& sampling = choices.sampling;
    const std::string group = "Generation";
    command.add_option("-n,--max-tokens", choices.max_tokens, "Tokens to generate at most (as many as fit)")
        ->type_name("N")
        ->check(whole_number(1, 1u << 21))
        ->group(group);
    command.add_option("--temperature", sampling.temperature, "0 takes the most likely token, more is freer (0.7)")
        ->type_name("T")
        ->check(number(0, 10))
        ->group(group);
    command.add_option("--top-k", sampling.top_k, "Choose among the K most likely tokens; 0: all (40)")
        ->type_name("K")
        ->check(whole_number(0, 1u << 20))
        ->group(group);
    command.add_option("--top-p", sampling.top_p, "Choose among the fewest whose probabilities reach P; 1: all (0.95)")
        ->type_name("P")
        ->check(number(0, 1))
        ->group(group);
    command.add_option("--min-p", sampling.min_p, "Drop tokens below P times the most likely one's probability (0.05)")
        ->type_name("P")
        ->check(number(0, 1))
        ->group(group);
    command.add_option("--repetition-penalty", sampling.repetition_penalty, "Makes recent tokens less likely; 1: no (1)")
        ->type_name("X")
        ->check(number(0, 10))
        ->group(group);
    command.add_option("--seed", sampling.seed, "Start of the random numbers: the same seed, the same text (0)")
        ->type_name("S")
        ->check(whole_number(0, UINT64_MAX))
        ->group(group);
    command.add_option("--stop", choices.stops, "End where this text comes up; may be given several times")
        ->type_name("TEXT")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)
        ->group(group);
    command
        .add_option_function<std::string>(
            "--speculate",
            [&choices](const std::string& text) {
                choices.speculate = text == "on"    ? uint32_t{LINNET_SPECULATE_ON}
                                    : text == "off" ? uint32_t{LINNET_SPECULATE_OFF}
                                                    : uint32_t{LINNET_SPECULATE_AUTO};
            },
            "Guess tokens from what was said, several a pass: auto, on or off; the answer is the same (auto)")
        ->type_name("WHEN")
        ->check(CLI::IsMember({"auto", "on", "off"}))
        ->group(group);
    command.add_flag("--show-special", choices.special, "Show special tokens such as <|end|> in the text")->group(group);
}

const char* Answer::finish_name() const {
    switch (generated.finish) {
        case LINNET_FINISH_END: return "end";
        case LINNET_FINISH_STOP: return "stop";
        case LINNET_FINISH_LENGTH: return "length";
        case LINNET_FINISH_CONTEXT: return "context";
        case LINNET_FINISH_CANCELLED: return "cancelled";
        default: return "unknown";
    }
}

double Answer::tokens_per_pass() const {
    if (generated.passes == 0) return 0;
    return static_cast<double>(generated.passes + generated.accepted) / static_cast<double>(generated.passes);
}

Answer generate_answer(LoadedModel& model, const GenerationChoices& choices,
                       const std::function<void(const AnswerToken&)>& each) {
    struct Collect {
        Answer answer;
        const std::function<void(const AnswerToken&)>& each;
        std::exception_ptr problem;  // of the output; it must not pass through the core

        int32_t take(int32_t token, float logit, const char* text, size_t bytes) {
            AnswerToken piece{token, logit, std::string(text, bytes)};
            answer.text += piece.text;
            try {
                each(piece);
            } catch (...) {
                problem = std::current_exception();
                return 1;
            }
            if (token >= 0) {
                answer.tokens.push_back(std::move(piece));
            } else if (!answer.tokens.empty()) {
                answer.tokens.back().text += piece.text;
            }
            return 0;
        }
    } collect{{}, each, nullptr};

    std::vector<const char*> stops;
    for (const std::string& stop : choices.stops) stops.push_back(stop.c_str());
    linnet_generation generation = linnet_default_generation();
    generation.sampling = choices.sampling;
    generation.max_tokens = choices.max_tokens;
    generation.text_flags = choices.special ? LINNET_TEXT_SPECIAL : 0;
    generation.stops = stops.data();
    generation.stop_count = static_cast<uint32_t>(stops.size());
    generation.speculate = choices.speculate;
    generation.context = &collect;
    generation.piece = [](void* context, int32_t token, float logit, const char* text, size_t bytes) {
        return static_cast<Collect*>(context)->take(token, logit, text, bytes);
    };
    linnet_error error;
    const linnet_platform& platform = model.platform();
    const uint64_t start = platform.ticks(platform.context);
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        status = linnet_generate(model.session(), &generation, &collect.answer.generated, &error);
    }
    collect.answer.microseconds = platform.ticks(platform.context) - start;
    if (collect.problem) std::rethrow_exception(collect.problem);
    require(status, error);
    return std::move(collect.answer);
}

double tokens_per_second(uint64_t tokens, uint64_t microseconds) {
    return microseconds == 0 ? 0 : static_cast<double>(tokens) * 1e6 / static_cast<double>(microseconds);
}

bool evaluate_prompt(LoadedModel& model, const std::vector<int32_t>& tokens) {
    // Below this many tokens it is over before anybody has read the line.
    constexpr size_t worth_a_line = 100;
    const bool shown = stderr_is_terminal() && tokens.size() >= worth_a_line;
    if (shown) {
        fputs(dim("reading " + format_number(tokens.size()) + " tokens …").c_str(), stderr);
        fflush(stderr);
    }
    linnet_error error;
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        status = linnet_set_tokens(model.session(), tokens.data(), tokens.size(), nullptr, &error);
    }
    if (shown) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
    }
    if (status == LINNET_CANCELLED) return false;
    require(status, error);
    return true;
}

std::string statistics_line(const LoadedModel& model, uint64_t prompt_tokens, uint64_t prompt_microseconds,
                            const Answer& answer) {
    const auto rate = [](uint64_t tokens, uint64_t microseconds) {
        const double value = tokens_per_second(tokens, microseconds);
        return format_number(tokens) + (tokens == 1 ? " token" : " tokens") +
               (value > 0 ? ", " + format_fixed(value, value < 99.95 ? 1 : 0) + " tok/s" : "");
    };
    linnet_stats stats;
    linnet_get_stats(model.session(), &stats);
    return "prompt " + rate(prompt_tokens, prompt_microseconds) + " · answer " +
           rate(answer.generated.tokens, answer.microseconds) +
           (answer.generated.drafted != 0 ? ", " + format_fixed(answer.tokens_per_pass(), 2) + " a pass" : "") + " · memory " +
           format_bytes(stats.arena_bytes) + " (peak " + format_bytes(peak_memory()) + ")";
}

}  // namespace linnet
