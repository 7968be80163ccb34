# Cross compiles for 32-bit ARM Linux with NEON:
#   cmake -S csrc -B build -DCMAKE_TOOLCHAIN_FILE=csrc/cmake/zig-arm.cmake -DMGK_ZIG=/path/to/zig
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER_TARGET arm-linux-musleabihf)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex_a7")
set(CMAKE_SIZEOF_VOID_P 4)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
# Divisions of integers are functions of the compiler's runtime there, which is linked in.
set(CMAKE_SHARED_LINKER_FLAGS_INIT "")
