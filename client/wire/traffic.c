#include "client/wire/traffic_private.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/list.h"
#include "common/base/log.h"

enum {
    PRINT_BATCH = 64 * 1024,     /* bytes of lines that are written before the turn ends */
    MAX_LINE = 16 * 1024 * 1024, /* bytes of a line that is sent */
    /* Milliseconds between being connected and the first message of -m. A shell that starts three
     * listeners and one who speaks, all in one breath, means the three to hear it; each of them
     * takes some 10 ms to start. */
    GREETING_DELAY = 100,
    READ_FIRST = 1, /* milliseconds: the loop reads before it looks at timers again */
};

/* ---- places ---- */

/* Nothing more is printed: it would come again. */
static void cannot_store(struct traffic *traffic, int status)
{
    struct error error;

    traffic->_unstored = 0;
    printer_drop(&traffic->_printer);
    (void) error_set(&error, status, "cannot write the state file '%s': %s",
                     traffic->_options->state_file, state_file_strerror(status));
    traffic->_ops->on_done(traffic, CLIENT_OUTPUT, error.text);
}

static void tell_gap(struct traffic *traffic, uint64_t lost)
{
    if (lost > 0)
        traffic->_ops->on_gap(traffic, lost);
}

/* For --until-live. */
static void end_if_live(struct traffic *traffic)
{
    if (traffic->_connection != NULL && traffic->_options->until_live &&
        resume_is_live(traffic->_resume))
        traffic->_ops->on_done(traffic, CLIENT_OK, "");
}

/* For --until-live, too: a connection is open. */
static void aim(struct traffic *traffic)
{
    if (traffic->_connection == NULL || !traffic->_options->until_live)
        return;
    if (resume_aim(traffic->_resume, connection_live_event_id(traffic->_connection)))
        end_if_live(traffic);
    else
        traffic->_ops->on_done(traffic, CLIENT_PROTOCOL,
                               "the server does not say which message is the newest "
                               "(Live-Event-ID), and --until-live would never end");
}

void traffic_ping(struct traffic *traffic, const uint8_t *data, size_t len)
{
    uint64_t lost;
    int status;

    if (traffic->_connection == NULL)
        return;
    status = resume_ping(traffic->_resume, data, len, &lost);
    if (status != 0)
        cannot_store(traffic, status);
    else
        tell_gap(traffic, lost);
    end_if_live(traffic);
}

void traffic_skip(struct traffic *traffic)
{
    int status;

    if (traffic->_connection == NULL)
        return;
    status = resume_skip(traffic->_resume);
    if (status != 0)
        cannot_store(traffic, status);
    end_if_live(traffic);
}

/* ---- printing ---- */

static int on_printer_mark(struct printer *printer)
{
    struct traffic *traffic = container_of(printer, struct traffic, _printer);

    traffic->_unstored = resume_arrive_next(traffic->_resume);
    return traffic->_unstored;
}

static void on_printer_drained(struct printer *printer)
{
    struct traffic *traffic = container_of(printer, struct traffic, _printer);

    traffic->_ops->on_room(traffic);
}

static void on_printer_broken(struct printer *printer, int status)
{
    struct traffic *traffic = container_of(printer, struct traffic, _printer);
    struct error error;

    if (traffic->_unstored != 0) {
        cannot_store(traffic, traffic->_unstored);
        return;
    }
    if (status == UV_EPIPE) { /* the reader is gone: die as any filter does */
        traffic->_ops->on_dying(traffic);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) raise(SIGPIPE);
    }
    (void) error_set(&error, status, "cannot write to standard output: %s", uv_strerror(status));
    traffic->_ops->on_done(traffic, CLIENT_OUTPUT, error.text);
}

/* While the reader cannot take the lines, the socket is not read. */
void traffic_print(struct traffic *traffic)
{
    printer_flush(&traffic->_printer);
    if (printer_is_waiting(&traffic->_printer) && traffic->_connection != NULL)
        connection_pause(traffic->_connection);
}

void traffic_push(struct traffic *traffic)
{
    printer_push(&traffic->_printer);
}

bool traffic_is_printed(const struct traffic *traffic)
{
    return printer_pending(&traffic->_printer) == 0 &&
           (traffic->_options->command == NULL || !runner_is_full(&traffic->_runner));
}

static int print(struct traffic *traffic, const struct message *message)
{
    uint64_t number;
    int status = render_append(&traffic->_render, printer_output(&traffic->_printer), message);

    if (status == 0)
        status = resume_track(traffic->_resume, &number);
    if (status == 0 && number != RESUME_UNTRACKED)
        status = printer_mark(&traffic->_printer);
    return status;
}

/* ---- commands ---- */

static void on_runner_done(struct runner *runner, uint64_t number)
{
    struct traffic *traffic = container_of(runner, struct traffic, _runner);
    int status = resume_arrive(traffic->_resume, number);

    if (status != 0)
        cannot_store(traffic, status);
}

static void on_runner_room(struct runner *runner)
{
    struct traffic *traffic = container_of(runner, struct traffic, _runner);

    traffic->_ops->on_room(traffic);
}

static void on_runner_stop(struct runner *runner, int status)
{
    struct traffic *traffic = container_of(runner, struct traffic, _runner);

    traffic->_ops->on_done(traffic, status, "");
}

static const struct runner_ops traffic_runner_ops = {
    .on_done = on_runner_done,
    .on_room = on_runner_room,
    .on_stop = on_runner_stop,
};

bool traffic_is_running(const struct traffic *traffic)
{
    return traffic->_options->command != NULL && runner_is_busy(&traffic->_runner);
}

void traffic_hurry(struct traffic *traffic)
{
    if (traffic->_options->command != NULL)
        runner_stop(&traffic->_runner);
}

/* While commands run and another message waits for one, the socket is not read. */
static int execute(struct traffic *traffic, const struct message *message)
{
    uint64_t number;
    int status = render_append(&traffic->_render, &traffic->_stdin, message);

    if (status == 0)
        status = resume_track(traffic->_resume, &number);
    if (status == 0)
        status = runner_take(&traffic->_runner, number, traffic->_stdin.data, traffic->_stdin.len);
    traffic->_stdin.len = 0;
    if (traffic->_connection != NULL && runner_is_full(&traffic->_runner))
        connection_pause(traffic->_connection);
    return status;
}

/* ---- messages ---- */

static int64_t now(void)
{
    struct timespec time;

    (void) clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t) time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Does with a message what the options say. Returns 0 or UV_ENOMEM. */
static int act(struct traffic *traffic, const struct message *message)
{
    if (traffic->_options->echo) {
        traffic_send_echo(traffic, message->opcode, message->data, message->len);
        return 0;
    }
    if (traffic->_options->command != NULL)
        return execute(traffic, message);
    return print(traffic, message);
}

/* True when this was the last message. */
static bool was_last(struct traffic *traffic, const struct message *message)
{
    traffic->_received++;
    if (traffic->_until != NULL &&
        until_matches(traffic->_until, message, uv_now(traffic->_idle.loop)))
        traffic->_matched = true;
    return traffic->_matched || traffic->_received == traffic->_options->count ||
           (traffic->_options->until_live && resume_is_live(traffic->_resume));
}

void traffic_message(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data,
                     size_t len)
{
    struct message message;

    if (traffic->_connection == NULL)
        return;
    message.opcode = opcode;
    message.data = data;
    message.len = len;
    resume_count(traffic->_resume);
    message.id = traffic->_labelled ? resume_id(traffic->_resume) : "";
    message.gap = traffic->_labelled ? resume_take_gap(traffic->_resume) : 0;
    traffic->_heard = uv_now(traffic->_idle.loop);
    if (traffic->_timed) {
        message.time = now();
        message.since_start = (int64_t) (uv_hrtime() - traffic->_start);
    }
    if (act(traffic, &message) != 0)
        traffic->_ops->on_done(traffic, CLIENT_OUTPUT, "out of memory");
    else if (was_last(traffic, &message))
        traffic->_ops->on_done(traffic, CLIENT_OK, "");
    else if (printer_pending(&traffic->_printer) >= PRINT_BATCH)
        traffic_print(traffic);
}

/* Timers run before the socket is read, and after a pause of the whole process (SIGSTOP) a message
 * may have been waiting there. For at most the time of --idle-timeout once more: a server that
 * always sends something need not ever send a message. */
static bool is_to_be_read(struct traffic *traffic, uint64_t now)
{
    if (!connection_has_input(traffic->_connection))
        return false;
    if (traffic->_overdue == 0)
        traffic->_overdue = now;
    return now - traffic->_overdue < traffic->_options->idle_timeout;
}

/* The timer is not set anew with each message, but when it has run out. Time in which we do not
 * read does not count. */
static void on_idle(uv_timer_t *timer)
{
    struct traffic *traffic = container_of(timer, struct traffic, _idle);
    uint64_t limit = traffic->_options->idle_timeout;
    uint64_t now = uv_now(timer->loop);
    uint64_t silent = now - traffic->_heard;

    if (printer_is_waiting(&traffic->_printer) ||
        (traffic->_options->command != NULL && runner_is_full(&traffic->_runner)))
        silent = 0;
    if (silent < limit)
        traffic->_overdue = 0;
    if (silent < limit)
        (void) uv_timer_start(timer, on_idle, limit - silent, 0);
    else if (is_to_be_read(traffic, now))
        (void) uv_timer_start(timer, on_idle, READ_FIRST, 0);
    else
        traffic->_ops->on_idle(traffic);
}

/* ---- life ---- */

int traffic_check(const struct client_options *options, struct error *error)
{
    if (options->bytes && options->command == NULL && isatty(STDOUT_FILENO) == 1)
        return error_set(error, UV_EINVAL,
                         "option '--binary-out': standard output is a terminal, which bytes could "
                         "harm; send it to a file or a pipe");
    return 0;
}

static bool is_coloured(const struct client_options *options, bool terminal)
{
    if (options->colour == CLIENT_COLOUR_AUTO)
        return options->command == NULL && json_view_wants_colour(terminal);
    return options->colour == CLIENT_COLOUR_ALWAYS;
}

/* What needs no loop. Returns 0, or an error with a text. */
static int init_acting(struct traffic *traffic, const char *url, struct error *error)
{
    const struct client_options *options = traffic->_options;
    bool terminal = options->command == NULL && isatty(STDOUT_FILENO) == 1;
    const struct render_config config = {
        .mode = options->mode,
        .stamps = options->stamps,
        .null = options->null,
        .escaped = terminal,
        .pretty = options->pretty,
        .colour = is_coloured(options, terminal),
        .format = options->format,
        .url = url,
    };
    int status = 0;

    if (options->until != NULL)
        status = until_new(&traffic->_until, options->until, error);
    if (status == 0)
        status = render_init(&traffic->_render, &config, error);
    if (status == 0)
        traffic->_timed = render_wants_time(&traffic->_render);
    if (status == 0)
        traffic->_labelled = render_wants_id(&traffic->_render);
    return status;
}

int traffic_init(struct traffic *traffic, uv_loop_t *loop, const struct traffic_config *config,
                 struct error *error)
{
    const struct client_options *options = config->options;
    const struct runner_config commands = {
        .command = options->command,
        .jobs = options->jobs,
        .timeout = options->exec_timeout,
        .stops_at_a_failure = options->exec_fail == CLIENT_EXEC_STOP,
    };
    int status;

    traffic->_options = options;
    traffic->_ops = config->ops;
    traffic->_resume = config->resume;
    traffic->_start = uv_hrtime();
    status = init_acting(traffic, config->url, error);
    if (status != 0)
        return status;
    (void) uv_timer_init(loop, &traffic->_greeting); /* which cannot fail */
    runner_init(&traffic->_runner, loop, &commands, &traffic_runner_ops);
    status = printer_init(&traffic->_printer, loop, on_printer_mark, on_printer_drained,
                          on_printer_broken);
    (void) uv_timer_init(loop, &traffic->_idle);
    if (status == 0 && options->send)
        status = input_init(&traffic->_input, loop, options->null ? '\0' : '\n', MAX_LINE,
                            &traffic_input_ops);
    if (status != 0)
        (void) error_set(error, status, "cannot start: %s", uv_strerror(status));
    return status;
}

void traffic_close(struct traffic *traffic)
{
    traffic_end(traffic);
    runner_close(&traffic->_runner);
    printer_close(&traffic->_printer);
    if (traffic->_options->send)
        input_close(&traffic->_input);
    uv_close((uv_handle_t *) &traffic->_greeting, NULL);
    uv_close((uv_handle_t *) &traffic->_idle, NULL);
}

void traffic_deinit(struct traffic *traffic)
{
    render_deinit(&traffic->_render);
    buffer_deinit(&traffic->_stdin);
    until_free(traffic->_until);
    traffic->_until = NULL;
}

void traffic_begin(struct traffic *traffic, struct connection *connection)
{
    uint64_t lost;
    int status;

    traffic->_connection = connection;
    status = resume_open(traffic->_resume, connection_last_event_id(connection),
                         !connection_is_echoed(connection), &lost);
    if (status != 0)
        cannot_store(traffic, status);
    else
        tell_gap(traffic, lost);
    aim(traffic);
    if (traffic->_connection == NULL)
        return; /* it is to end for that */
    traffic->_heard = uv_now(traffic->_idle.loop);
    traffic->_overdue = 0;
    if (traffic->_options->idle_timeout > 0)
        (void) uv_timer_start(&traffic->_idle, on_idle, traffic->_options->idle_timeout, 0);
    if (traffic->_options->messages.count > 0)
        (void) uv_timer_start(&traffic->_greeting, traffic_send_greeting, GREETING_DELAY, 0);
    else
        traffic_send_greeting(&traffic->_greeting);
}

void traffic_hold(struct traffic *traffic)
{
    traffic->_greeted = false;
    (void) uv_timer_stop(&traffic->_greeting);
    (void) uv_timer_stop(&traffic->_idle);
    if (traffic->_options->send)
        input_pause(&traffic->_input);
}

void traffic_end(struct traffic *traffic)
{
    traffic->_connection = NULL;
    traffic_hold(traffic);
}
