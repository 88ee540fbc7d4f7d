/* Where things are on Arm's AN500 image for the MPS2: a Cortex-M7 (Arm DAI 0500). */
#ifndef PLACES_H
#define PLACES_H

#define UART_BASE 0x40004000u
#define CLOCK_HZ 25000000u

/* 16 MB of PSRAM, which a boot loader fills; under QEMU its -device loader. The model is used where it is. */
#define MODEL_BASE 0x60000000u
#define MODEL_BYTES (16u << 20)

#endif
