/* MGK_HAS_NEON: 1 where this build has the NEON kernels of integers: AArch64, 32-bit ARM compiled for NEON, and, to run
 * them under the sanitizers of another machine, any with MGK_SIMDE. They read vectors as lanes of several widths, which
 * is for little endian; on big endian the scalar kernels stand alone. */
#ifndef MGK_HAS_NEON_H
#define MGK_HAS_NEON_H

#if defined(MGK_SIMDE) || defined(__AARCH64EL__) || (defined(__ARM_NEON) && defined(__ARMEL__))
#define MGK_HAS_NEON 1
#else
#define MGK_HAS_NEON 0
#endif

/* 1 where it has those of dot products too. */
#if defined(MGK_SIMDE) || defined(__AARCH64EL__)
#define MGK_HAS_DOTPROD 1
#else
#define MGK_HAS_DOTPROD 0
#endif

#endif
