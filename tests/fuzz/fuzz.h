/* What the harnesses share. Each is one function of libFuzzer's, LLVMFuzzerTestOneInput, built
 * twice: with libFuzzer, which explores (scripts/fuzz), and with replay.c, which runs over the
 * files of the corpus and of what was ever found (CTest).
 *
 * An input is what the world sends, as it would stand on the wire; the choices that a harness makes
 * besides (which side, which pieces) are its last bytes, so that a seed stays readable. */
#ifndef WS_TESTS_FUZZ_FUZZ_H
#define WS_TESTS_FUZZ_FUZZ_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that every input has to keep; the text says more when it is broken. */
#define fuzz_check(condition, ...) \
    ((condition) ? (void) 0 : fuzz_broken(#condition, __FILE__, __LINE__, __VA_ARGS__))

__attribute__((format(printf, 4, 5), noreturn)) static inline void fuzz_broken(
    const char *promise, const char *file, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) fprintf(stderr, "%s:%d: broken promise: %s: ", file, line, promise);
    (void) vfprintf(stderr, format, arguments);
    (void) fputc('\n', stderr);
    va_end(arguments);
    abort();
}

struct fuzz_input {
    const uint8_t *data;
    size_t len;
};

/* Takes the first (last) byte; 0 when there is none left. */
static inline uint8_t fuzz_first(struct fuzz_input *input)
{
    if (input->len == 0)
        return 0;
    input->len--;
    return *input->data++;
}

static inline uint8_t fuzz_last(struct fuzz_input *input)
{
    return input->len > 0 ? input->data[--input->len] : 0;
}

/* Takes the first `len` bytes, or as many as there are. */
static inline struct fuzz_input fuzz_take(struct fuzz_input *input, size_t len)
{
    struct fuzz_input taken = {input->data, len < input->len ? len : input->len};

    input->data += taken.len;
    input->len -= taken.len;
    return taken;
}

/* How an input is cut. */
struct fuzz_pieces {
    uint32_t _seed;
    uint32_t _state;
};

/* Seed 0 cuts nothing, 1 cuts everywhere, and any other here and there. */
static inline struct fuzz_pieces fuzz_pieces(uint32_t seed)
{
    return (struct fuzz_pieces){seed, seed * 2654435761U + 1};
}

/* The length of the next piece: from 1 to `len`. */
static inline size_t fuzz_piece(struct fuzz_pieces *pieces, size_t len)
{
    static const uint32_t most[] = {1, 3, 16, 300};
    uint32_t random, piece;

    if (pieces->_seed == 0)
        return len;
    pieces->_state = pieces->_state * 1664525U + 1013904223U;
    random = pieces->_state >> 8;
    piece = pieces->_seed == 1 ? 1 : 1 + (random >> 2) % most[random & 3];
    return piece < len ? piece : len;
}

/* A copy that ends where its memory ends, so that AddressSanitizer sees who reads on. */
static inline uint8_t *fuzz_copy(const void *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    fuzz_check(copy != NULL, "out of memory");
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

#endif
