/* The tests of the integer convolution once more, every buffer between pages that cannot be touched. */
#if defined(__unix__)
#define _DEFAULT_SOURCE /* for anonymous memory */
#define MGK_GUARDED
#include "test_qconv2d.c"
#else
int main(void)
{
    return 0;
}
#endif
