#include "client/connect/backoff.h"

void backoff_init(struct backoff *backoff, uint64_t max_delay, uint64_t retries)
{
    *backoff = (struct backoff){._max = max_delay, ._retries = retries};
}

void backoff_held(struct backoff *backoff, uint64_t duration)
{
    if (duration < BACKOFF_HELD || duration <= backoff->_last)
        return;
    backoff->_failed = 0;
    backoff->_last = 0;
}

/* The longest wait after so many failures. */
static uint64_t bound(const struct backoff *backoff)
{
    uint64_t most = BACKOFF_BASE;

    for (uint64_t i = 0; i < backoff->_failed && most < backoff->_max; i++)
        most *= 2;
    if (most > backoff->_max)
        most = backoff->_max;
    return most > BACKOFF_LEAST ? most : BACKOFF_LEAST;
}

bool backoff_next(struct backoff *backoff, uint64_t asked, uint32_t random, uint64_t *delay)
{
    uint64_t range = bound(backoff) - BACKOFF_LEAST + 1;

    if (backoff->_retries > 0 && backoff->_failed >= backoff->_retries)
        return false;
    if (asked > BACKOFF_ASKED_MOST)
        asked = BACKOFF_ASKED_MOST;
    *delay = asked + BACKOFF_LEAST + (uint64_t) random * range / ((uint64_t) UINT32_MAX + 1);
    backoff->_failed++;
    backoff->_last = *delay;
    return true;
}

uint64_t backoff_failed(const struct backoff *backoff)
{
    return backoff->_failed;
}
