/* Names of statuses, and the digest of the header this build was made from. */
#include "minigrad_kernels.h"

const char *mgk_status_name(mgk_status status)
{
    switch (status) {
    case MGK_OK: return "MGK_OK";
    case MGK_NULL_POINTER: return "MGK_NULL_POINTER";
    case MGK_BAD_SHAPE: return "MGK_BAD_SHAPE";
    case MGK_BAD_BITS: return "MGK_BAD_BITS";
    case MGK_BAD_RANGE: return "MGK_BAD_RANGE";
    case MGK_BUFFER_TOO_SMALL: return "MGK_BUFFER_TOO_SMALL";
    case MGK_BAD_PATH: return "MGK_BAD_PATH";
    case MGK_BAD_CODE: return "MGK_BAD_CODE";
    case MGK_OVERFLOW: return "MGK_OVERFLOW";
    case MGK_BAD_VALUE: return "MGK_BAD_VALUE";
    case MGK_OVERLAP: return "MGK_OVERLAP";
    case MGK_MISALIGNED: return "MGK_MISALIGNED";
    }
    return "unknown";
}

const char *mgk_header_digest(void)
{
    return MGK_HEADER_DIGEST;
}
