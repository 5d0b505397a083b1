/* The real worker, seen from inside, whose thread is this one: it runs while worker_start does. To
 * be included once, by a program that brings its own streams. */
#ifndef WS_TESTS_WORKER_HERE_H
#define WS_TESTS_WORKER_HERE_H

#include <string.h>
#include <uv.h>

static int run_here(uv_thread_t *thread, void (*run)(void *), void *argument)
{
    *thread = uv_thread_self();
    run(argument);
    return 0;
}

static int join_here(uv_thread_t *thread)
{
    (void) thread;
    return 0;
}

#define uv_thread_create run_here
#define uv_thread_join join_here
#include "server/journal/journal.h"
#include "server/worker.c" // NOLINT(bugprone-suspicious-include): to reach inside
#include "server/worker_private.h"

#endif
