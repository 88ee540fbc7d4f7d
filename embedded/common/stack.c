/* How much of the stack a program has used: it is painted at the start, and looked at in the end. */
#include "embedded/common/board.h"

__attribute__((noinline)) void board_paint_stack(void) {
    /* Up to somewhat below this function's own frame. */
    volatile unsigned char* at = board_stack_bottom;
    volatile unsigned char* end = (volatile unsigned char*)__builtin_frame_address(0) - 128;
    while (at < end) *at++ = BOARD_STACK_PAINT;
}

size_t board_stack_used(void) {
    const volatile unsigned char* at = board_stack_bottom;
    while (at < board_stack_top && *at == BOARD_STACK_PAINT) ++at;
    return (size_t)(board_stack_top - at);
}
