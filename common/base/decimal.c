#include "common/base/decimal.h"

/* As decimal_read; `*overflows` says that the number would be more than UINT64_MAX. */
static size_t read_digits(const char *text, size_t len, uint64_t *number, bool *overflows)
{
    size_t i;

    *number = 0;
    *overflows = false;
    for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        *overflows = *overflows || __builtin_mul_overflow(*number, (uint64_t) 10, number) ||
                     __builtin_add_overflow(*number, (uint64_t) (text[i] - '0'), number);
    return i;
}

size_t decimal_read(const char *text, size_t len, uint64_t *number)
{
    bool overflows;
    size_t digits = read_digits(text, len, number, &overflows);

    if (overflows)
        *number = UINT64_MAX;
    return digits;
}

bool decimal_parse(const char *text, size_t len, uint64_t most, uint64_t *number)
{
    bool overflows;

    return read_digits(text, len, number, &overflows) == len && len > 0 && !overflows &&
           *number <= most;
}
