/* Convolutions in float, compiled once for each vector width. */
#define REAL float
#define REAL_IS_FLOAT 1
#define FUNCTION_OF(name, wide) mgk_conv2d_f32_##name##_##wide
#define FUNCTION_AT(name, wide) FUNCTION_OF(name, wide)
#define FUNCTION(name) FUNCTION_AT(name, MGK_WIDE)

#include "conv2d_float_wide.h"
