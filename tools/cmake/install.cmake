# What `cmake --install` puts in place: the library, its headers, a CMake package and a pkg-config file, for this system or for a board.
#
#     find_package(linnet 0.1 REQUIRED)                target_link_libraries(firmware PRIVATE linnet::linnet)
#     cc $(pkg-config --cflags linnet) main.c $(pkg-config --libs linnet)
#
# The header is C, and so is what the library asks for at link time: memcpy, memmove, memset, memcmp, strlen.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS linnet_core ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES core/linnet.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/linnet)
install(FILES platform/platform.h platform/block_device.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/linnet/platform)
if(TARGET linnet_baremetal)
  install(TARGETS linnet_baremetal ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES platform/baremetal/baremetal.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/linnet/platform/baremetal)
endif()
if(TARGET linnet)
  install(TARGETS linnet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(LINNET_INSTALL_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/linnet)
configure_package_config_file(tools/cmake/linnetConfig.cmake.in ${CMAKE_BINARY_DIR}/linnetConfig.cmake
  INSTALL_DESTINATION ${LINNET_INSTALL_PACKAGE} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/linnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/linnetConfig.cmake ${CMAKE_BINARY_DIR}/linnetConfigVersion.cmake
        DESTINATION ${LINNET_INSTALL_PACKAGE})
# Found from where the file stands, so that --prefix and a moved folder are right.
file(RELATIVE_PATH LINNET_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(tools/cmake/linnet.pc.in ${CMAKE_BINARY_DIR}/linnet.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/linnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
