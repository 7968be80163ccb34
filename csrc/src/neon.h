/* The NEON intrinsics, wherever MGK_HAS_NEON is 1, and what keeps compilers from rearranging them. */
#ifndef MGK_NEON_H
#define MGK_NEON_H

#include "has_neon.h"

#if MGK_HAS_NEON
#if defined(MGK_SIMDE)
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>
#else
#include <arm_neon.h>
#endif

#if !defined(__aarch64__)
#include "neon_missing.h"
#endif

/* 1: inner loops are assembly of AArch64; 0: the same loops in intrinsics. */
#if !defined(__AARCH64EL__)
#undef MGK_ASM
#define MGK_ASM 0
#elif !defined(MGK_ASM)
#define MGK_ASM 1
#endif

/* Has the compiler believe that a vector changes here. */
#if defined(MGK_SIMDE)
#define MGK_TOUCH(vector) ((void)(vector))
#else
#define MGK_TOUCH(vector) __asm__("" : "+w"(vector))
#endif
#endif

#endif
