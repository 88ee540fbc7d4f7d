/* The UART and the clock of QEMU's virt. */
#include "embedded/common/board.h"
#include "places.h"
#include "platform/baremetal/semihosting.h"

/* PL011 (Arm DDI 0183). */
#define UART_DR (*(volatile uint32_t*)(UART_BASE + 0x00ul))
#define UART_FR (*(volatile uint32_t*)(UART_BASE + 0x18ul))
enum { receive_empty = 1 << 4, transmit_full = 1 << 5 };

void board_start(void) {}

void board_put(char c) {
    while ((UART_FR & transmit_full) != 0) {}
    UART_DR = (uint8_t)c;
}

int board_get(void) {
    while ((UART_FR & receive_empty) != 0) {}
    return (int)(UART_DR & 0xff);
}

uint64_t board_microseconds(void) {
    uint64_t count, frequency;
    __asm__ volatile("mrs %0, cntvct_el0\n mrs %1, cntfrq_el0" : "=r"(count), "=r"(frequency));
    return count / frequency * 1000000 + count % frequency * 1000000 / frequency;
}

void board_end(int32_t code) { linnet_semihosting_exit(code); }
