#include "common/base/decimal.h"

size_t decimal_read(const char *text, size_t len, uint64_t *number)
{
    uint64_t sum = 0;
    bool overflows = false;
    size_t i;

    for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        overflows = overflows || __builtin_mul_overflow(sum, (uint64_t) 10, &sum) ||
                    __builtin_add_overflow(sum, (uint64_t) (text[i] - '0'), &sum);
    *number = overflows ? UINT64_MAX : sum;
    return i;
}

bool decimal_parse(const char *text, size_t len, uint64_t most, uint64_t *number)
{
    return decimal_read(text, len, number) == len && len > 0 && *number <= most &&
           *number < UINT64_MAX;
}
