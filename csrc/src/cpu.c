/* Which paths this build has and this processor runs. */
#include "minigrad_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Bits of XCR0: the register files that the operating system saves on a switch of tasks. */
enum { SAVES_AVX = 0x06, SAVES_AVX512 = 0xe6 };

static unsigned saved_registers(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int runs_avx(int wide)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA)) {
        return 0;
    }
    const unsigned needed = wide ? SAVES_AVX512 : SAVES_AVX;
    if ((saved_registers() & needed) != needed || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return 0;
    }
    return (b & (wide ? bit_AVX512F : bit_AVX2)) != 0;
}
#endif

int mgk_has_path(mgk_path path)
{
    switch (path) {
    case MGK_SCALAR: return 1;
#if defined(__aarch64__)
    case MGK_NEON: return 1;
#endif
#if defined(__x86_64__)
    case MGK_AVX2: return runs_avx(0);
    case MGK_AVX512: return runs_avx(1);
#endif
    default: return 0;
    }
}
