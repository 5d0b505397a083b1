#include "client/output/runner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/plural.h"

enum {
    GRACE = 2 * 1000,   /* milliseconds from SIGTERM to SIGKILL */
    CANNOT_RUN = 126,   /* the status of a command that could not be started, as in a shell */
    SIGNAL_STATUS = 128 /* and of one that a signal has killed, less the signal's number */
};

static char shell[] = "/bin/sh";

/* What is queued of a message, before its bytes. */
struct item {
    uint64_t number;
    size_t len;
};

/* One command; freed when all its handles are closed. */
struct job {
    struct runner *runner;
    struct list node;
    uint64_t number; /* of its message */
    uv_process_t process;
    uv_pipe_t input;
    uv_timer_t timer; /* until it is told to end, or killed */
    uv_write_t writing;
    struct buffer payload;
    unsigned handles; /* that are not closed */
    bool spawned;     /* `process` is one of them */
    bool timed_out;
    bool ended;
};

static void start_queued(struct runner *runner);

/* ---- the end of a command ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;

    if (--job->handles > 0)
        return;
    buffer_deinit(&job->payload);
    free(job);
}

static void close_handle(struct job *job, uv_handle_t *handle)
{
    handle->data = job;
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

/* The command is over for us. */
static void release(struct job *job)
{
    list_remove(&job->node);
    job->runner->_running_count--;
    job->ended = true;
    if (job->spawned)
        close_handle(job, (uv_handle_t *) &job->process);
    close_handle(job, (uv_handle_t *) &job->input);
    close_handle(job, (uv_handle_t *) &job->timer);
}

/* Says how it failed. */
static void report(const struct job *job, int64_t status, int signum)
{
    const struct runner_config *config = &job->runner->_config;

    if (job->timed_out)
        log_error("the command of --exec was ended: not done after the %g second%s of "
                  "--exec-timeout",
                  (double) config->timeout / 1000, plural_seconds(config->timeout));
    else if (signum != 0)
        log_error("the command of --exec was killed by signal %d (%s)", signum, strsignal(signum));
    else
        log_error("the command of --exec failed with status %d", (int) status);
}

/* Nothing more is started. */
static void drop_queue(struct runner *runner)
{
    runner->_stopped = true;
    buffer_deinit(&runner->_queue);
    runner->_taken = 0;
}

static void fail(struct runner *runner, int status)
{
    if (!runner->_config.stops_at_a_failure || runner->_stopped)
        return;
    drop_queue(runner);
    runner->_ops->on_stop(runner, status);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signum)
{
    struct job *job = container_of(process, struct job, process);
    struct runner *runner = job->runner;
    bool failed = (status != 0 || signum != 0) && !runner->_stopping;

    if (failed)
        report(job, status, signum);
    release(job);
    if ((status == 0 && signum == 0) || (failed && !runner->_config.stops_at_a_failure))
        runner->_ops->on_done(runner, job->number);
    if (failed)
        fail(runner, signum != 0 ? SIGNAL_STATUS + signum : (int) status);
    start_queued(runner);
    if (!runner_is_full(runner))
        runner->_ops->on_room(runner);
}

/* ---- ending commands ---- */

/* The command and all that it started, unless that has gone its own way. */
static void kill_group(const struct job *job, int signum)
{
    if (job->spawned && job->process.pid > 0)
        (void) kill(-job->process.pid, signum);
}

static void on_grace_over(uv_timer_t *timer)
{
    kill_group(container_of(timer, struct job, timer), SIGKILL);
}

static void terminate(struct job *job)
{
    kill_group(job, SIGTERM);
    (void) uv_timer_start(&job->timer, on_grace_over, GRACE, 0);
}

static void on_timeout(uv_timer_t *timer)
{
    struct job *job = container_of(timer, struct job, timer);

    job->timed_out = true;
    terminate(job);
}

void runner_stop(struct runner *runner)
{
    bool again = runner->_stopping;

    drop_queue(runner);
    runner->_stopping = true;
    LIST_FOR_EACH (node, &runner->_running) {
        struct job *job = container_of(node, struct job, node);

        if (again)
            kill_group(job, SIGKILL);
        else
            terminate(job);
    }
}

void runner_close(struct runner *runner)
{
    drop_queue(runner);
    while (!list_empty(&runner->_running)) {
        struct job *job = container_of(runner->_running.next, struct job, node);

        kill_group(job, SIGKILL);
        release(job);
    }
}

/* ---- starting commands ---- */

/* All is written, or the command does not want it, which is its own business. */
static void on_written(uv_write_t *request, int status)
{
    struct job *job = container_of(request, struct job, writing);

    (void) status;
    buffer_deinit(&job->payload);
    if (!job->ended)
        close_handle(job, (uv_handle_t *) &job->input);
}

/* A pipe, not the socket pair that libuv would make: /dev/stdin can be opened again. */
static int spawn(struct job *job, int input)
{
    char option[] = "-c";
    char *argv[] = {shell, option, (char *) (uintptr_t) job->runner->_config.command, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = input},
        {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    /* libuv gives the command the default signals and an empty mask. */
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = shell,
        .args = argv,
        .flags = UV_PROCESS_DETACHED, /* a session of its own, and with it a process group */
        .stdio_count = sizeof stdio / sizeof *stdio,
        .stdio = stdio,
    };

    job->spawned = true; /* the handle is made, whatever becomes of it */
    job->handles++;
    return uv_spawn(job->runner->_loop, &job->process, &options);
}

static int feed(struct job *job)
{
    uv_buf_t buf = {.base = (char *) job->payload.data, .len = job->payload.len};

    if (buf.len == 0) {
        close_handle(job, (uv_handle_t *) &job->input);
        return 0;
    }
    return uv_write(&job->writing, (uv_stream_t *) &job->input, &buf, 1, on_written);
}

/* The pipe's end for the command is `*input`, for the caller to close; ours is the job's. */
static int open_pipe(struct job *job, int *input)
{
    uv_file ends[2];
    int status = uv_pipe(ends, 0, UV_NONBLOCK_PIPE);

    if (status != 0)
        return status;
    status = uv_pipe_open(&job->input, ends[1]);
    *input = ends[0];
    if (status == 0)
        return 0;
    (void) close(ends[0]);
    (void) close(ends[1]);
    return status;
}

/* Returns 0 when the command runs; else its handles are there all the same. */
static int start(struct job *job)
{
    int input;
    int status = open_pipe(job, &input);

    if (status != 0)
        return status;
    /* What a pipe holds the command gets, also when we are killed at this very moment. */
    status = feed(job);
    if (status == 0)
        status = spawn(job, input);
    (void) close(input);
    return status;
}

/* Takes the payload. */
static int run(struct runner *runner, uint64_t number, struct buffer *payload)
{
    struct job *job = calloc(1, sizeof *job);
    int status;

    if (job == NULL) {
        buffer_deinit(payload);
        return UV_ENOMEM;
    }
    job->runner = runner;
    job->number = number;
    job->payload = *payload;
    job->handles = 2;
    list_append(&runner->_running, &job->node);
    runner->_running_count++;
    (void) uv_pipe_init(runner->_loop, &job->input, 0); /* which cannot fail, nor the timer */
    (void) uv_timer_init(runner->_loop, &job->timer);
    status = start(job);
    if (status == 0) {
        if (runner->_config.timeout > 0)
            (void) uv_timer_start(&job->timer, on_timeout, runner->_config.timeout, 0);
        return 0;
    }
    log_error("cannot run the command of --exec: %s: %s", shell, uv_strerror(status));
    kill_group(job, SIGKILL);
    release(job);
    fail(runner, CANNOT_RUN);
    return 0;
}

/* ---- the queue ---- */

bool runner_is_full(const struct runner *runner)
{
    return runner->_queue.len > 0;
}

bool runner_is_busy(const struct runner *runner)
{
    return runner->_running_count > 0 || runner_is_full(runner);
}

static int enqueue(struct runner *runner, uint64_t number, const uint8_t *data, size_t len)
{
    struct item item = {.number = number, .len = len};
    int status = buffer_reserve(&runner->_queue, sizeof item + len);

    if (status != 0)
        return status;
    (void) buffer_append(&runner->_queue, &item, sizeof item);
    (void) buffer_append(&runner->_queue, data, len);
    return 0;
}

int runner_take(struct runner *runner, uint64_t number, const uint8_t *data, size_t len)
{
    struct buffer payload = {0};
    int status;

    if (runner->_stopped)
        return 0;
    if (runner_is_full(runner) || runner->_running_count >= runner->_config.jobs)
        return enqueue(runner, number, data, len);
    status = buffer_append(&payload, data, len);
    return status != 0 ? status : run(runner, number, &payload);
}

/* Takes the first message that waits. The last one takes the queue's memory with it. */
static int dequeue(struct runner *runner, uint64_t *number, struct buffer *payload)
{
    const uint8_t *at = runner->_queue.data + runner->_taken;
    struct item item;
    int status;

    memcpy(&item, at, sizeof item);
    status = buffer_append(payload, at + sizeof item, item.len);
    if (status != 0)
        return status;
    *number = item.number;
    runner->_taken += sizeof item + item.len;
    if (runner->_taken == runner->_queue.len) {
        buffer_deinit(&runner->_queue);
        runner->_taken = 0;
    }
    return 0;
}

static void start_queued(struct runner *runner)
{
    while (!runner->_stopped && runner_is_full(runner) &&
           runner->_running_count < runner->_config.jobs) {
        struct buffer payload = {0};
        uint64_t number;
        int status = dequeue(runner, &number, &payload);

        if (status == 0)
            status = run(runner, number, &payload);
        if (status != 0) {
            log_error("cannot run the command of --exec: %s", uv_strerror(status));
            fail(runner, CANNOT_RUN);
            return;
        }
    }
}

/* ---- life ---- */

void runner_init(struct runner *runner, uv_loop_t *loop, const struct runner_config *config,
                 const struct runner_ops *ops)
{
    *runner = (struct runner){._loop = loop, ._config = *config, ._ops = ops};
    list_init(&runner->_running);
}
