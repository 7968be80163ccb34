/* Arguments from bytes, and memory for them. */
#include "fuzz.h"

#include <stdlib.h>

uint8_t next_byte(source *s)
{
    if (s->left == 0) {
        return 0;
    }
    s->left--;
    return *s->data++;
}

uint64_t next_word(source *s)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) {
        word = word << 8 | next_byte(s);
    }
    return word;
}

size_t next_size(source *s, size_t sensible)
{
    const uint8_t kind = next_byte(s);
    if (kind < 252) {
        return 1 + kind % sensible;
    }
    switch (next_byte(s) % 6) {
    case 0: return 0;
    case 1: return SIZE_MAX;
    case 2: return SIZE_MAX / 2 + next_byte(s);
    case 3: return (size_t)1 << (next_byte(s) % (8 * sizeof(size_t)));
    case 4: return SIZE_MAX / ((size_t)next_byte(s) + 1);
    default: return (size_t)next_word(s);
    }
}

unsigned next_unsigned(source *s, unsigned sensible)
{
    const uint8_t kind = next_byte(s);
    return kind < 250 ? kind % sensible : kind < 253 ? kind - 244u : (unsigned)next_word(s);
}

void drain(pool *p)
{
    while (p->count > 0) {
        free(p->memory[--p->count]);
    }
}

void *make(pool *p, size_t size)
{
    const uint8_t kind = next_byte(p->s);
    const size_t shift = kind < 4 ? kind : 0;
    if (kind == 255 || size > MOST || p->count == BUFFERS) {
        return NULL;
    }
    uint8_t *memory = malloc(size + shift + (size + shift == 0));
    if (memory == NULL) {
        return NULL;
    }
    p->memory[p->count++] = memory;
    const unsigned mask = next_byte(p->s) % 4 == 0 ? 0xff : (1u << (next_byte(p->s) % 8)) - 1u;
    uint32_t noise = 1u + next_byte(p->s);
    for (size_t i = 0; i < size; i++) {
        noise = noise * 1664525u + 1013904223u;
        memory[shift + i] = (uint8_t)((i < 16 ? next_byte(p->s) : noise >> 24) & mask);
    }
    return memory + shift;
}

size_t bytes(size_t a, size_t b, size_t size)
{
    if (a > MOST || b > MOST) {
        return MOST + 1;
    }
    return a * b * size;
}

void *maybe_inside(source *s, void *own, void *other)
{
    return next_byte(s) > 250 && other != NULL ? other : own;
}

mgk_conv2d next_conv(source *s)
{
    mgk_conv2d c = {.images = next_size(s, 2), .height = next_size(s, 9), .width = next_size(s, 12)};
    c.in_channels = next_size(s, 40);
    c.kernel_height = next_size(s, 3);
    c.kernel_width = next_byte(s) % 4 != 0 ? c.kernel_height : next_size(s, 5);
    c.out_channels = next_byte(s) % 8 == 0 ? c.in_channels : next_size(s, 40);
    c.stride_y = next_size(s, 2);
    c.stride_x = next_byte(s) % 4 != 0 ? c.stride_y : next_size(s, 3);
    size_t *const pads[] = {&c.pad_top, &c.pad_bottom, &c.pad_left, &c.pad_right};
    for (int i = 0; i < 4; i++) {
        *pads[i] = next_size(s, 3) - 1;
    }
    c.dilation_y = next_byte(s) % 4 != 0 ? 1 : next_size(s, 3);
    c.dilation_x = next_byte(s) % 4 != 0 ? 1 : next_size(s, 3);
    return c;
}

int32_t *make_thresholds(pool *p, size_t channels, unsigned bits)
{
    const size_t levels = bits >= 1 && bits <= 8 ? ((size_t)1 << bits) - 1 : 1;
    int32_t *thresholds = make(p, bytes(channels, levels, sizeof(int32_t)));
    if (thresholds != NULL && (uintptr_t)thresholds % sizeof(int32_t) == 0 && next_byte(p->s) < 240) {
        for (size_t i = 0; i < channels * levels; i++) {
            thresholds[i] = (int32_t)(i % levels * 3) - next_byte(p->s);
        }
        for (size_t i = 0; i < channels * levels; i++) {
            if (i % levels > 0 && thresholds[i] < thresholds[i - 1]) {
                thresholds[i] = thresholds[i - 1];
            }
        }
    }
    return thresholds;
}

int8_t *make_directions(pool *p, size_t channels)
{
    int8_t *direction = make(p, bytes(channels, 1, 1));
    for (size_t c = 0; direction != NULL && c < channels && next_byte(p->s) < 250; c++) {
        direction[c] = (int8_t)(1 - (int)(next_byte(p->s) % 3));
    }
    return direction;
}

mgk_epilogue next_epilogue(pool *p, size_t channels)
{
    source *s = p->s;
    mgk_epilogue e = {.output = (mgk_output)next_unsigned(s, 4), .bits = 1 + next_unsigned(s, 4)};
    if (e.output == MGK_CODES) {
        e.thresholds = make_thresholds(p, channels, e.bits);
        e.direction = make_directions(p, channels);
    } else if (e.output != MGK_ACCUMULATORS) {
        e.bias = next_byte(s) % 2 == 0 ? NULL : make(p, bytes(channels, 1, sizeof(int32_t)));
        e.multiplier = make(p, bytes(channels, 1, sizeof(int32_t)));
        e.shift = make(p, bytes(channels, 1, 1));
        e.rounding = (mgk_rounding)next_unsigned(s, 3);
        e.zero = (int32_t)next_word(s);
        e.low = next_byte(s) < 250 ? 0 : (int32_t)next_word(s);
        e.high = next_byte(s) < 250 ? next_byte(s) : (int32_t)next_word(s);
    }
    return e;
}
