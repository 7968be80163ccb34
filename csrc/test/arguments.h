/* Functions as tables of their arguments, and every bad argument tried: the status, and nothing written. */
#ifndef MGK_TEST_ARGUMENTS_H
#define MGK_TEST_ARGUMENTS_H

#include <string.h>

#include "check.h"

typedef union argument {
    size_t n;
    void *p;
} argument;

typedef enum kind {
    NONE,   /* behind the last one */
    PATH,   /* an unknown one is MGK_BAD_PATH */
    SIZE,   /* zero, huge, and two whose product overflows are MGK_BAD_SHAPE */
    COUNT,  /* of elements; a huge one is MGK_BAD_SHAPE, zero may be */
    BYTES,  /* of a buffer; one less is MGK_BUFFER_TOO_SMALL */
    BITS,   /* 0 and 9 are MGK_BAD_BITS */
    BEGIN,  /* of a range; beyond its end is MGK_BAD_RANGE */
    END,    /* of a range; beyond the last one is MGK_BAD_RANGE */
    NUMBER, /* left as it is */
    CONV,   /* mgk_conv2d, whose fields are sizes */
    COPIED, /* the same, which the call copies into what it gives the function */
    INPUT,
    OPTIONAL, /* an input that may be NULL */
    OUTPUT
} kind;

typedef struct parameter {
    kind kind;
    size_t n;            /* the number, or bytes of an array */
    size_t alignment;    /* 0 and 1: any */
    const void *content; /* of an input; NULL: zeros */
} parameter;

enum { MOST_PARAMETERS = 16 };

typedef struct function {
    const char *name;
    int gives_size; /* a size, which is 0 where another one gives a status */
    size_t (*call)(const argument *a);
    parameter parameters[MOST_PARAMETERS];
} function;

/* The public function, and what calls it with unpacked arguments: the test of the header's functions looks for it. */
#define FUNCTION(function) #function, 0, call_##function
#define SIZE_FUNCTION(function) #function, 1, call_##function

static inline int is_array(const parameter *p)
{
    return p->kind >= CONV;
}

/* ---------------------------------------------------------------- valid arguments */

enum { FILL = 0x77 };

static inline void fill_array(const parameter *p, void *array)
{
    if (p->kind == OUTPUT) {
        memset(array, FILL, p->n);
    } else if (p->content != NULL) {
        memcpy(array, p->content, p->n);
    } else {
        memset(array, 0, p->n);
    }
}

static inline void make_arguments(const function *f, argument *a)
{
    for (size_t i = 0; i < MOST_PARAMETERS; i++) {
        a[i].n = f->parameters[i].n;
        if (is_array(&f->parameters[i])) {
            a[i].p = allocate(f->parameters[i].n);
            fill_array(&f->parameters[i], a[i].p);
        }
    }
}

static inline void free_arguments(const function *f, const argument *a)
{
    for (size_t i = 0; i < MOST_PARAMETERS; i++) {
        if (is_array(&f->parameters[i])) {
            release(a[i].p);
        }
    }
}

/* ---------------------------------------------------------------- one bad call */

static inline int is_filled(const void *array, size_t size)
{
    const uint8_t *bytes = array;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != FILL) {
            return 0;
        }
    }
    return 1;
}

/* good: the arrays to look at, as some of those of the call lie elsewhere. */
static inline void expect(const function *f, mgk_status status, const argument *a, const argument *good, size_t which,
                          const char *what)
{
    const size_t wanted = f->gives_size ? 0 : (size_t)status;
    const size_t got = f->call(a);
    int untouched = 1;
    for (size_t i = 0; i < MOST_PARAMETERS; i++) {
        untouched &= f->parameters[i].kind != OUTPUT || is_filled(good[i].p, f->parameters[i].n);
    }
    if (got != wanted || !untouched) {
        printf("%s, argument %u %s: %s%s\n", f->name, (unsigned)which, what,
               f->gives_size ? "a size" : mgk_status_name((mgk_status)got), untouched ? "" : ", written");
    }
    CHECK_EQUAL(wanted, got);
    CHECK(untouched);
}

static inline void expect_number(const function *f, mgk_status status, const argument *good, size_t which, size_t n)
{
    argument a[MOST_PARAMETERS];
    char what[32];
    memcpy(a, good, sizeof a);
    a[which].n = n;
    snprintf(what, sizeof what, "is %llu", (unsigned long long)n);
    expect(f, status, a, good, which, what);
}

/* ---------------------------------------------------------------- all of them */

/* Its square overflows. */
#define HALF ((size_t)1 << (4 * sizeof(size_t)))

static inline void try_sizes(const function *f, const argument *good, size_t which)
{
    expect_number(f, MGK_BAD_SHAPE, good, which, 0);
    expect_number(f, MGK_BAD_SHAPE, good, which, SIZE_MAX);
    expect_number(f, MGK_BAD_SHAPE, good, which, SIZE_MAX / 2 + 1);
    for (size_t other = 0; other < which; other++) {
        if (f->parameters[other].kind == SIZE) {
            argument a[MOST_PARAMETERS];
            memcpy(a, good, sizeof a);
            a[which].n = a[other].n = HALF;
            expect(f, MGK_BAD_SHAPE, a, good, which, "overflows with another");
        }
    }
}

static inline void try_fields(const function *f, const argument *good, size_t which)
{
    enum { FIELDS = sizeof(mgk_conv2d) / sizeof(size_t) };
    const size_t strides = offsetof(mgk_conv2d, stride_y) / sizeof(size_t), pads = strides + 2;
    const size_t kernel = offsetof(mgk_conv2d, kernel_height) / sizeof(size_t);
    size_t fields[FIELDS], valid[FIELDS];
    argument a[MOST_PARAMETERS];
    memcpy(a, good, sizeof a);
    memcpy(valid, good[which].p, sizeof valid);
    a[which].p = fields;
    for (size_t i = 0; i < FIELDS; i++) {
        memcpy(fields, valid, sizeof fields);
        fields[i] = 0;
        if (i < pads || i >= pads + 4) {
            expect(f, MGK_BAD_SHAPE, a, good, which, "has a zero");
        }
        fields[i] = SIZE_MAX;
        if (i < strides || i >= pads) { /* a stride may be as long as it likes */
            expect(f, MGK_BAD_SHAPE, a, good, which, "has a field of SIZE_MAX");
            fields[i] = SIZE_MAX / 2 + 1;
            expect(f, MGK_BAD_SHAPE, a, good, which, "has a field of SIZE_MAX / 2 + 1");
        }
        for (size_t other = 0; other < i && i <= kernel + 2; other++) {
            const int of_kernel = i == kernel || i == kernel + 1 || other == kernel || other == kernel + 1;
            memcpy(fields, valid, sizeof fields);
            fields[i] = fields[other] = HALF;
            if (!of_kernel) {
                expect(f, MGK_BAD_SHAPE, a, good, which, "has fields that overflow");
            }
        }
    }
}

static inline void try_array(const function *f, const argument *good, size_t which)
{
    const parameter *p = &f->parameters[which];
    argument a[MOST_PARAMETERS];
    memcpy(a, good, sizeof a);
    a[which].p = NULL;
    if (p->kind != OPTIONAL) {
        expect(f, MGK_NULL_POINTER, a, good, which, "is NULL");
    }
    if (p->alignment > 1) {
        uint8_t *shifted = allocate(p->n + 1);
        fill_array(p, shifted + 1);
        a[which].p = shifted + 1;
        expect(f, MGK_MISALIGNED, a, good, which, "is misaligned");
        CHECK(p->kind != OUTPUT || is_filled(shifted + 1, p->n));
        release(shifted);
    }
}

/* The written array shares its last element, its first one, and its beginning with the other one. */
static inline void try_overlap(const function *f, const argument *good, size_t written, size_t other)
{
    enum { STEP = 8 };
    const parameter *w = &f->parameters[written], *o = &f->parameters[other];
    const size_t offsets[3][2] = {{0, (w->n - 1) / STEP * STEP},
                                  {(o->n - 1) / STEP * STEP, 0},
                                  {0, 0}}; /* of the written one, and of the other */
    for (int k = 0; k < 3; k++) {
        argument a[MOST_PARAMETERS];
        memcpy(a, good, sizeof a);
        uint8_t *both = allocate(w->n + o->n + STEP), *before = allocate(w->n + o->n + STEP);
        memset(both, FILL, w->n + o->n + STEP);
        a[written].p = both + offsets[k][0];
        a[other].p = both + offsets[k][1];
        fill_array(o, a[other].p);
        memcpy(before, both, w->n + o->n + STEP);
        expect(f, MGK_OVERLAP, a, good, written, "overlaps another");
        CHECK_EQUAL(0, memcmp(before, both, w->n + o->n + STEP));
        release(both);
        release(before);
    }
}

static inline void try_function(const function *f)
{
    argument good[MOST_PARAMETERS];
    make_arguments(f, good);
    for (size_t i = 0; i < MOST_PARAMETERS; i++) {
        const parameter *p = &f->parameters[i];
        switch (p->kind) {
        case PATH:
            expect_number(f, MGK_BAD_PATH, good, i, 99);
            expect_number(f, MGK_BAD_PATH, good, i, SIZE_MAX);
            break;
        case SIZE: try_sizes(f, good, i); break;
        case COUNT:
            expect_number(f, MGK_BAD_SHAPE, good, i, SIZE_MAX);
            expect_number(f, MGK_BAD_SHAPE, good, i, SIZE_MAX / 2 + 1);
            break;
        case BYTES:
            expect_number(f, MGK_BUFFER_TOO_SMALL, good, i, p->n - 1);
            expect_number(f, MGK_BUFFER_TOO_SMALL, good, i, 0);
            break;
        case BITS:
            expect_number(f, MGK_BAD_BITS, good, i, 0);
            expect_number(f, MGK_BAD_BITS, good, i, 9);
            expect_number(f, MGK_BAD_BITS, good, i, UINT32_MAX);
            break;
        case BEGIN: expect_number(f, MGK_BAD_RANGE, good, i, good[i + 1].n + 1); break;
        case END:
            expect_number(f, MGK_BAD_RANGE, good, i, p->n + 1);
            expect_number(f, MGK_BAD_RANGE, good, i, SIZE_MAX);
            break;
        case CONV:
        case COPIED: try_fields(f, good, i); break;
        default: break;
        }
        if (is_array(p)) {
            try_array(f, good, i);
        }
        for (size_t other = 0; p->kind == OUTPUT && other < MOST_PARAMETERS; other++) {
            if (other != i && is_array(&f->parameters[other]) && f->parameters[other].kind != COPIED) {
                try_overlap(f, good, i, other);
            }
        }
    }
    const size_t got = f->call(good);
    if (f->gives_size ? got == 0 : got != MGK_OK) {
        printf("%s: the valid call gives %u\n", f->name, (unsigned)got);
    }
    CHECK(f->gives_size ? got > 0 : got == MGK_OK);
    free_arguments(f, good);
}

/* The function, on every path that the processor has if its first argument is one. */
static inline void try_paths(const function *f)
{
    for (int path = MGK_SCALAR; path <= MGK_VNNI; path++) {
        function on_path = *f;
        if (f->parameters[0].kind == PATH) {
            on_path.parameters[0].n = (size_t)path;
        }
        if (path == MGK_SCALAR || (f->parameters[0].kind == PATH && mgk_has_path((mgk_path)path))) {
            try_function(&on_path);
        }
    }
}

#endif
