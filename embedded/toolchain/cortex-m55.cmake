# Cortex-M55 with gcc-arm-none-eabi. Helium for integers, and not for floats (+nomve.fp): its float vectors take subnormal numbers for
# zero, which would change results, and gcc 12 makes them out of plain loops.
set(LINNET_PROCESSOR_FLAGS "-mthumb -mcpu=cortex-m55+nomve.fp -mfloat-abi=hard")
set(CMAKE_SYSTEM_PROCESSOR cortex-m55)
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
