#include "server/broadcast/memory.h"

enum {
    BAR_HALVES = 20,  /* milliseconds in which the bar sinks to half its height, */
    LEAST_BAR = 4096, /* down to so many bytes */
};

void memory_init(struct memory *memory, uint64_t max, const _Atomic uint64_t *retained)
{
    memory->max = max;
    memory->settles = 0;
    memory->retained = retained;
    atomic_init(&memory->blocks, 0);
    atomic_init(&memory->charged, 0);
    atomic_init(&memory->over_since, 0);
    atomic_init(&memory->sinks_since, 0);
    atomic_init(&memory->costliest, 0);
    atomic_init(&memory->peak, 0);
}

static uint64_t load(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

uint64_t memory_used(const struct memory *memory)
{
    uint64_t blocks = load(&memory->blocks);
    uint64_t retained = load(memory->retained); /* it counts some overhead, too */

    return (blocks > retained ? blocks - retained : 0) + load(&memory->charged);
}

void memory_charge(struct memory *memory, uint64_t before, uint64_t now)
{
    atomic_fetch_add_explicit(&memory->charged, now - before, memory_order_relaxed); /* may wrap */
}

bool memory_is_half_full(const struct memory *memory)
{
    return memory->max > 0 && memory_used(memory) > memory->max / 2;
}

bool memory_is_over(const struct memory *memory)
{
    return memory->max > 0 && memory_used(memory) > memory->max;
}

bool memory_check(struct memory *memory, uint64_t now, bool *first)
{
    uint64_t used = memory_used(memory);
    uint64_t none = 0;

    *first = false;
    if (used > load(&memory->peak))
        atomic_store_explicit(&memory->peak, used, memory_order_relaxed);
    if (memory->max == 0 || used <= memory->max) {
        if (load(&memory->over_since) != 0)
            atomic_store_explicit(&memory->over_since, 0, memory_order_relaxed);
        return false;
    }
    *first = atomic_compare_exchange_strong(&memory->over_since, &none, now);
    if (*first)
        memory_given_up(memory, now);
    return true;
}

void memory_given_up(struct memory *memory, uint64_t now)
{
    atomic_store_explicit(&memory->sinks_since, now, memory_order_relaxed);
    atomic_store_explicit(&memory->costliest, 0, memory_order_relaxed);
}

uint64_t memory_bar(struct memory *memory, uint64_t now, uint64_t costliest)
{
    uint64_t since = load(&memory->sinks_since) + memory->settles;
    uint64_t halves = now > since ? (now - since) / BAR_HALVES : 0;
    uint64_t top = load(&memory->costliest);
    uint64_t bar;

    while (costliest > top && !atomic_compare_exchange_weak(&memory->costliest, &top, costliest)) {
    }
    if (now < since)
        return UINT64_MAX;
    top = costliest > top ? costliest : top;
    bar = halves < 63 ? top / 2 >> halves : 0;
    return bar > LEAST_BAR ? bar : LEAST_BAR;
}

uint64_t memory_take_peak(struct memory *memory)
{
    return atomic_exchange_explicit(&memory->peak, 0, memory_order_relaxed);
}
