/* Picks the build of a function for a path: MGK_DISPATCH(path, name, (arguments)) calls name_<width>. */
#ifndef MGK_DISPATCH_H
#define MGK_DISPATCH_H

#if defined(__aarch64__)
#define MGK_DISPATCH(path, function, arguments)   \
    switch (path) {                               \
    case MGK_NEON: function##_1 arguments; break; \
    default: function##_0 arguments;              \
    }
#elif defined(__x86_64__)
#define MGK_DISPATCH(path, function, arguments)     \
    switch (path) {                                 \
    case MGK_AVX2: function##_2 arguments; break;   \
    case MGK_AVX512: function##_3 arguments; break; \
    default: function##_0 arguments;                \
    }
#else
#define MGK_DISPATCH(path, function, arguments) function##_0 arguments;
#endif

#endif
