# AArch64 without an operating system. Debian has no aarch64-none-elf compiler; the one for Linux does, as long as nothing of Linux's
# C library is linked: memcpy and its kin come from picolibc, or from wherever yours are.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_C_FLAGS_INIT "-fno-pie -mno-outline-atomics -fno-stack-protector -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT}")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(LINNET_C_LIBRARY_FOLDER /usr/lib/picolibc/aarch64-linux-gnu/lib CACHE PATH "Where a libc.a with memcpy and its kin is")
