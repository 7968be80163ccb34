# Cross compiles for 64-bit RISC-V Linux:
#   cmake -S csrc -B build -DCMAKE_TOOLCHAIN_FILE=csrc/cmake/zig-riscv64.cmake -DMGK_ZIG=/path/to/zig
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(CMAKE_C_COMPILER_TARGET riscv64-linux-musl)
set(CMAKE_SIZEOF_VOID_P 8)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
