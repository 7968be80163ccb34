# What the toolchain files share that cross compile with zig, e.g. that of the Python package ziglang. Each sets
# CMAKE_SYSTEM_PROCESSOR and CMAKE_C_COMPILER_TARGET.
set(CMAKE_SYSTEM_NAME Linux)

find_program(MGK_ZIG zig REQUIRED)
set(CMAKE_C_COMPILER ${MGK_ZIG} cc)

# With a target CMake identifies the compiler by an object file, and the next two skip its other trial programs:
# linking one would first build a whole libc, in a minute.
set(CMAKE_C_COMPILER_WORKS TRUE)
set(CMAKE_C_ABI_COMPILED TRUE)

# The library needs no libc but memcpy and the like, which whoever loads it provides.
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-nostdlib")

# Archives by zig as well: there may be no other archiver.
set(CMAKE_C_ARCHIVE_CREATE "${MGK_ZIG} ar qc <TARGET> <OBJECTS>")
set(CMAKE_C_ARCHIVE_FINISH "${MGK_ZIG} ranlib <TARGET>")
