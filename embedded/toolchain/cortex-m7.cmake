# Cortex-M7 with gcc-arm-none-eabi, and the floating point unit with double precision.
set(LINNET_PROCESSOR_FLAGS "-mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard")
set(CMAKE_SYSTEM_PROCESSOR cortex-m7)
include(${CMAKE_CURRENT_LIST_DIR}/arm-none-eabi.cmake)
