#include "client/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/connect/backoff.h"
#include "client/connect/connection.h"
#include "client/connect/connector.h"
#include "client/connect/outcome.h"
#include "client/monitor/monitor.h"
#include "client/resume/resume.h"
#include "client/signals.h"
#include "client/target.h"
#include "client/wire/traffic.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/plural.h"
#include "common/base/process.h"

enum next {
    NEXT_NOTHING,
    NEXT_REDIRECT, /* go where the server says */
    NEXT_RETRY,    /* wait, and begin again */
    NEXT_AGAIN,    /* begin again at once */
};

struct session {
    const struct client_options *options;
    struct target target;
    struct resume resume;
    uv_loop_t loop;
    struct tls_context *tls; /* made when a wss: URL is first met */
    uv_prepare_t turn_end;
    uv_timer_t timeout;
    uv_timer_t attempt; /* --connect-timeout */
    uv_timer_t pause;   /* between two attempts */
    struct signals signals;
    struct connector connector;
    struct connection connection;
    struct traffic traffic;
    struct monitor monitor;

    enum next next; /* when the connection has closed, unless it is decided */
    char *location; /* NEXT_REDIRECT */
    uint64_t delay; /* NEXT_RETRY: milliseconds */
    struct error why;
    struct backoff backoff;

    bool decided; /* `exit` stands: what happens from here on does not change it */
    bool renewed; /* the connection is closed to be followed by another one */
    bool sent;    /* all that --input-eof close waits for: a Close of the server is the answer */
    bool hurried; /* by a signal or --timeout: a slow reader of our output is not waited for */
    bool ended;   /* the loop is being emptied */
    enum client_exit exit;
    int signal; /* that has ended it before it was done; 0: none */
};

/* ---- the end ---- */

/* The first to know the outcome decides the exit status, and says why. */
static void decide(struct session *session, enum client_exit status, const char *why)
{
    struct error error;

    if (session->decided)
        return;
    session->decided = true;
    if (status == CLIENT_OK && !traffic_is_complete(&session->traffic, &error)) {
        status = CLIENT_INCOMPLETE;
        why = error.text;
    }
    session->exit = status;
    if (*why != '\0')
        log_error("%s", why);
}

/* A signal has come while there is something left to do: that is how it ends. */
static void decide_by_signal(struct session *session, int signum)
{
    bool busy = !traffic_is_printed(&session->traffic) || traffic_is_running(&session->traffic);

    if (session->signal != 0 || (session->decided && !busy))
        return;
    session->decided = true;
    session->signal = signum;
}

/* Leaves at once what cannot be brought to an end. */
static _Noreturn void leave(const struct session *session)
{
    if (session->signal != 0)
        process_die_of(session->signal);
    _exit((int) session->exit);
}

/* Closes every handle: the loop runs empty. */
static void end(struct session *session)
{
    if (session->ended)
        return;
    session->ended = true;
    monitor_close(&session->monitor);
    connection_abort(&session->connection, UV_ECANCELED);
    connector_cancel(&session->connector);
    if (connector_is_stuck(&session->connector))
        leave(session); /* a resolver that hangs cannot be told to stop */
    traffic_close(&session->traffic);
    connection_close_handles(&session->connection);
    uv_close((uv_handle_t *) &session->turn_end, NULL);
    uv_close((uv_handle_t *) &session->timeout, NULL);
    uv_close((uv_handle_t *) &session->attempt, NULL);
    uv_close((uv_handle_t *) &session->pause, NULL);
    signals_close(&session->signals);
}

/* The connection is over. What it brought is still printed, however slow the reader, and commands
 * come to their end. */
static void end_when_printed(struct session *session)
{
    traffic_print(&session->traffic);
    if ((session->hurried || traffic_is_printed(&session->traffic)) &&
        !traffic_is_running(&session->traffic))
        end(session);
}

/* Nothing new is begun. */
static void stop_attempts(struct session *session)
{
    (void) uv_timer_stop(&session->pause);
    (void) uv_timer_stop(&session->attempt);
    connector_cancel(&session->connector);
    connection_abort(&session->connection, UV_ECANCELED);
}

/* We end it: with a closing handshake if the connection is open, else at once. */
static void finish(struct session *session, enum client_exit status, const char *why)
{
    decide(session, status, why);
    traffic_end(&session->traffic);
    if (connection_is_open(&session->connection)) {
        monitor_state(&session->monitor, "closing");
        connection_close(&session->connection);
    } else if (!session->sent || session->hurried) {
        stop_attempts(session);
        end_when_printed(session);
    } /* else the server's Close is on its way */
}

static void on_end_signal(struct signals *signals, int signum)
{
    struct session *session = container_of(signals, struct session, signals);

    session->hurried = true;
    if (session->ended)
        return;
    decide_by_signal(session, signum);
    traffic_hurry(&session->traffic);
    finish(session, CLIENT_OK, "");
}

static void on_timeout(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, timeout);
    struct error why = {""};

    session->hurried = true;
    if (session->ended)
        return;
    if (session->signal == 0 &&
        (!traffic_is_printed(&session->traffic) || traffic_is_running(&session->traffic)))
        session->decided = false;
    (void) error_set(&why, 0, "not done after the %g second%s of --timeout",
                     (double) session->options->timeout / 1000,
                     plural_seconds(session->options->timeout));
    finish(session, CLIENT_TIMEOUT, why.text);
    if (session->ended)
        return;
    connection_flush(&session->connection); /* the Close, if it can go now */
    end(session);                           /* its answer is not waited for: the time is up */
}

/* Runs before the loop waits for events: what the last ones brought goes out now. */
static void on_turn_end(uv_prepare_t *prepare)
{
    struct session *session = container_of(prepare, struct session, turn_end);

    if (session->ended)
        return;
    traffic_print(&session->traffic);
    connection_flush(&session->connection);
}

/* ---- traffic ---- */

static void on_traffic_done(struct traffic *traffic, int status, const char *why)
{
    struct session *session = container_of(traffic, struct session, traffic);

    /* The server may have closed already: what it said is lost or undone all the same. */
    if (status != CLIENT_OK && session->exit == CLIENT_OK)
        session->decided = false;
    finish(session, (enum client_exit) status, why);
}

/* How it ends is for the server's Close to decide, and what comes before that is printed. */
static void on_traffic_sent(struct traffic *traffic)
{
    struct session *session = container_of(traffic, struct session, traffic);

    session->sent = true;
    monitor_state(&session->monitor, "all is sent, closing");
    connection_close(&session->connection);
}

static void on_traffic_room(struct traffic *traffic)
{
    struct session *session = container_of(traffic, struct session, traffic);

    if (connection_is_live(&session->connection))
        connection_resume(&session->connection);
    else if (session->decided)
        end_when_printed(session);
}

static void on_traffic_dying(struct traffic *traffic)
{
    monitor_finish(&container_of(traffic, struct session, traffic)->monitor);
}

/* What was lost is said in any case; where it must not be, nothing more is heard. */
static void on_traffic_gap(struct traffic *traffic, uint64_t lost)
{
    struct session *session = container_of(traffic, struct session, traffic);

    monitor_gap(&session->monitor);
    if (lost == PLACE_UNKNOWN)
        log_error("gap: an unknown number of messages lost");
    else
        log_error("gap: %" PRIu64 " message%s lost", lost, plural(lost));
    if (session->options->fail_on_gap)
        finish(session, CLIENT_GAP, "");
}

static void on_traffic_idle(struct traffic *traffic)
{
    struct session *session = container_of(traffic, struct session, traffic);
    struct outcome outcome = {.exit = CLIENT_TIMEOUT};

    (void) error_set(&outcome.error, 0, "%s: no message for the %g second%s of --idle-timeout",
                     target_url(&session->target)->text,
                     (double) session->options->idle_timeout / 1000,
                     plural_seconds(session->options->idle_timeout));
    connection_give_up(&session->connection, &outcome);
}

static const struct traffic_ops session_traffic_ops = {
    .on_done = on_traffic_done,
    .on_sent = on_traffic_sent,
    .on_dying = on_traffic_dying,
    .on_room = on_traffic_room,
    .on_gap = on_traffic_gap,
    .on_idle = on_traffic_idle,
};

/* ---- what follows the end of a connection, or of an attempt ---- */

static bool is_retried(const struct session *session, const struct outcome *outcome)
{
    bool done = outcome->exit == CLIENT_OK && (outcome->lasting || session->sent);

    return session->options->reconnect && !done &&
           (!outcome->lasting || session->options->retry_all_errors);
}

static void plan_retry(struct session *session, const struct outcome *outcome)
{
    uint32_t random = 0;
    struct error why;

    (void) uv_random(NULL, NULL, &random, sizeof random, 0, NULL); /* else: the shortest wait */
    if (backoff_next(&session->backoff, outcome->asked, random, &session->delay)) {
        session->next = NEXT_RETRY;
        session->why = outcome->error;
        return;
    }
    (void) error_set(&why, 0, "giving up after %llu %s: %s",
                     (unsigned long long) session->options->retries,
                     session->options->retries == 1 ? "retry" : "retries", outcome->error.text);
    decide(session, CLIENT_RETRIES, why.text);
}

/* How it ended is known: says what comes next, or what it all comes to. */
static void judge(struct session *session, const struct outcome *outcome)
{
    if (session->decided)
        return;
    session->next = NEXT_NOTHING;
    if (outcome->location != NULL) {
        free(session->location);
        session->location = strdup(outcome->location);
        session->next = session->location != NULL ? NEXT_REDIRECT : NEXT_NOTHING;
    }
    if (session->renewed)
        session->next = NEXT_AGAIN;
    else if (session->next == NEXT_NOTHING && is_retried(session, outcome))
        plan_retry(session, outcome);
    else if (session->next == NEXT_NOTHING)
        decide(session, outcome->exit, outcome->exit != CLIENT_OK ? outcome->error.text : "");
}

static void on_redirected(uv_timer_t *timer);
static void on_pause(uv_timer_t *timer);

static void wait_for_retry(struct session *session)
{
    (void) uv_timer_stop(&session->attempt);
    if (!session->options->quiet)
        log_info("reconnecting in %.1f s: %s", (double) session->delay / 1000, session->why.text);
    monitor_state(&session->monitor, "waiting: %s", session->why.text);
    (void) uv_timer_start(&session->pause, on_pause, session->delay, 0);
}

/* Nothing of the connection is left: does what judge has said. */
static void go_on(struct session *session)
{
    struct outcome outcome = {.exit = CLIENT_REFUSED, .lasting = true};

    if (!session->decided && session->next == NEXT_REDIRECT) {
        if (target_redirect(&session->target, session->location, &outcome.error) == 0) {
            (void) uv_timer_start(&session->pause, on_redirected, 0, 0);
            return;
        }
        judge(session, &outcome);
    }
    session->renewed = false;
    if (!session->decided && session->next == NEXT_AGAIN)
        (void) uv_timer_start(&session->pause, on_pause, 0, 0);
    else if (session->decided)
        end_when_printed(session);
    else
        wait_for_retry(session);
}

/* ---- connections ---- */

static void on_open(struct connection *connection)
{
    struct session *session = container_of(connection, struct session, connection);

    monitor_state(&session->monitor, "connected to %s", target_url(&session->target)->text);
    if (!session->options->quiet)
        monitor_say(&session->monitor, "Connected to %s", target_url(&session->target)->text);
    (void) uv_timer_stop(&session->attempt);
    traffic_begin(&session->traffic, connection);
}

static void on_message(struct connection *connection, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct session *session = container_of(connection, struct session, connection);

    traffic_message(&session->traffic, opcode, data, len);
}

static void on_ping(struct connection *connection, const uint8_t *data, size_t len)
{
    traffic_ping(&container_of(connection, struct session, connection)->traffic, data, len);
}

static void on_flushed(struct connection *connection, int status)
{
    struct session *session = container_of(connection, struct session, connection);

    traffic_flushed(&session->traffic, status);
}

static void on_end(struct connection *connection, const struct outcome *outcome)
{
    struct session *session = container_of(connection, struct session, connection);

    traffic_end(&session->traffic);
    monitor_state(&session->monitor, "closed");
    backoff_held(&session->backoff, connection_age(connection));
    judge(session, outcome);
}

static void on_closed(struct connection *connection)
{
    struct session *session = container_of(connection, struct session, connection);

    if (!session->ended)
        go_on(session);
}

static const struct connection_ops session_connection_ops = {
    .on_open = on_open,
    .on_message = on_message,
    .on_ping = on_ping,
    .on_flushed = on_flushed,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_failed(struct connector *connector, const struct outcome *outcome)
{
    struct session *session = container_of(connector, struct session, connector);

    judge(session, outcome);
    go_on(session);
}

static void on_connected(struct connector *connector, int fd)
{
    struct session *session = container_of(connector, struct session, connector);
    const struct url *url = target_url(&session->target);
    struct client_handshake_request request = target_request(&session->target);
    struct outcome outcome = {.exit = CLIENT_CONNECT};
    int status = resume_ask(&session->resume, &request);

    if (status == 0)
        status = connection_start(&session->connection, fd, url, url->secure ? session->tls : NULL,
                                  &request);
    else
        (void) close(fd);
    if (status == 0)
        return;
    (void) error_set(&outcome.error, status, "cannot connect to %s: %s", url->text,
                     uv_strerror(status));
    on_failed(connector, &outcome);
}

static const struct connector_ops session_connector_ops = {
    .on_connected = on_connected,
    .on_failed = on_failed,
};

/* ---- attempts ---- */

/* For wss:// the files of the options are read, once. */
static int need_tls(struct session *session, struct error *error)
{
    const struct tls_files files = {
        .pairs = {{session->options->cert, session->options->key}},
        .ca = session->options->cacert,
        .insecure = session->options->insecure,
    };

    if (!target_url(&session->target)->secure || session->tls != NULL)
        return 0;
    return tls_context_new_client(&session->tls, &files, error);
}

static void connect_to_target(struct session *session)
{
    struct outcome outcome = {.exit = CLIENT_TLS, .lasting = true};

    monitor_state(&session->monitor, "connecting to %s", target_url(&session->target)->text);
    if (need_tls(session, &outcome.error) != 0)
        on_failed(&session->connector, &outcome);
    else
        connector_start(&session->connector, target_url(&session->target));
}

static void on_attempt_timeout(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, attempt);
    const char *doing = connector_doing(&session->connector);
    struct outcome outcome = {.exit = CLIENT_CONNECT};

    (void) error_set(&outcome.error, UV_ETIMEDOUT,
                     "cannot connect to %s in the %g second%s of --connect-timeout: %s",
                     target_url(&session->target)->text,
                     (double) session->options->connect_timeout / 1000,
                     plural_seconds(session->options->connect_timeout),
                     doing != NULL ? doing : "the server has not answered");
    if (doing == NULL) {
        connection_give_up(&session->connection, &outcome);
        return;
    }
    connector_cancel(&session->connector);
    on_failed(&session->connector, &outcome);
}

/* An attempt may lead from server to server. */
static void begin_attempt(struct session *session)
{
    uint64_t limit = session->options->connect_timeout;

    target_reset(&session->target);
    session->sent = false;
    if (limit > 0)
        (void) uv_timer_start(&session->attempt, on_attempt_timeout, limit, 0);
    connect_to_target(session);
}

static void on_redirected(uv_timer_t *timer)
{
    connect_to_target(container_of(timer, struct session, pause));
}

static void on_pause(uv_timer_t *timer)
{
    begin_attempt(container_of(timer, struct session, pause));
}

/* The connection is replaced by another one that goes on where it was; a wait for the next attempt
 * is over. What is on its way to a connection, or to the end, is left alone. */
static void on_reconnect_signal(struct signals *signals)
{
    struct session *session = container_of(signals, struct session, signals);

    if (session->ended || session->decided || session->sent || session->renewed)
        return;
    if (uv_timer_get_due_in(&session->pause) > 0 && uv_is_active((uv_handle_t *) &session->pause)) {
        (void) uv_timer_stop(&session->pause);
        begin_attempt(session);
    } else if (connection_is_open(&session->connection)) {
        session->renewed = true;
        traffic_hold(&session->traffic);
        monitor_state(&session->monitor, "closing, to connect again");
        connection_close(&session->connection);
    }
}

static const struct signals_ops session_signals_ops = {
    .on_end = on_end_signal,
    .on_reconnect = on_reconnect_signal,
};

/* ---- life ---- */

static void push(void *owner)
{
    traffic_push(&((struct session *) owner)->traffic);
}

static void init_handles(struct session *session)
{
    uv_loop_t *loop = &session->loop;

    monitor_init(&session->monitor, loop, session->options, push, session);
    /* None of these can fail: they ask nothing of the system that the loop has not got. */
    (void) uv_prepare_init(loop, &session->turn_end);
    (void) uv_prepare_start(&session->turn_end, on_turn_end);
    (void) uv_timer_init(loop, &session->timeout);
    (void) uv_timer_init(loop, &session->attempt);
    (void) uv_timer_init(loop, &session->pause);
    if (session->options->timeout > 0)
        (void) uv_timer_start(&session->timeout, on_timeout, session->options->timeout, 0);
    signals_init(&session->signals, loop, &session_signals_ops);
}

/* Everything that needs the loop. On failure, which it reports, what was made is left to the end of
 * the process. */
static int start(struct session *session)
{
    struct error error;
    int status = uv_loop_init(&session->loop);

    if (status == 0)
        status = connection_init(&session->connection, &session->loop, session->options,
                                 &session_connection_ops, &session->monitor);
    if (status != 0) {
        log_error("cannot start: %s", uv_strerror(status));
        return status;
    }
    status = traffic_init(&session->traffic, &session->loop,
                          &(struct traffic_config){
                              .options = session->options,
                              .url = target_url(&session->target)->text,
                              .resume = &session->resume,
                              .ops = &session_traffic_ops,
                          },
                          &error);
    if (status != 0) {
        log_error("%s", error.text);
        return status;
    }
    connector_init(&session->connector, &session->loop, session->options, &session_connector_ops);
    backoff_init(&session->backoff, session->options->retry_max_delay, session->options->retries);
    init_handles(session);
    return 0;
}

static void run(struct session *session)
{
    int status = start(session);

    if (status != 0) {
        session->exit = CLIENT_OUTPUT;
        return;
    }
    begin_attempt(session);
    (void) uv_run(&session->loop, UV_RUN_DEFAULT);
    connector_deinit(&session->connector);
    connection_deinit(&session->connection);
    traffic_deinit(&session->traffic);
    tls_context_free(session->tls);
    (void) uv_loop_close(&session->loop);
}

/* What can be wrong with the files that the options name. Returns 0, or an error with a text. */
static int prepare(struct session *session, struct error *error)
{
    const struct client_options *options = session->options;
    int status = traffic_check(options, error);

    if (status == 0)
        status = target_init(&session->target, options, error);
    if (status != 0)
        return status;
    status = resume_init(&session->resume, options, target_url(&session->target)->href, error);
    if (status != 0)
        target_deinit(&session->target);
    return status;
}

struct session_end session_run(const struct client_options *options)
{
    struct session *session = calloc(1, sizeof *session);
    struct session_end how = {.exit = CLIENT_OUTPUT};
    struct error error;
    int prepared;

    if (session == NULL) {
        log_error("out of memory");
        return how;
    }
    session->options = options;
    prepared = prepare(session, &error);
    if (prepared == 0) {
        run(session);
        resume_deinit(&session->resume);
        target_deinit(&session->target);
    } else {
        log_error("%s", error.text);
        session->exit = state_file_is_full(prepared) ? CLIENT_OUTPUT : CLIENT_USAGE;
    }
    how.exit = session->exit;
    how.signal = session->signal;
    free(session->location);
    free(session);
    return how;
}
