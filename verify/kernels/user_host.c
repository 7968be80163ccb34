/* Runs functions of a library in a process of its own, for an emulator of processes: maps memory, writes, reads and calls
 * as standard input says, and answers on standard output. A request is its kind, an address and a size or a value, each of
 * 64 bits; the kinds are those of user_emulator.py. Without a libc, for AArch64 Linux. */
typedef unsigned long word;
typedef word function(word, word, word, word, word, word, word, word, word, word, word, word, word, word, word, word);

enum { MAP = 1, PROTECT, UNMAP, WRITE, READ, CALL };
enum { SYS_READ = 63, SYS_WRITE = 64, SYS_EXIT = 93, SYS_MUNMAP = 215, SYS_MMAP = 222, SYS_MPROTECT = 226 };
enum { READ_WRITE = 3, PRIVATE_FIXED_ANONYMOUS = 0x32 };

static word call_system(word number, word a, word b, word c, word d)
{
    register word x8 __asm__("x8") = number;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = ~0ul;
    register word x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}

static void leave(void)
{
    for (;;) {
        call_system(SYS_EXIT, 0, 0, 0, 0);
    }
}

/* All bytes, whatever pipes do; the end of the input is the end. */
static void transfer(word number, word file, word address, word size)
{
    while (size > 0) {
        const word done = call_system(number, file, address, size, 0);
        if (done == 0 || done > size) {
            leave();
        }
        address += done;
        size -= done;
    }
}

__attribute__((used)) static void serve(void)
{
    word request[3], v[16], result;
    for (;;) {
        transfer(SYS_READ, 0, (word)request, sizeof request);
        const word address = request[1], size = request[2];
        switch (request[0]) {
        case MAP: call_system(SYS_MMAP, address, size, READ_WRITE, PRIVATE_FIXED_ANONYMOUS); break;
        case PROTECT: /* the size is of whole pages; the protection is in its low bits */
            call_system(SYS_MPROTECT, address, size & ~7ul, size & 7, 0);
            break;
        case UNMAP: call_system(SYS_MUNMAP, address, size, 0, 0); break;
        case WRITE: transfer(SYS_READ, 0, address, size); break;
        case READ: transfer(SYS_WRITE, 1, address, size); break;
        case CALL:
            transfer(SYS_READ, 0, (word)v, sizeof v);
            result = ((function *)address)(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11],
                                           v[12], v[13], v[14], v[15]);
            transfer(SYS_WRITE, 1, (word)&result, sizeof result);
            break;
        default: leave();
        }
    }
}

__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tb serve\n");
