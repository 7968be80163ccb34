/* Vectors of int32 for the instruction set this file is compiled for: MGK_X86 is MGK_AVX2 or MGK_VNNI, as a number.
 * The files of this folder are compiled once for each; X86(name) is the name of a symbol with the set's behind it. */
#ifndef MGK_QCONV_X86_VECTOR_H
#define MGK_QCONV_X86_VECTOR_H

#include <immintrin.h>
#include <string.h>

#include "qconv/epilogue.h"

#define INLINE static inline __attribute__((always_inline))

#if MGK_X86 == 6
#define X86(name) mgk_##name##_vnni
#define X86_NAME "vnni"
#define X86_PATH MGK_VNNI
enum { LANES = 16, BLOCK_VECTORS = 4 };
typedef __m512i vec;

INLINE vec load(const void *p)
{
    return _mm512_loadu_si512(p);
}
INLINE void store(void *p, vec x)
{
    _mm512_storeu_si512(p, x);
}
INLINE vec zero_vec(void)
{
    return _mm512_setzero_si512();
}
INLINE vec add(vec a, vec b)
{
    return _mm512_add_epi32(a, b);
}
INLINE vec subtract(vec a, vec b)
{
    return _mm512_sub_epi32(a, b);
}
INLINE vec exclusive_or(vec a, vec b)
{
    return _mm512_xor_si512(a, b);
}
/* x / 4 of multiples of 4 */
INLINE vec quarter(vec x)
{
    return _mm512_srai_epi32(x, 2);
}
/* count + 1 in the lanes where x > t */
INLINE vec count_greater(vec count, vec x, vec t)
{
    return _mm512_mask_add_epi32(count, _mm512_cmpgt_epi32_mask(x, t), count, _mm512_set1_epi32(1));
}
/* The low bytes, or halves, of all lanes. */
INLINE void store_bytes(uint8_t *p, vec x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(x));
}
INLINE void store_halves(int16_t *p, vec x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(x));
}

/* The same as int64 of half of the lanes. */
INLINE vec multiply_even(vec a, vec b)
{
    return _mm512_mul_epi32(a, b);
}
INLINE vec upper_halves(vec x)
{
    return _mm512_srli_epi64(x, 32);
}
INLINE vec join_halves(vec even, vec odd)
{
    return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}
INLINE vec broadcast64(int64_t x)
{
    return _mm512_set1_epi64(x);
}
INLINE vec add64(vec a, vec b)
{
    return _mm512_add_epi64(a, b);
}
INLINE vec subtract64(vec a, vec b)
{
    return _mm512_sub_epi64(a, b);
}
INLINE vec both(vec a, vec b)
{
    return _mm512_and_si512(a, b);
}
/* all ones where it holds */
INLINE vec equal64(vec a, vec b)
{
    return _mm512_maskz_set1_epi64(_mm512_cmpeq_epi64_mask(a, b), -1);
}
INLINE vec sign64(vec x)
{
    return _mm512_srai_epi64(x, 63);
}
INLINE vec shift_right64(vec x, vec shift)
{
    return _mm512_srav_epi64(x, shift);
}
INLINE vec clamp64(vec x, vec low, vec high)
{
    return _mm512_max_epi64(_mm512_min_epi64(x, high), low);
}

#else
#define X86(name) mgk_##name##_avx2
#define X86_NAME "avx2"
#define X86_PATH MGK_AVX2
enum { LANES = 8, BLOCK_VECTORS = 2 };
typedef __m256i vec;

INLINE vec load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
INLINE void store(void *p, vec x)
{
    _mm256_storeu_si256((__m256i *)p, x);
}
INLINE vec zero_vec(void)
{
    return _mm256_setzero_si256();
}
INLINE vec add(vec a, vec b)
{
    return _mm256_add_epi32(a, b);
}
INLINE vec subtract(vec a, vec b)
{
    return _mm256_sub_epi32(a, b);
}
INLINE vec exclusive_or(vec a, vec b)
{
    return _mm256_xor_si256(a, b);
}
/* x / 4 of multiples of 4 */
INLINE vec quarter(vec x)
{
    return _mm256_srai_epi32(x, 2);
}
/* count + 1 in the lanes where x > t */
INLINE vec count_greater(vec count, vec x, vec t)
{
    return _mm256_sub_epi32(count, _mm256_cmpgt_epi32(x, t));
}
/* The low bytes of all lanes, which are 0 to 255, or halves, which are int16: packing saturates. */
INLINE void store_bytes(uint8_t *p, vec x)
{
    const vec halves = _mm256_packus_epi32(x, x);
    const vec bytes = _mm256_packus_epi16(halves, halves);
    _mm_storel_epi64((__m128i *)(void *)p,
                     _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}
INLINE void store_halves(int16_t *p, vec x)
{
    const vec halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(x, x), 0x08);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(halves));
}

/* The same as int64 of half of the lanes. */
INLINE vec multiply_even(vec a, vec b)
{
    return _mm256_mul_epi32(a, b);
}
INLINE vec upper_halves(vec x)
{
    return _mm256_srli_epi64(x, 32);
}
INLINE vec join_halves(vec even, vec odd)
{
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
INLINE vec broadcast64(int64_t x)
{
    return _mm256_set1_epi64x(x);
}
INLINE vec add64(vec a, vec b)
{
    return _mm256_add_epi64(a, b);
}
INLINE vec subtract64(vec a, vec b)
{
    return _mm256_sub_epi64(a, b);
}
INLINE vec both(vec a, vec b)
{
    return _mm256_and_si256(a, b);
}
/* all ones where it holds */
INLINE vec equal64(vec a, vec b)
{
    return _mm256_cmpeq_epi64(a, b);
}
INLINE vec sign64(vec x)
{
    return _mm256_cmpgt_epi64(_mm256_setzero_si256(), x);
}
/* There is no arithmetic shift of 64 bits: ~(~x >> shift) of the negative ones. */
INLINE vec shift_right64(vec x, vec shift)
{
    const vec sign = sign64(x);
    return _mm256_xor_si256(_mm256_srlv_epi64(_mm256_xor_si256(x, sign), shift), sign);
}
INLINE vec clamp64(vec x, vec low, vec high)
{
    x = _mm256_blendv_epi8(x, high, _mm256_cmpgt_epi64(x, high));
    return _mm256_blendv_epi8(x, low, _mm256_cmpgt_epi64(low, x));
}
#endif

/* Output channels that are computed together, and int32 of them. */
enum { BLOCK_CHANNELS = LANES * BLOCK_VECTORS };

#endif
