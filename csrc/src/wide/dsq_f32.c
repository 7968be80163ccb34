/* DSQ in float, compiled once for each vector width. */
#define REAL float
#define FUNCTION_OF(name, wide) mgk_dsq_f32_##name##_##wide
#define FUNCTION_AT(name, wide) FUNCTION_OF(name, wide)
#define FUNCTION(name) FUNCTION_AT(name, MGK_WIDE)

#include "dsq_wide.h"
