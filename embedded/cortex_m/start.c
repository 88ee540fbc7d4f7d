/* Start-up of a Cortex-M: the table of vectors, and from reset to main. */
#include <stdint.h>
#include <string.h>

#include "embedded/common/board.h"
#include "embedded/cortex_m/cortex_m.h"

extern unsigned char board_data_load[], board_data_end[], board_bss_begin[];
int main(void);

/* Not inlined into what sets the coprocessors up: its code may use floating-point registers from the first instruction on. */
static __attribute__((noinline, noreturn)) void run(void) {
    memcpy(board_data_begin, board_data_load, (size_t)(board_data_end - board_data_begin));
    memset(board_bss_begin, 0, (size_t)(board_bss_end - board_bss_begin));
    board_paint_stack();
    board_end(main());
}

__attribute__((noreturn)) void board_reset(void) {
    CPACR |= CPACR_FLOATING_POINT;
    __asm__ volatile("dsb\n isb" ::: "memory");
    run();
}

__attribute__((noreturn)) void board_fault(void) {
    static const char text[] = "\nThe processor met a fault.\n";
    for (const char* c = text; *c != 0; ++c) board_put(*c);
    board_end(70);
}

typedef void (*vector)(void);

/* Entries of the processor itself; interrupts of the board's devices would follow. */
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    (vector)(uintptr_t)board_stack_top,
    board_reset,
    board_fault, /* NMI */
    board_fault, /* HardFault */
    board_fault, /* MemManage */
    board_fault, /* BusFault */
    board_fault, /* UsageFault */
    board_fault, /* SecureFault, Armv8-M */
    [11] = board_fault,
    [12] = board_fault,
    [14] = board_fault,
    [15] = board_systick,
};
