/* Memory between pages that cannot be touched: most of it ends where they begin, the rest begins where they end. */
#ifndef MGK_TEST_GUARDED_H
#define MGK_TEST_GUARDED_H

#include <sys/mman.h>
#include <unistd.h>

enum { GUARDED = 64 };

static struct {
    uint8_t *memory, *pages;
    size_t length;
} guarded[GUARDED];

static inline void *allocate(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inner = (size + page - 1) / page * page;
    uint8_t *pages = mmap(NULL, inner + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t slot = 0;
    while (slot < GUARDED && guarded[slot].pages != NULL) {
        slot++;
    }
    if (pages == MAP_FAILED || slot == GUARDED || mprotect(pages, page, PROT_NONE) != 0 ||
        mprotect(pages + page + inner, page, PROT_NONE) != 0) {
        printf("out of memory\n");
        exit(EXIT_FAILURE);
    }
    guarded[slot].pages = pages;
    guarded[slot].length = inner + 2 * page;
    guarded[slot].memory = pages + page + (random_below(4) > 0 ? inner - size : 0);
    return guarded[slot].memory;
}

static inline void release(void *memory)
{
    for (size_t slot = 0; slot < GUARDED && memory != NULL; slot++) {
        if (guarded[slot].memory == memory) {
            munmap(guarded[slot].pages, guarded[slot].length);
            guarded[slot].pages = guarded[slot].memory = NULL;
            return;
        }
    }
}

#endif
