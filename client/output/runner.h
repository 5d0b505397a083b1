/* Runs a command of the user's for each message (--exec), with the message on its standard input.
 *
 *     messages ──► [ queue ] ──► [ running: at most N ] ──► /bin/sh -c COMMAND
 *
 * The message is never in the command's arguments or environment. Each command has a session of its
 * own, so that it and all that it started can be ended together. While anything is queued the owner
 * is to stop receiving. */
#ifndef WS_CLIENT_OUTPUT_RUNNER_H
#define WS_CLIENT_OUTPUT_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/buffer.h"
#include "common/base/list.h"

struct runner;

struct runner_config {
    const char *command;     /* borrowed for the life of the runner */
    uint64_t jobs;           /* how many run at once, at least 1; with 1 they run in order */
    uint64_t timeout;        /* milliseconds for each; 0: none */
    bool stops_at_a_failure; /* nothing is started after a command that failed */
};

struct runner_ops {
    /* The command for the message of this number has done all that is expected of it: it has
     * succeeded, or it has failed and that stops nothing. */
    void (*on_done)(struct runner *runner, uint64_t number);
    /* A command has ended, and there is room for more messages, or none runs any more. */
    void (*on_room)(struct runner *runner);
    /* A command has failed (which has been reported) with this exit status, as a shell has it:
     * 128 + N when signal N killed it. Only where runner_config says that it stops. */
    void (*on_stop)(struct runner *runner, int status);
};

struct runner {
    uv_loop_t *_loop;
    struct runner_config _config;
    const struct runner_ops *_ops;
    struct buffer _queue; /* for each message a struct item, and its bytes */
    size_t _taken;        /* bytes of the queue that are taken */
    struct list _running;
    uint64_t _running_count;
    bool _stopped;  /* nothing more is started */
    bool _stopping; /* what runs was told to end: that it fails is no news */
};

/* `ops` is borrowed for the life of the runner. */
void runner_init(struct runner *runner, uv_loop_t *loop, const struct runner_config *config,
                 const struct runner_ops *ops);

/* Ends at once (SIGKILL) whatever runs. Run the loop once more before the runner's memory goes. */
void runner_close(struct runner *runner);

/* Runs the command with these bytes on its standard input, now or when there is room. `number` is
 * for on_done. Returns 0 or UV_ENOMEM. */
int runner_take(struct runner *runner, uint64_t number, const uint8_t *data, size_t len);

/* True while messages wait for a command to end. */
bool runner_is_full(const struct runner *runner);

/* True while a command runs. */
bool runner_is_busy(const struct runner *runner);

/* Starts nothing more, and tells what runs to end: SIGTERM, and SIGKILL if that does not help
 * within two seconds, or if this is called again. */
void runner_stop(struct runner *runner);

#endif
