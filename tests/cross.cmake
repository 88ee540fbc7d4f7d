# The unit tests of the core and its platform for another processor than the host's: the files that need no other library. Run under
# user-mode QEMU by tests/qemu/run.sh.
find_path(DOCTEST_INCLUDE doctest/doctest.h PATHS /usr/include /usr/local/include NO_CMAKE_FIND_ROOT_PATH REQUIRED)
# The host's headers must not be seen, so a folder with a link to this one.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/doctest_include)
file(CREATE_LINK ${DOCTEST_INCLUDE}/doctest ${CMAKE_BINARY_DIR}/doctest_include/doctest SYMBOLIC)
file(GLOB LINNET_CROSS_UNIT CONFIGURE_DEPENDS unit/main.cpp unit/test_kernels_*.cpp unit/test_math.cpp unit/test_crc32c.cpp unit/test_checksum.cpp
  unit/test_sampler.cpp unit/test_fake_platform.cpp unit/test_platform.cpp unit/test_storage.cpp)
add_executable(linnet_unit ${LINNET_CROSS_UNIT})
target_include_directories(linnet_unit SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/doctest_include)
target_link_libraries(linnet_unit PRIVATE linnet_core linnet_platform)
# gcc 12 for AArch64 ends with an internal error where it vectorises a reference of these tests (test_kernels_elementwise.cpp, -O3).
target_compile_options(linnet_unit PRIVATE -O1)

# The logits of a whole model (tests/qemu/aarch64.py).
add_executable(linnet_logits qemu/logits.cpp)
target_link_libraries(linnet_logits PRIVATE linnet_core linnet_platform)
