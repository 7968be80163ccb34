/* Seeded random inputs (arguments: how many, and the first seed), or the files named. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static int run_file(const char *name)
{
    static uint8_t data[1 << 16];
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        printf("%s: cannot be read\n", name);
        return 1;
    }
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(data, size);
}

#if defined(__SANITIZE_ADDRESS__)
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static uint64_t current;

static void say_seed(void)
{
    fprintf(stderr, "again: fuzz 1 %llu\n", (unsigned long long)current);
}

int main(int count, char **arguments)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(say_seed);
#else
    (void)say_seed;
#endif
    uint64_t runs = 20000, seed = 1;
    if (count > 1 && (arguments[1][0] < '0' || arguments[1][0] > '9')) {
        for (int i = 1; i < count; i++) {
            if (run_file(arguments[i]) != 0) {
                return 1;
            }
        }
        return 0;
    }
    if (count > 1) {
        runs = strtoull(arguments[1], NULL, 10);
    }
    if (count > 2) {
        seed = strtoull(arguments[2], NULL, 10);
    }
    static uint8_t data[1024];
    for (uint64_t run = 0; run < runs; run++) {
        current = seed + run;
        uint64_t state = current * 0x9e3779b97f4a7c15u;
        for (size_t i = 0; i < sizeof data; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data[i] = (uint8_t)(state >> 32);
        }
        LLVMFuzzerTestOneInput(data, sizeof data);
    }
    printf("fuzz: %llu inputs from seed %llu\n", (unsigned long long)runs, (unsigned long long)seed);
    return 0;
}
