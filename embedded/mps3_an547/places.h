/* Where things are on Arm's AN547 image for the MPS3: Corstone-300 with a Cortex-M55 (Arm DAI 0547). */
#ifndef PLACES_H
#define PLACES_H

#define UART_BASE 0x49303000u
#define CLOCK_HZ 32000000u

/* 8 MB of flash on QSPI, read like memory: the model is here and is used here. */
#define MODEL_BASE 0x28000000u
#define MODEL_BYTES (8u << 20)

/* 4 MB of SRAM, the arena of the program that streams a larger model. */
#define SRAM_BASE 0x21000000u
#define SRAM_BYTES (4u << 20)

#endif
