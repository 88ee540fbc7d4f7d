#include "embedded/common/answer.h"

#include <string.h>

#include "embedded/common/logits_hash.h"

enum { most_prompt_bytes = 256, most_prompt_tokens = 256, piece_bytes = 512 };

void say(const char* text) {
    while (*text != 0) board_put(*text++);
}

static void say_bytes(const char* text, size_t bytes) {
    while (bytes-- != 0) board_put(*text++);
}

void say_number(uint64_t number) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count != 0) board_put(digits[--count]);
}

static void say_field(const char* name, uint64_t number) {
    say(" ");
    say(name);
    say(" ");
    say_number(number);
}

static int32_t complain(const linnet_error* error) {
    say("\n");
    say(error->text);
    say("\n");
    return 1;
}

/* A line without its end; -1 when no more comes. */
static int32_t read_line(char* line, size_t capacity) {
    size_t length = 0;
    for (;;) {
        const int c = board_get();
        if (c < 0 || c == 4) return length != 0 ? (int32_t)length : -1;
        if (c == '\r' || c == '\n') return (int32_t)length;
        if (length < capacity) line[length++] = (char)c;
    }
}

static void say_plan(const linnet_plan* plan, uint64_t file_bytes) {
    say("memory:");
    say_field("model", file_bytes);
    say_field("in_place", plan->mapped_bytes);
    say_field("weights", plan->weights_bytes);
    say_field("ring", plan->ring_bytes);
    say_field("kv", plan->kv_bytes);
    say_field("activations", plan->activation_bytes);
    say_field("tokenizer", plan->tokenizer_bytes);
    say_field("session", plan->session_bytes);
    say_field("other", plan->other_bytes);
    say_field("arena", plan->total_bytes);
    say_field("variables", (uint64_t)(board_bss_end - board_data_begin));
    say("\n");
}

static void hash_row(void* context, uint32_t position, const float* logits) {
    (void)position;
    logits_hash_add((logits_hash*)context, logits);
}

/* One line's answer: the prompt in one call, then token after token, the most likely one each time. */
static int32_t answer_line(linnet_model* model, linnet_session* session, const char* line, size_t line_bytes,
                           uint32_t most_tokens) {
    static int32_t tokens[most_prompt_tokens];
    static logits_hash hash; /* of all logits, as `linnet logits --hash` has it */
    linnet_sampling sampling = linnet_default_sampling();
    linnet_text_stream stream = {0};
    linnet_error error;
    linnet_info info;
    char piece[piece_bytes];
    size_t count = 0;
    size_t bytes = 0;
    uint64_t before = board_microseconds();
    uint64_t prompt_time;

    sampling.temperature = 0;
    linnet_get_info(model, &info);
    logits_hash_begin(&hash, info.vocabulary);
    if (linnet_tokenize(model, line, line_bytes, LINNET_TEXT_PLAIN, tokens, most_prompt_tokens, &count, &error))
        return complain(&error);
    if (count > most_prompt_tokens) {
        say("That is too long for this board's program.\n");
        return 0;
    }
    if (linnet_rewind(session, 0, &error)) return complain(&error);
    if (linnet_evaluate_all(session, tokens, count, hash_row, &hash, &error)) return complain(&error);
    prompt_time = board_microseconds() - before;
    before = board_microseconds();

    uint32_t generated = 0;
    while (generated < most_tokens && linnet_length(session) < info.context) {
        int32_t token;
        if (linnet_sample(session, &sampling, &token, &error)) return complain(&error);
        if (linnet_is_end(model, token)) break;
        if (linnet_detokenize(model, &stream, token, 0, piece, sizeof piece, &bytes, &error)) return complain(&error);
        say_bytes(piece, bytes);
        if (linnet_evaluate_all(session, &token, 1, hash_row, &hash, &error)) return complain(&error);
        ++generated;
    }
    linnet_detokenize_end(&stream, piece, sizeof piece, &bytes);
    say_bytes(piece, bytes);

    linnet_stats stats;
    linnet_get_stats(session, &stats);
    say("\ntokens: prompt");
    say_field("", count);
    say_field("in_microseconds", prompt_time);
    say_field("answer", generated);
    say_field("in_microseconds", board_microseconds() - before);
    say_field("bytes_streamed", stats.bytes_streamed);
    say("\nlogits: ");
    say(logits_hash_end(&hash));
    say("\nstack: used ");
    say_number(board_stack_used());
    say_field("of", (uint64_t)(board_stack_top - board_stack_bottom));
    say("\n");
    return 0;
}

int32_t answer(const linnet_platform* platform, const linnet_options* options, void* arena, uint32_t tokens) {
    char line[most_prompt_bytes];
    linnet_error error;
    linnet_plan plan;
    linnet_model* model;
    linnet_session* session;
    linnet_info info;
    int32_t length;

    if (linnet_make_plan(platform, options, &plan, &error)) return complain(&error);
    say_plan(&plan, platform->file_bytes);
    if (linnet_open(platform, options, arena, (size_t)plan.total_bytes, &model, &error)) return complain(&error);
    if (linnet_session_open(model, &session, &error)) return complain(&error);
    linnet_get_info(model, &info);
    say("kernels: ");
    say(info.kernels);
    say("\n");
    for (;;) {
        say("> ");
        length = read_line(line, sizeof line);
        if (length <= 0) break;
        say_bytes(line, (size_t)length);
        say("\n");
        if (answer_line(model, session, line, (size_t)length, tokens) != 0) return 1;
    }
    linnet_close(model);
    say("end\n");
    return 0;
}

static uint64_t microseconds(void* board) {
    (void)board;
    return board_microseconds();
}

static void log_line(void* board, const char* line) {
    (void)board;
    say(line);
    say("\n");
}

/* Filled in here: an initializer would stand in the image with all of its buffer. */
static linnet_baremetal* board_platform(void) {
    static linnet_baremetal baremetal;
    baremetal.microseconds = microseconds;
    baremetal.log = log_line;
    return &baremetal;
}

int32_t answer_from_memory(const void* model, uint64_t limit, linnet_options* options, uint32_t tokens) {
    linnet_platform platform;
    if (linnet_baremetal_in_memory(board_platform(), model, limit, &platform) != 0) {
        say("There is no model where this board looks for it.\n");
        return 1;
    }
    options->memory = (uint64_t)(board_arena_end - board_arena_begin);
    return answer(&platform, options, board_arena_begin, tokens);
}

int32_t answer_from_device(const linnet_block_device* device, uint64_t first_block, void* arena, const linnet_options* options,
                           uint32_t tokens) {
    linnet_platform platform;
    if (linnet_baremetal_on_device(board_platform(), device, first_block, &platform) != 0) {
        say("There is no model on the device.\n");
        return 1;
    }
    return answer(&platform, options, arena, tokens);
}
