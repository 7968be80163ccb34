/* Depthwise convolutions in double, compiled once for each vector width. */
#define REAL double
#define REAL_IS_FLOAT 0
#define FUNCTION_OF(name, wide) mgk_depthwise_f64_##name##_##wide
#define FUNCTION_AT(name, wide) FUNCTION_OF(name, wide)
#define FUNCTION(name) FUNCTION_AT(name, MGK_WIDE)

#include "depthwise_float_wide.h"
#include "depthwise_weight_wide.h"
