/* The registers of a Cortex-M that the boards use, by the names of the Armv7-M and Armv8-M reference manuals. */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t*)(uintptr_t)(address))

#define CPACR REGISTER(0xe000ed88u)
#define CPACR_FLOATING_POINT (0xfu << 20) /* CP10 and CP11, which are floating point and Helium */

#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)

void board_systick(void);

#endif
