/* A clock that stands still while the process does not run: it was stopped, its container was
 * frozen, or the machine gave it no CPU. Timers run first when it goes on, before what has come
 * meanwhile is read; measured by the system's clock, peers would be found silent that are not. A
 * timer that looks at deadlines regularly tells when it is to run next, and when it runs; what it
 * is late by, if that is much, does not count. */
#ifndef WS_COMMON_BASE_AWAKE_H
#define WS_COMMON_BASE_AWAKE_H

#include <stdbool.h>
#include <stdint.h>

enum { AWAKE_LATE = 500 }; /* milliseconds by which a busy loop may be late */

/* {0}: no timer runs. */
struct awake {
    uint64_t _due;   /* milliseconds of the loop's clock; 0: the timer does not run */
    uint64_t _slept; /* milliseconds that did not count, in all */
};

/* The timer is to run `delay` milliseconds after `now`. */
static inline void awake_expect(struct awake *awake, uint64_t now, uint64_t delay)
{
    awake->_due = now + delay;
}

/* The timer has run, and is not started again. */
static inline void awake_rest(struct awake *awake)
{
    awake->_due = 0;
}

/* Milliseconds that do not count, as the timer is late by them at `now`. */
static inline uint64_t awake_late(const struct awake *awake, uint64_t now)
{
    uint64_t late = awake->_due != 0 && now > awake->_due ? now - awake->_due : 0;

    return late > AWAKE_LATE ? late : 0;
}

/* The timer runs at `now`. True when the process has slept: input that waits is to be read before
 * any timeout applies, so leave that to the next run. */
static inline bool awake_look(struct awake *awake, uint64_t now)
{
    uint64_t late = awake_late(awake, now);

    if (late == 0)
        return false;
    awake->_slept += late;
    awake->_due = now;
    return true;
}

/* The time `now`, by this clock; also for what the loop does before the timer that is late runs. */
static inline uint64_t awake_clock(const struct awake *awake, uint64_t now)
{
    return now - awake->_slept - awake_late(awake, now);
}

#endif
