/* Which paths this build has and this processor runs. */
#include "minigrad_kernels.h"

#include "has_neon.h"

#if defined(__x86_64__) && !defined(MGK_SIMDE)
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

/* With the byte and word instructions on vectors of every length, which kernels use beside it. */
static int runs_vnni(void)
{
    unsigned a, b, c, d;
    const unsigned needed = bit_AVX512BW | bit_AVX512VL;
    return runs_avx(0) && runs_avx(1) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & needed) == needed &&
           (c & bit_AVX512VNNI) != 0;
}
#endif

#if defined(__aarch64__)
/* Fields of the identification registers; Linux from 4.11 on lets programs read them. */
static int runs_dotprod(void)
{
#if defined(__ARM_FEATURE_DOTPROD)
    return 1;
#elif defined(__linux__)
    uint64_t features;
    __asm__("mrs %0, ID_AA64ISAR0_EL1" : "=r"(features));
    return ((features >> 44) & 15) != 0;
#else
    return 0;
#endif
}

static int runs_i8mm(void)
{
#if defined(__ARM_FEATURE_MATMUL_INT8)
    return runs_dotprod();
#elif defined(__linux__)
    uint64_t features;
    __asm__("mrs %0, ID_AA64ISAR1_EL1" : "=r"(features));
    return ((features >> 52) & 15) != 0 && runs_dotprod();
#else
    return 0;
#endif
}
#endif

int mgk_has_path(mgk_path path)
{
    switch (path) {
    case MGK_SCALAR: return 1;
#if MGK_HAS_NEON || defined(__aarch64__)
    case MGK_NEON: return 1;
#endif
#if defined(__aarch64__)
    case MGK_DOTPROD: return runs_dotprod();
    case MGK_I8MM: return runs_i8mm();
#endif
#if defined(MGK_SIMDE) /* as if this were the other machine */
    case MGK_DOTPROD: return 1;
#elif defined(__x86_64__)
    case MGK_AVX2: return runs_avx(0);
    case MGK_AVX512: return runs_avx(1);
    case MGK_VNNI: return runs_vnni();
#endif
    default: return 0;
    }
}
