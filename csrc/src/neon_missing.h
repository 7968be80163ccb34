/* The intrinsics of AArch64 that 32-bit ARM lacks, or old compilers for it, made from those it has. Only neon.h includes
 * this. Each has the name of the intrinsic it stands for, through a macro: a compiler may know some of them. */
#ifndef MGK_NEON_MISSING_H
#define MGK_NEON_MISSING_H

#define MGK_MISSING static inline __attribute__((always_inline, unused))

/* ---------------------------------------------------------------- upper halves */

#undef vmovl_high_s8
#define vmovl_high_s8(a) vmovl_s8(vget_high_s8(a))
#undef vmovl_high_u8
#define vmovl_high_u8(a) vmovl_u8(vget_high_u8(a))
#undef vmovl_high_s16
#define vmovl_high_s16(a) vmovl_s16(vget_high_s16(a))
#undef vmovl_high_u16
#define vmovl_high_u16(a) vmovl_u16(vget_high_u16(a))
#undef vaddw_high_s16
#define vaddw_high_s16(a, b) vaddw_s16(a, vget_high_s16(b))
#undef vmull_high_s8
#define vmull_high_s8(a, b) vmull_s8(vget_high_s8(a), vget_high_s8(b))
#undef vmull_high_s16
#define vmull_high_s16(a, b) vmull_s16(vget_high_s16(a), vget_high_s16(b))
#undef vmull_high_s32
#define vmull_high_s32(a, b) vmull_s32(vget_high_s32(a), vget_high_s32(b))
#undef vmlal_high_s8
#define vmlal_high_s8(sum, a, b) vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b))
#undef vmlal_high_u8
#define vmlal_high_u8(sum, a, b) vmlal_u8(sum, vget_high_u8(a), vget_high_u8(b))
#undef vmlal_high_s16
#define vmlal_high_s16(sum, a, b) vmlal_s16(sum, vget_high_s16(a), vget_high_s16(b))
#undef vmlsl_high_s8
#define vmlsl_high_s8(sum, a, b) vmlsl_s8(sum, vget_high_s8(a), vget_high_s8(b))
#undef vmovn_high_s16
#define vmovn_high_s16(low, a) vcombine_s8(low, vmovn_s16(a))
#undef vmovn_high_u16
#define vmovn_high_u16(low, a) vcombine_u8(low, vmovn_u16(a))
#undef vmovn_high_s32
#define vmovn_high_s32(low, a) vcombine_s16(low, vmovn_s32(a))
#undef vmovn_high_u32
#define vmovn_high_u32(low, a) vcombine_u16(low, vmovn_u32(a))
#undef vqmovn_high_s64
#define vqmovn_high_s64(low, a) vcombine_s32(low, vqmovn_s64(a))
#undef vqmovn_high_s32
#define vqmovn_high_s32(low, a) vcombine_s16(low, vqmovn_s32(a))
#undef vqmovun_high_s16
#define vqmovun_high_s16(low, a) vcombine_u8(low, vqmovun_s16(a))
#undef vsubhn_high_s16
#define vsubhn_high_s16(low, a, b) vcombine_s8(low, vsubhn_s16(a, b))

/* ---------------------------------------------------------------- comparisons with zero, lanes of 64 bits */

#undef vcltzq_s32
#define vcltzq_s32(a) vcltq_s32(a, vdupq_n_s32(0))
#undef vceqzq_s32
#define vceqzq_s32(a) vceqq_s32(a, vdupq_n_s32(0))
#undef vnegq_s64
#define vnegq_s64(a) vsubq_s64(vdupq_n_s64(0), a)

#undef vceqq_s64
#define vceqq_s64 mgk_vceqq_s64
MGK_MISSING uint64x2_t mgk_vceqq_s64(int64x2_t a, int64x2_t b)
{
    const uint32x4_t halves = vceqq_u32(vreinterpretq_u32_s64(a), vreinterpretq_u32_s64(b));
    return vreinterpretq_u64_u32(vandq_u32(halves, vrev64q_u32(halves))); /* both halves of a lane */
}

/* ---------------------------------------------------------------- by a lane */

#undef vmlaq_lane_s16
#define vmlaq_lane_s16(sum, a, v, lane) vmlaq_n_s16(sum, a, vget_lane_s16(v, lane))
#undef vmulq_laneq_s16
#define vmulq_laneq_s16(a, v, lane) vmulq_n_s16(a, vgetq_lane_s16(v, lane))
#undef vmlaq_laneq_s16
#define vmlaq_laneq_s16(sum, a, v, lane) vmlaq_n_s16(sum, a, vgetq_lane_s16(v, lane))

/* ---------------------------------------------------------------- across lanes */

#undef vpaddq_s16
#define vpaddq_s16(a, b) \
    vcombine_s16(vpadd_s16(vget_low_s16(a), vget_high_s16(a)), vpadd_s16(vget_low_s16(b), vget_high_s16(b)))
#undef vpaddq_s32
#define vpaddq_s32(a, b) \
    vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)))
#undef vuzp1q_s16
#define vuzp1q_s16(a, b) (vuzpq_s16(a, b).val[0])

#undef vaddvq_s32
#define vaddvq_s32 mgk_vaddvq_s32
MGK_MISSING int32_t mgk_vaddvq_s32(int32x4_t a)
{
    const int32x2_t two = vadd_s32(vget_low_s32(a), vget_high_s32(a));
    return vget_lane_s32(vpadd_s32(two, two), 0);
}

#undef vaddvq_u32
#define vaddvq_u32 mgk_vaddvq_u32
MGK_MISSING uint32_t mgk_vaddvq_u32(uint32x4_t a)
{
    const uint32x2_t two = vadd_u32(vget_low_u32(a), vget_high_u32(a));
    return vget_lane_u32(vpadd_u32(two, two), 0);
}

#undef vaddlvq_u16
#define vaddlvq_u16 mgk_vaddlvq_u16
MGK_MISSING uint32_t mgk_vaddlvq_u16(uint16x8_t a)
{
    return mgk_vaddvq_u32(vpaddlq_u16(a));
}

#undef vaddvq_u16
#define vaddvq_u16(a) ((uint16_t)mgk_vaddlvq_u16(a))

#undef vaddv_u8
#define vaddv_u8 mgk_vaddv_u8
MGK_MISSING uint8_t mgk_vaddv_u8(uint8x8_t a)
{
    const uint16x4_t four = vpaddl_u8(a);
    const uint16x4_t two = vpadd_u16(four, four);
    return (uint8_t)vget_lane_u16(vpadd_u16(two, two), 0);
}

#undef vmaxvq_u32
#define vmaxvq_u32 mgk_vmaxvq_u32
MGK_MISSING uint32_t mgk_vmaxvq_u32(uint32x4_t a)
{
    const uint32x2_t two = vmax_u32(vget_low_u32(a), vget_high_u32(a));
    return vget_lane_u32(vpmax_u32(two, two), 0);
}

#undef vmaxvq_u16
#define vmaxvq_u16 mgk_vmaxvq_u16
MGK_MISSING uint16_t mgk_vmaxvq_u16(uint16x8_t a)
{
    const uint16x4_t four = vmax_u16(vget_low_u16(a), vget_high_u16(a));
    const uint16x4_t two = vpmax_u16(four, four);
    return vget_lane_u16(vpmax_u16(two, two), 0);
}

/* ---------------------------------------------------------------- loads and stores of several vectors */

#undef vst4q_u64
#define vst4q_u64 mgk_vst4q_u64
MGK_MISSING void mgk_vst4q_u64(uint64_t *p, uint64x2x4_t v)
{
    vst1q_u64(p, vcombine_u64(vget_low_u64(v.val[0]), vget_low_u64(v.val[1])));
    vst1q_u64(p + 2, vcombine_u64(vget_low_u64(v.val[2]), vget_low_u64(v.val[3])));
    vst1q_u64(p + 4, vcombine_u64(vget_high_u64(v.val[0]), vget_high_u64(v.val[1])));
    vst1q_u64(p + 6, vcombine_u64(vget_high_u64(v.val[2]), vget_high_u64(v.val[3])));
}

#undef vst4q_s64
#define vst4q_s64 mgk_vst4q_s64
MGK_MISSING void mgk_vst4q_s64(int64_t *p, int64x2x4_t v)
{
    const uint64x2x4_t u = {{vreinterpretq_u64_s64(v.val[0]), vreinterpretq_u64_s64(v.val[1]),
                             vreinterpretq_u64_s64(v.val[2]), vreinterpretq_u64_s64(v.val[3])}};
    mgk_vst4q_u64((uint64_t *)p, u);
}

#undef vld1q_s8_x4
#define vld1q_s8_x4 mgk_vld1q_s8_x4
MGK_MISSING int8x16x4_t mgk_vld1q_s8_x4(const int8_t *p)
{
    const int8x16x4_t all = {{vld1q_s8(p), vld1q_s8(p + 16), vld1q_s8(p + 32), vld1q_s8(p + 48)}};
    return all;
}

#undef vld1q_s16_x4
#define vld1q_s16_x4 mgk_vld1q_s16_x4
MGK_MISSING int16x8x4_t mgk_vld1q_s16_x4(const int16_t *p)
{
    const int16x8x4_t all = {{vld1q_s16(p), vld1q_s16(p + 8), vld1q_s16(p + 16), vld1q_s16(p + 24)}};
    return all;
}

#undef vld1q_u8_x4
#define vld1q_u8_x4 mgk_vld1q_u8_x4
MGK_MISSING uint8x16x4_t mgk_vld1q_u8_x4(const uint8_t *p)
{
    const uint8x16x4_t all = {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
    return all;
}

#undef vld2q_dup_s16
#define vld2q_dup_s16 mgk_vld2q_dup_s16
MGK_MISSING int16x8x2_t mgk_vld2q_dup_s16(const int16_t *p)
{
    const int16x8x2_t all = {{vld1q_dup_s16(p), vld1q_dup_s16(p + 1)}};
    return all;
}

#undef vld3q_dup_s16
#define vld3q_dup_s16 mgk_vld3q_dup_s16
MGK_MISSING int16x8x3_t mgk_vld3q_dup_s16(const int16_t *p)
{
    const int16x8x3_t all = {{vld1q_dup_s16(p), vld1q_dup_s16(p + 1), vld1q_dup_s16(p + 2)}};
    return all;
}

#undef vld4q_dup_s16
#define vld4q_dup_s16 mgk_vld4q_dup_s16
MGK_MISSING int16x8x4_t mgk_vld4q_dup_s16(const int16_t *p)
{
    const int16x8x4_t all = {{vld1q_dup_s16(p), vld1q_dup_s16(p + 1), vld1q_dup_s16(p + 2), vld1q_dup_s16(p + 3)}};
    return all;
}

#undef vld4q_dup_u8
#define vld4q_dup_u8 mgk_vld4q_dup_u8
MGK_MISSING uint8x16x4_t mgk_vld4q_dup_u8(const uint8_t *p)
{
    const uint8x16x4_t all = {{vld1q_dup_u8(p), vld1q_dup_u8(p + 1), vld1q_dup_u8(p + 2), vld1q_dup_u8(p + 3)}};
    return all;
}

#if defined(MGK_SIMDE)
/* Missing in SIMDe 0.7.4. */
#undef vsliq_n_u8
#define vsliq_n_u8(a, b, n) vorrq_u8(vandq_u8(a, vdupq_n_u8((1u << (n)) - 1u)), vshlq_n_u8(b, n))
#undef vsli_n_u8
#define vsli_n_u8(a, b, n) vorr_u8(vand_u8(a, vdup_n_u8((1u << (n)) - 1u)), vshl_n_u8(b, n))
#endif

#endif
