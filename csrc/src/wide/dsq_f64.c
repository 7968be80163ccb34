/* DSQ in double, compiled once for each vector width. */
#define REAL double
#define FUNCTION_OF(name, wide) mgk_dsq_f64_##name##_##wide
#define FUNCTION_AT(name, wide) FUNCTION_OF(name, wide)
#define FUNCTION(name) FUNCTION_AT(name, MGK_WIDE)

#include "dsq_wide.h"
