/* Start-up of an AArch64 processor at EL1: vectors, floating point, the memory's kinds, and from reset to main. */
#include <stdint.h>
#include <string.h>

#include "embedded/common/board.h"

extern unsigned char board_bss_begin[];
int main(void);

/* One entry for each gigabyte of the first 512 (blocks of level 1, translation of 39 bits). Without this all memory counts as
 * device memory, in which nothing may be read that is not aligned. */
static uint64_t gigabytes[512] __attribute__((aligned(4096)));

enum {
    block = 1,            /* valid, and a block */
    accessed = 1 << 10,   /* AF */
    shared = 3 << 8,      /* SH: inner shareable */
    device_kind = 1 << 2, /* AttrIndx 1 */
};
#define KINDS 0x04ffull /* MAIR: 0 normal, written back; 1 device-nGnRE */
#define TRANSLATION ((64ull - 39) | 1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 23) /* TCR: T0SZ, caches, shared, no TTBR1 */

static void set_memory_up(void) {
    uint64_t control;
    for (uint64_t i = 0; i < 4; ++i) gigabytes[i] = i << 30 | block | accessed | (i == 0 ? device_kind : shared);
    __asm__ volatile(
        "msr mair_el1, %0\n msr tcr_el1, %1\n msr ttbr0_el1, %2\n dsb sy\n isb\n tlbi vmalle1\n dsb sy\n isb" ::"r"(KINDS),
        "r"(TRANSLATION), "r"(gigabytes)
        : "memory");
    __asm__ volatile("mrs %0, sctlr_el1" : "=r"(control));
    control |= 1u << 0 | 1u << 2 | 1u << 12; /* translation, data cache, instruction cache */
    __asm__ volatile("msr sctlr_el1, %0\n isb" ::"r"(control) : "memory");
}

__attribute__((noreturn, used)) void board_run(void) {
    /* QEMU has put .data in its place. */
    for (volatile unsigned char* at = board_bss_begin; at < board_bss_end; ++at) *at = 0;
    set_memory_up();
    board_paint_stack();
    board_end(main());
}

__attribute__((noreturn, used)) void board_fault(void) {
    static const char text[] = "\nThe processor met a fault.\n";
    for (const char* c = text; *c != 0; ++c) board_put(*c);
    board_end(70);
}

/* The first instruction: no stack, no floating point yet. Every exception is a fault. */
__asm__(
    ".section .text.board_reset, \"ax\"\n"
    ".global board_reset\n"
    "board_reset:\n"
    "    mov x0, #(3 << 20)\n"
    "    msr cpacr_el1, x0\n"
    "    adrp x0, board_vectors\n"
    "    add x0, x0, :lo12:board_vectors\n"
    "    msr vbar_el1, x0\n"
    "    isb\n"
    "    adrp x0, board_stack_top\n"
    "    add x0, x0, :lo12:board_stack_top\n"
    "    mov sp, x0\n"
    "    b board_run\n"
    ".section .vectors, \"ax\"\n"
    ".balign 2048\n"
    "board_vectors:\n"
    "    .rept 16\n"
    "    .balign 128\n"
    "    b board_fault\n"
    "    .endr\n"
    ".previous\n");
