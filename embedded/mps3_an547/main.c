/* The smallest board: a model of 260,000 weights in flash, used where it is, and 512 KB of memory. */
#include "embedded/common/answer.h"
#include "places.h"
#include "platform/baremetal/baremetal.h"

static uint64_t microseconds(void* board) {
    (void)board;
    return board_microseconds();
}

static void log_line(void* board, const char* line) {
    (void)board;
    say(line);
    say("\n");
}

int main(void) {
    static linnet_baremetal memory;
    linnet_platform platform;
    linnet_options options = linnet_default_options();

    board_start();
    memory.microseconds = microseconds;
    memory.log = log_line;
    if (linnet_baremetal_in_memory(&memory, (const void*)MODEL_BASE, MODEL_BYTES, &platform) != 0) {
        say("There is no model in the flash.\n");
        return 1;
    }
    options.context = 0; /* the model's own: 512 tokens */
    options.batch = 16;
    options.text_run = 256;
    options.memory = (uint64_t)(board_arena_end - board_arena_begin);
    return answer(&platform, &options, board_arena_begin, 32);
}
