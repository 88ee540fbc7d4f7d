/* Where things are on QEMU's machine "virt" for AArch64, which is no hardware's. */
#ifndef PLACES_H
#define PLACES_H

#define UART_BASE 0x09000000u

/* RAM begins at 0x40000000 with the program (board.ld); QEMU's -device loader puts the model behind its arena. */
#define MODEL_BASE 0x50000000u
#define MODEL_BYTES (1u << 30)

#endif
