/* Runs functions of the library for another program, so that emulators of whole processes can be told what to run: reads
 * commands from standard input, writes answers to standard output. Numbers are 8 bytes, little endian, on any machine.
 *
 *   at the start               answers the address of ARENA bytes that cannot be touched, and sizeof(size_t)
 *   'p' address size access    makes pages untouchable (0), read-only (1) or writable (2)
 *   'w' address size bytes     writes memory
 *   'r' address size           answers its bytes
 *   's' address                answers a string of the library, its length before it
 *   'c' length name arguments  12 numbers; answers 1 and what the function returned, 0 and 0 for an unknown name */
#define _DEFAULT_SOURCE /* for anonymous memory */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "minigrad_kernels.h"

enum { ARENA = 1 << 28, ARGUMENTS = 12, MOST_NAME = 64 };

typedef uintptr_t word;
/* As all of these are called: every argument is a word, and what a function does not take is not looked at. */
typedef word function(word, word, word, word, word, word, word, word, word, word, word, word);

#define FUNCTION(name) {#name, (void (*)(void))name}

static const struct {
    const char *name;
    void (*address)(void);
} functions[] = {
    FUNCTION(mgk_status_name),
    FUNCTION(mgk_header_digest),
    FUNCTION(mgk_has_path),
    FUNCTION(mgk_packed_size),
    FUNCTION(mgk_pack),
    FUNCTION(mgk_unpack),
    FUNCTION(mgk_qconv2d_prepared_size),
    FUNCTION(mgk_qconv2d_prepare),
    FUNCTION(mgk_qconv2d_workspace_size),
    FUNCTION(mgk_qconv2d_run),
    FUNCTION(mgk_qconv2d_kernels),
    FUNCTION(mgk_qconv2d_kernel_name),
    FUNCTION(mgk_qconv2d_kernel_path),
    FUNCTION(mgk_qconv2d_kernel_of),
    FUNCTION(mgk_thresholds),
    FUNCTION(mgk_requantize),
    FUNCTION(mgk_sum_pool),
    FUNCTION(mgk_sum_windows),
    FUNCTION(mgk_max_pool),
    FUNCTION(mgk_add_i16),
    FUNCTION(mgk_linear_u8),
    FUNCTION(mgk_linear_i16),
    FUNCTION(mgk_qlinear),
    FUNCTION(mgk_argmax),
};

static void read_bytes(void *to, size_t size)
{
    if (fread(to, 1, size, stdin) != size) {
        exit(EXIT_SUCCESS); /* whoever asked is gone */
    }
}

static uint64_t read_number(void)
{
    uint8_t bytes[8];
    uint64_t number = 0;
    read_bytes(bytes, sizeof bytes);
    for (int i = 7; i >= 0; i--) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static void write_number(uint64_t number)
{
    for (int i = 0; i < 8; i++) {
        putchar((int)(number >> (8 * i) & 255));
    }
}

static void *read_address(void)
{
    return (void *)(word)read_number();
}

static void call(void)
{
    char name[MOST_NAME + 1] = {0};
    word a[ARGUMENTS];
    const uint64_t length = read_number();
    read_bytes(name, length <= MOST_NAME ? (size_t)length : MOST_NAME);
    for (int i = 0; i < ARGUMENTS; i++) {
        a[i] = (word)read_number();
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            function *f = (function *)functions[i].address;
            const word result = f(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
            write_number(1);
            write_number(result);
            return;
        }
    }
    write_number(0);
    write_number(0);
}

static void protect(void)
{
    static const int access[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    void *address = read_address();
    const size_t size = (size_t)read_number();
    if (mprotect(address, size, access[read_number() % 3]) != 0) {
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    void *arena = mmap(NULL, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        return EXIT_FAILURE;
    }
    write_number((word)arena);
    write_number(sizeof(size_t));
    for (;;) {
        fflush(stdout);
        uint8_t command;
        read_bytes(&command, 1);
        if (command == 'c') {
            call();
        } else if (command == 'p') {
            protect();
        } else {
            void *address = read_address();
            const size_t size = command == 's' ? strlen(address) : (size_t)read_number();
            if (command == 's') {
                write_number(size);
            }
            if (command == 'w') {
                read_bytes(address, size);
            } else {
                fwrite(address, 1, size, stdout);
            }
        }
    }
}
