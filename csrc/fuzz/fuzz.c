/* Every public function with arbitrary arguments. Nothing is expected of their results but that they come: the
 * sanitizers judge. What a caller must promise is kept: an array is as long as its size says.
 *
 * With clang: -fsanitize=fuzzer,address,undefined. Without: with main.c it is a program that runs seeded random inputs
 * or the files named. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source s = {data, size};
    pool p = {.s = &s};
    (void)mgk_status_name((mgk_status)next_unsigned(&s, 16));
    (void)mgk_has_path((mgk_path)next_unsigned(&s, 9));
    (void)mgk_qconv2d_kernel_name(next_unsigned(&s, 9));
    (void)mgk_qconv2d_kernel_path(next_unsigned(&s, 9));
    switch (next_byte(&s) % 16) {
    case 0: fuzz_pack(&p); break;
    case 1: fuzz_thresholds(&p); break;
    case 2: fuzz_requantize(&p); break;
    case 3: fuzz_pools(&p); break;
    case 4: fuzz_add(&p); break;
    case 5: fuzz_linear(&p); break;
    case 6: fuzz_float(&p, 0); break;
    case 7: fuzz_float(&p, 1); break;
    case 8: fuzz_dsq(&p); break;
    default: fuzz_qconv2d(&p);
    }
    drain(&p);
    return 0;
}
