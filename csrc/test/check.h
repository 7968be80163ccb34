/* Assertions that say what failed, and a seeded generator. One translation unit a test program. */
#ifndef MGK_TEST_CHECK_H
#define MGK_TEST_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "minigrad_kernels.h"

static int check_failures = 0;

/* Both sides are shown as integers, with where they were compared. */
#define CHECK_EQUAL(expected, got) check_equal(__FILE__, __LINE__, #got, (int64_t)(expected), (int64_t)(got))
#define CHECK(condition) check_equal(__FILE__, __LINE__, #condition, 1, (condition) ? 1 : 0)

static inline void check_equal(const char *file, int line, const char *what, int64_t expected, int64_t got)
{
    if (expected != got) {
        check_failures++;
        printf("%s:%d: %s: expected %" PRId64 ", got %" PRId64 "\n", file, line, what, expected, got);
    }
}

#define CHECK_STATUS(expected, call) check_status(__FILE__, __LINE__, #call, expected, call)

static inline void check_status(const char *file, int line, const char *what, mgk_status expected, mgk_status got)
{
    if (expected != got) {
        check_failures++;
        printf("%s:%d: %s: expected %s, got %s\n", file, line, what, mgk_status_name(expected), mgk_status_name(got));
    }
}

/* What main returns. */
static inline int check_result(const char *name)
{
    printf("%s: %s, %d failures\n", name, check_failures == 0 ? "passed" : "FAILED", check_failures);
    return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* splitmix64 */
static uint64_t random_state = 20240229;

static inline uint64_t random_bits(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint32_t random_below(uint32_t limit)
{
    return (uint32_t)(random_bits() % limit);
}

/* Memory of exactly this size, so that the address sanitizer sees one byte beyond it; release frees it. */
#ifdef MGK_GUARDED
#include "guarded.h"
#else
static inline void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        printf("out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static inline void release(void *memory)
{
    free(memory);
}
#endif

static inline void fill_codes(uint8_t *codes, size_t count, unsigned bits)
{
    for (size_t i = 0; i < count; i++) {
        codes[i] = (uint8_t)random_below(1u << bits);
    }
}

#endif
