# What every source is compiled with for WebAssembly, and the kernels of this build. Relaxed SIMD is a module of its own: one
# relaxed instruction makes the whole of it invalid where they are not known.
option(LINNET_WASM_RELAXED "Relaxed SIMD kernels beside the SIMD128 ones" OFF)
option(LINNET_WASM_THREADS "Threads: a shared memory and a pool of workers" OFF)

set(LINNET_WASM_FLAGS -msimd128)
if(LINNET_WASM_RELAXED)
  list(APPEND LINNET_WASM_FLAGS -mrelaxed-simd)
endif()
if(LINNET_WASM_THREADS)
  list(APPEND LINNET_WASM_FLAGS -pthread)
endif()
target_compile_options(linnet_flags INTERFACE ${LINNET_WASM_FLAGS} -fno-rtti)
# Emscripten picks its libraries by what the linker is told.
target_link_options(linnet_flags INTERFACE ${LINNET_WASM_FLAGS} -fno-rtti)

file(GLOB LINNET_WASM_KERNELS CONFIGURE_DEPENDS core/kernels/wasm_simd128/*.cpp)
target_compile_definitions(linnet_core PRIVATE LINNET_HAVE_WASM_SIMD128=1)
if(LINNET_WASM_RELAXED)
  file(GLOB LINNET_WASM_RELAXED_KERNELS CONFIGURE_DEPENDS core/kernels/wasm_relaxed/*.cpp)
  list(APPEND LINNET_WASM_KERNELS ${LINNET_WASM_RELAXED_KERNELS})
  target_compile_definitions(linnet_core PRIVATE LINNET_HAVE_WASM_RELAXED=1)
endif()
target_sources(linnet_core PRIVATE ${LINNET_WASM_KERNELS})
