#include "tools/linnet/generation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tools/linnet/command.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"
#include "tools/linnet/token_progress.h"

namespace linnet {

namespace {

// Microseconds between two looks at how far an evaluation is.
constexpr uint32_t slice = 100000;

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
        std::exception_ptr problem;  // of the output: the generation is ended first

        // False: nobody reads on.
        bool take(const linnet_step& step) {
            if (step.token < 0 && step.text_bytes == 0) return true;
            AnswerToken piece{step.token, step.logit, std::string(step.text, step.text_bytes)};
            answer.text += piece.text;
            try {
                each(piece);
            } catch (...) {
                problem = std::current_exception();
                return false;
            }
            if (step.token >= 0) {
                answer.tokens.push_back(std::move(piece));
            } else if (!answer.tokens.empty()) {
                answer.tokens.back().text += piece.text;
            }
            return true;
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
    linnet_error error;
    const linnet_platform& platform = model.platform();
    const uint64_t start = platform.ticks(platform.context);
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        // Long work between two tokens is a LongRoPE model that has outgrown its original context.
        TokenProgress line("recomputing", true, model.progress());
        linnet_step step{};
        status = linnet_generate_begin(model.session(), &generation, &error);
        while (status == LINNET_OK && step.generated.finish == 0) {
            status = linnet_generate_continue(model.session(), slice, &step, &error);
            collect.answer.generated = step.generated;
            if (status != LINNET_OK) break;
            if (step.paused != 0) {
                line.update(step.progress);
                continue;
            }
            line.clear();
            if (!collect.take(step) && step.generated.finish == 0) {
                linnet_generate_end(model.session(), &step);
                collect.answer.generated = step.generated;
                collect.take(step);
            }
        }
    }
    collect.answer.microseconds = platform.ticks(platform.context) - start;
    if (collect.problem) std::rethrow_exception(collect.problem);
    model.require_platform(status, error);
    return std::move(collect.answer);
}

double tokens_per_second(uint64_t tokens, uint64_t microseconds) {
    return microseconds == 0 ? 0 : static_cast<double>(tokens) * 1e6 / static_cast<double>(microseconds);
}

bool evaluate_prompt(LoadedModel& model, const std::vector<int32_t>& tokens) {
    const auto count = static_cast<uint32_t>(std::min<size_t>(tokens.size(), UINT32_MAX));
    linnet_session* session = model.session();
    linnet_error error;
    if (count == 0 || count > model.info().context) {  // nothing to evaluate, or a refusal that leaves the session as it is
        require(linnet_set_tokens(session, tokens.data(), tokens.size(), nullptr, &error), error);
        return true;
    }
    // What the session already holds is kept, but for the last token, whose logits are wanted.
    const uint32_t held = linnet_length(session);
    uint32_t same = 0;
    while (same < held && same + 1 < count && linnet_tokens(session)[same] == tokens[same]) ++same;
    require(linnet_rewind(session, same, &error), error);
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        TokenProgress line("reading", false, model.progress());
        linnet_progress progress{};
        status = linnet_evaluate_begin(session, tokens.data() + same, count - same, &error);
        while (status == LINNET_OK && progress.done == 0) {
            line.update(progress);
            status = linnet_evaluate_continue(session, slice, &progress, &error);
        }
    }
    if (status == LINNET_CANCELLED) return false;
    model.require_platform(status, error);
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
