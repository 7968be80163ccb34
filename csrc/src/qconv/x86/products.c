/* The products; products.h says of what. */
#include "qconv/x86/products.h"

INLINE int32_t read_quad(const uint8_t *bytes)
{
    int32_t quad;
    memcpy(&quad, bytes, sizeof quad);
    return quad;
}

/* Compilers keep sums in registers only where their loops are unrolled early: not nested, and when told to. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif

/* sum + the products of 4 bytes (VNNI), or of 2 int16 (AVX2), in each lane. Modulo 2^32: neither saturates. */
#if MGK_X86 == 6
INLINE vec multiply_add(vec sum, int32_t activation, vec weight)
{
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(activation), weight);
}
#else
INLINE vec multiply_add(vec sum, int32_t activation, vec weight)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_set1_epi32(activation), weight));
}
#endif

/* 24 sums, 4 weights and an activation in 32 registers; with AVX2 12 sums, 2 weights, an activation and a product in
 * 16. */
INLINE void multiply(const size_t rows, const size_t vectors, const products *job, const uint8_t *const *row,
                     int32_t *sums)
{
    const uint8_t *weights = job->weights;
    vec sum[MOST_ROWS * BLOCK_VECTORS];
    UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        sum[i] = load(job->start + i % vectors * LANES);
    }
    for (size_t run = 0; run < job->runs; run++) {
        const uint8_t *from[MOST_ROWS];
        for (size_t r = 0; r < rows; r++) {
            from[r] = row[r] + job->run_from[run];
        }
        for (size_t quad = 0; quad < job->quads; quad++) {
            vec weight[BLOCK_VECTORS];
            for (size_t v = 0; v < vectors; v++) {
                weight[v] = load(weights + v * sizeof(vec));
            }
            UNROLL
            for (size_t i = 0; i < rows * vectors; i++) {
                sum[i] = multiply_add(sum[i], read_quad(from[i / vectors] + QUAD * quad), weight[i % vectors]);
            }
            weights += vectors * sizeof(vec);
        }
    }
    UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        store(sums + i / vectors * job->pitch + i % vectors * LANES, sum[i]);
    }
}

#if MGK_X86 == 2
/* 12 sums of 16 bits, 2 weights, an activation and a product in 16 registers; sums of 32 bits are in memory. */
INLINE void multiply_bytes(const size_t rows, const size_t vectors, const products *job, const uint8_t *const *row,
                           int32_t *sums)
{
    const uint8_t *weights = job->weights;
    vec sum[MOST_ROWS * BLOCK_VECTORS];
    UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        sum[i] = zero_vec();
        store(sums + i / vectors * job->pitch + i % vectors * LANES, load(job->start + i % vectors * LANES));
    }
    size_t left = job->flush;
    for (size_t run = 0; run < job->runs; run++) {
        const uint8_t *from[MOST_ROWS];
        for (size_t r = 0; r < rows; r++) {
            from[r] = row[r] + job->run_from[run];
        }
        for (size_t begin = 0; begin < job->quads;) {
            const size_t count = job->quads - begin < left ? job->quads - begin : left;
            for (size_t quad = begin; quad < begin + count; quad++) {
                vec weight[BLOCK_VECTORS];
                for (size_t v = 0; v < vectors; v++) {
                    weight[v] = load(weights + v * sizeof(vec));
                }
                UNROLL
                for (size_t i = 0; i < rows * vectors; i++) {
                    const vec activation = _mm256_set1_epi32(read_quad(from[i / vectors] + QUAD * quad));
                    sum[i] = _mm256_add_epi16(sum[i], _mm256_maddubs_epi16(activation, weight[i % vectors]));
                }
                weights += vectors * sizeof(vec);
            }
            begin += count;
            left -= count;
            if (left == 0 || (begin == job->quads && run + 1 == job->runs)) {
                UNROLL
                for (size_t i = 0; i < rows * vectors; i++) {
                    int32_t *to = sums + i / vectors * job->pitch + i % vectors * LANES;
                    store(to, add(load(to), _mm256_madd_epi16(sum[i], _mm256_set1_epi16(1))));
                    sum[i] = zero_vec();
                }
                left = job->flush;
            }
        }
    }
}
#endif

/* One function for each number of rows and vectors, which are constants there. */
#define FUNCTION(multiply, rows, vectors)                                                                    \
    static void multiply##_##rows##_##vectors(const products *job, const uint8_t *const *row, int32_t *sums) \
    {                                                                                                        \
        multiply(rows, vectors, job, row, sums);                                                             \
    }
#define FUNCTIONS(multiply, vectors) \
    FUNCTION(multiply, 1, vectors)   \
    FUNCTION(multiply, 2, vectors)   \
    FUNCTION(multiply, 3, vectors)   \
    FUNCTION(multiply, 4, vectors)   \
    FUNCTION(multiply, 5, vectors)   \
    FUNCTION(multiply, 6, vectors)
#define ENTRIES(multiply, vectors)                                           \
    {multiply##_1_##vectors, multiply##_2_##vectors, multiply##_3_##vectors, \
     multiply##_4_##vectors, multiply##_5_##vectors, multiply##_6_##vectors}

typedef void function(const products *job, const uint8_t *const *row, int32_t *sums);

FUNCTIONS(multiply, 1)
FUNCTIONS(multiply, 2)
#if MGK_X86 == 6
FUNCTIONS(multiply, 3)
FUNCTIONS(multiply, 4)
static function *const table[BLOCK_VECTORS][MOST_ROWS] = {ENTRIES(multiply, 1), ENTRIES(multiply, 2),
                                                          ENTRIES(multiply, 3), ENTRIES(multiply, 4)};
#else
FUNCTIONS(multiply_bytes, 1)
FUNCTIONS(multiply_bytes, 2)
static function *const table[BLOCK_VECTORS][MOST_ROWS] = {ENTRIES(multiply, 1), ENTRIES(multiply, 2)};
static function *const table_bytes[BLOCK_VECTORS][MOST_ROWS] = {ENTRIES(multiply_bytes, 1), ENTRIES(multiply_bytes, 2)};
#endif

void X86(products)(const products *job, size_t rows, size_t vectors, const uint8_t *const *row, int32_t *sums)
{
#if MGK_X86 == 2
    if (job->flush != 0) {
        table_bytes[vectors - 1][rows - 1](job, row, sums);
        return;
    }
#endif
    table[vectors - 1][rows - 1](job, row, sums);
}
