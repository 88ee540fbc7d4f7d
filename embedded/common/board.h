/* What answer.c asks of a board: a line to a person, a clock, memory. A board's own files give all of it. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#include "core/linnet.h"

/* Called first: the UART, the clock. */
void board_start(void);

/* ---- the line: a UART, 8 bits, no echo ---- */
void board_put(char c); /* waits until it can be sent */
int board_get(void);    /* waits for a byte; -1: no more will come */

/* Microseconds since the start. */
uint64_t board_microseconds(void);

/* Ends the run under QEMU with an exit code; hardware would reset, or sleep. */
__attribute__((noreturn)) void board_end(int32_t code);

/* ---- from the linker script ---- */
extern unsigned char board_stack_bottom[], board_stack_top[]; /* the stack grows down from its top */
extern unsigned char board_data_begin[], board_bss_end[];     /* variables of the program */
extern unsigned char board_arena_begin[], board_arena_end[];  /* what is left of the memory */

/* The stack below where it stands now is filled with this at the start, so that what is still there has never been used. */
#define BOARD_STACK_PAINT 0xa5u
void board_paint_stack(void);
size_t board_stack_used(void);

#endif
