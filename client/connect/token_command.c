#include "client/connect/token_command.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/list.h"

enum { MAX_TOKEN = 8 * 1024 }; /* bytes: no server takes a longer head */

struct token_command_run {
    struct token_command *command; /* NULL: nothing more is told */
    uv_process_t process;
    uv_pipe_t output;
    unsigned handles; /* that are not closed */
    bool spawned;     /* the process' handle is one of them */
    bool exited;
    bool ended; /* no more is read of its output */
    int64_t status;
    int signum;
    size_t len;
    char token[MAX_TOKEN];
};

static char shell[] = "/bin/sh";

/* ---- the end of a run ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct token_command_run *run = handle->data;

    if (--run->handles > 0)
        return;
    explicit_bzero(run->token, sizeof run->token);
    free(run);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

/* Nothing more is told of it. */
static void release(struct token_command_run *run)
{
    run->command->_run = NULL;
    run->command = NULL;
    if (run->spawned)
        close_handle((uv_handle_t *) &run->process);
    close_handle((uv_handle_t *) &run->output);
}

static void fail(struct token_command_run *run, const struct error *error)
{
    struct token_command *command = run->command;

    release(run);
    command->_ops->on_failed(command, error);
}

static void conclude(struct token_command_run *run)
{
    struct token_command *command = run->command;
    struct error error;
    char token[MAX_TOKEN];

    if (run->signum != 0)
        (void) error_set(&error, UV_EIO, "the command of --token-command was killed by signal %d",
                         run->signum);
    else
        (void) error_set(&error, UV_EIO, "the command of --token-command failed with status %d",
                         (int) run->status);
    if (run->signum != 0 || run->status != 0) {
        fail(run, &error);
        return;
    }
    if (run->len == sizeof run->token - 1 && memchr(run->token, '\n', run->len) == NULL)
        run->len = 0; /* too long to be one */
    run->token[run->len] = '\0';
    run->token[strcspn(run->token, "\r\n")] = '\0';
    memcpy(token, run->token, sizeof token);
    release(run);
    command->_ops->on_token(command, token);
    explicit_bzero(token, sizeof token);
}

/* What it has started may hold its output open: a whole line is enough. */
static void conclude_if_done(struct token_command_run *run)
{
    if (run->command != NULL && run->exited &&
        (run->ended || memchr(run->token, '\n', run->len) != NULL))
        conclude(run);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signum)
{
    struct token_command_run *run = container_of(process, struct token_command_run, process);

    run->exited = true;
    run->status = status;
    run->signum = signum;
    conclude_if_done(run);
}

/* ---- its output ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct token_command_run *run = handle->data;

    (void) suggested;
    buf->base = run->token + run->len;
    buf->len = sizeof run->token - 1 - run->len; /* 0: UV_ENOBUFS, and so the end */
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct token_command_run *run = stream->data;

    (void) buf;
    if (got > 0)
        run->len += (size_t) got;
    else if (got < 0) {
        (void) uv_read_stop(stream);
        run->ended = true;
    }
    conclude_if_done(run);
}

/* ---- its beginning ---- */

static int spawn(struct token_command_run *run, int output)
{
    char option[] = "-c";
    char *argv[] = {shell, option, (char *) (uintptr_t) run->command->_text, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = output},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = shell,
        .args = argv,
        .flags = UV_PROCESS_DETACHED, /* a process group of its own */
        .stdio_count = sizeof stdio / sizeof *stdio,
        .stdio = stdio,
    };

    run->process.data = run;
    run->spawned = true; /* the handle is made, whatever becomes of it */
    run->handles++;
    return uv_spawn(run->command->_loop, &run->process, &options);
}

static int start(struct token_command_run *run)
{
    uv_file ends[2];
    int status = uv_pipe_init(run->command->_loop, &run->output, 0); /* which cannot fail */

    run->output.data = run;
    run->handles++;
    if (status == 0)
        status = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);
    if (status != 0)
        return status;
    status = uv_pipe_open(&run->output, ends[0]);
    if (status != 0)
        (void) close(ends[0]);
    if (status == 0)
        status = spawn(run, ends[1]);
    (void) close(ends[1]);
    if (status == 0)
        status = uv_read_start((uv_stream_t *) &run->output, on_alloc, on_read);
    return status;
}

void token_command_init(struct token_command *command, uv_loop_t *loop, const char *text,
                        const struct token_command_ops *ops)
{
    *command = (struct token_command){._loop = loop, ._text = text, ._ops = ops};
}

void token_command_start(struct token_command *command)
{
    struct token_command_run *run;
    struct error error;
    int status;

    if (command->_run != NULL)
        return;
    run = calloc(1, sizeof *run);
    if (run == NULL) {
        (void) error_set(&error, UV_ENOMEM, "out of memory");
        command->_ops->on_failed(command, &error);
        return;
    }
    run->command = command;
    command->_run = run;
    status = start(run);
    if (status == 0)
        return;
    (void) error_set(&error, status, "cannot run the command of --token-command: %s",
                     uv_strerror(status));
    fail(run, &error);
}

bool token_command_is_running(const struct token_command *command)
{
    return command->_run != NULL;
}

void token_command_cancel(struct token_command *command)
{
    struct token_command_run *run = command->_run;

    if (run == NULL)
        return;
    if (!run->exited && run->process.pid > 0)
        (void) kill(-run->process.pid, SIGKILL);
    release(run);
}
