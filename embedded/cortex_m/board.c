/* What Arm's MPS2 and MPS3 images have in common: the CMSDK UART, and the processor's own timer as a clock. */
#include "embedded/common/board.h"
#include "embedded/cortex_m/cortex_m.h"
#include "places.h" /* of the board: UART_BASE, CLOCK_HZ */
#include "platform/baremetal/semihosting.h"

/* CMSDK APB UART (Arm DDI 0479). */
#define UART_DATA REGISTER(UART_BASE + 0x00u)
#define UART_STATE REGISTER(UART_BASE + 0x04u)
#define UART_CTRL REGISTER(UART_BASE + 0x08u)
#define UART_BAUDDIV REGISTER(UART_BASE + 0x10u)
enum { transmit_full = 1, receive_full = 2, transmit_on = 1, receive_on = 2, baud = 115200 };

static volatile uint32_t seconds_64th; /* 64 interrupts a second */

void board_start(void) {
    UART_BAUDDIV = CLOCK_HZ / baud;
    UART_CTRL = transmit_on | receive_on;
    SYST_RVR = CLOCK_HZ / 64 - 1;
    SYST_CVR = 0;
    SYST_CSR = 7; /* on, with its interrupt, from the processor's clock */
}

void board_put(char c) {
    while ((UART_STATE & transmit_full) != 0) {}
    UART_DATA = (uint8_t)c;
}

int board_get(void) {
    while ((UART_STATE & receive_full) == 0) {}
    return (int)(UART_DATA & 0xff);
}

void board_systick(void) { ++seconds_64th; }

uint64_t board_microseconds(void) {
    uint32_t before;
    uint32_t count;
    do {
        before = seconds_64th;
        count = SYST_CVR;
    } while (before != seconds_64th);
    /* It counts down, and a 64th of a second begins at 0: that is where the interrupt comes, and where board_start leaves it. */
    const uint32_t passed = count == 0 ? 0 : CLOCK_HZ / 64 - count;
    return (uint64_t)before * 15625 + (uint64_t)passed * 1000000 / CLOCK_HZ;
}

void board_end(int32_t code) { linnet_semihosting_exit(code); }
