/* Vectors of REAL for the width this file is compiled for (MGK_WIDE, see mgk_path), and the multiply-add of REAL.
 * float32: one fused operation. float64: a product and a sum, each rounded. */
#ifndef MGK_VECTOR_H
#define MGK_VECTOR_H

#include <string.h>

#if MGK_WIDE == 3
#include <immintrin.h>
#define VECTOR_BYTES 64
#define REGISTERS 32
#elif MGK_WIDE == 2
#include <immintrin.h>
#define VECTOR_BYTES 32
#define REGISTERS 16
#elif MGK_WIDE == 1
#include <arm_neon.h>
#define VECTOR_BYTES 16
#define REGISTERS 32
#else
#define VECTOR_BYTES sizeof(REAL)
#define REGISTERS 16
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES (VECTOR_BYTES / sizeof(REAL))

#if MGK_WIDE == 0
typedef REAL vec;
typedef REAL unaligned_vec;
#else
typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
/* For loads and stores at any address of a REAL. */
typedef REAL unaligned_vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
#endif

static inline vec load(const REAL *p)
{
    return *(const unaligned_vec *)p;
}
static inline void store(REAL *p, vec v)
{
    *(unaligned_vec *)p = v;
}

#if MGK_WIDE == 0
static inline vec broadcast(REAL x)
{
    return x;
}
#else
static inline vec broadcast(REAL x)
{
    return x - (vec){0};
} /* x - 0 keeps -0 */
#endif

#if !REAL_IS_FLOAT
static inline vec multiply_add(vec a, vec b, vec c)
{
    return c + a * b;
}
#elif MGK_WIDE == 3
static inline vec multiply_add(vec a, vec b, vec c)
{
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#elif MGK_WIDE == 2
static inline vec multiply_add(vec a, vec b, vec c)
{
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#elif MGK_WIDE == 1
static inline vec multiply_add(vec a, vec b, vec c)
{
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
#elif defined(__FMA__) || defined(__aarch64__)
static inline vec multiply_add(vec a, vec b, vec c)
{
    return __builtin_fmaf(a, b, c);
}
#else
/* A fused multiply-add for processors without one. The product of two floats is exact in double; the sum is rounded
 * to odd (inexact results get an odd last bit), so that the second rounding, to float, sees which side it is on. */
static inline vec multiply_add(vec a, vec b, vec c)
{
    const double product = (double)a * (double)b;
    const double addend = (double)c;
    double sum = product + addend;
    const double part = sum - product;
    const double error = (product - (sum - part)) + (addend - part);
    int64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if ((bits & 1) == 0 && (error < 0.0 || error > 0.0)) {
        bits += (error > 0.0) == (sum > 0.0) ? 1 : -1;
        memcpy(&sum, &bits, sizeof bits);
    }
    return (float)sum;
}
#endif

#endif
