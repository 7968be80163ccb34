# Cross compiles for s390x Linux, which is big endian:
#   cmake -S csrc -B build -DCMAKE_TOOLCHAIN_FILE=csrc/cmake/zig-s390x.cmake -DMGK_ZIG=/path/to/zig
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(CMAKE_C_COMPILER_TARGET s390x-linux-musl)
set(CMAKE_SIZEOF_VOID_P 8)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
