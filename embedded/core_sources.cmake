# What a build of the core is made of, for build systems that are not the project's own: Zephyr, ESP-IDF. Sets LINNET_ROOT,
# LINNET_CORE_SOURCES, LINNET_BAREMETAL_SOURCES, LINNET_UPDATE_SOURCES and LINNET_CORE_OPTIONS; kernels of an instruction set are added
# by folder name (LINNET_KERNELS, which is compiled with what the target's own flags are).
get_filename_component(LINNET_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(LINNET_CORE_SOURCES "")
foreach(folder core core/base core/model core/text core/ops core/session core/stream core/kernels core/kernels/scalar)
  file(GLOB sources ${LINNET_ROOT}/${folder}/*.cpp)
  list(APPEND LINNET_CORE_SOURCES ${sources})
endforeach()
set(LINNET_CORE_DEFINITIONS "")
foreach(kernels ${LINNET_KERNELS})
  file(GLOB sources ${LINNET_ROOT}/core/kernels/${kernels}/*.cpp)
  if(NOT sources)
    message(FATAL_ERROR "There are no kernels named ${kernels} in ${LINNET_ROOT}/core/kernels.")
  endif()
  list(APPEND LINNET_CORE_SOURCES ${sources})
  string(TOUPPER ${kernels} name)
  list(APPEND LINNET_CORE_DEFINITIONS LINNET_HAVE_${name}=1)
endforeach()
set(LINNET_BAREMETAL_SOURCES ${LINNET_ROOT}/platform/baremetal/baremetal.c)
file(GLOB LINNET_UPDATE_SOURCES ${LINNET_ROOT}/embedded/update/*.cpp)
# The first is part of the specification of the numbers; without the second, square roots come from the C library.
set(LINNET_CORE_OPTIONS -ffp-contract=off -fno-math-errno -fno-exceptions -fno-rtti -fno-threadsafe-statics)
if("helium" IN_LIST LINNET_KERNELS)
  # Helium's float vectors take subnormal numbers for zero: they stand where they are written, and are not made out of plain loops.
  list(APPEND LINNET_CORE_OPTIONS -fno-tree-vectorize)
endif()
