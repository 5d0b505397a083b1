/* How much memory is in use: for tests that promise what is held, and when it is let go. */
#ifndef WS_TESTS_UNIT_HEAP_H
#define WS_TESTS_UNIT_HEAP_H

#include <malloc.h>
#include <stddef.h>

/* NOLINTNEXTLINE(readability-identifier-naming): the sanitizer's own */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* Bytes on the heap, by the sanitizer's word or by malloc's own. */
static inline size_t heap_allocated(void)
{
    struct mallinfo2 info;

    if (__sanitizer_get_current_allocated_bytes != NULL)
        return __sanitizer_get_current_allocated_bytes();
    info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

#endif
