#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/session_private.h"
#include "common/base/log.h"
#include "common/base/plural.h"
#include "common/base/process.h"

void session_end_decide(struct session *session, enum client_exit status, const char *why)
{
    struct error error;

    if (session->state != SESSION_RUNS)
        return;
    session->state = SESSION_DECIDED;
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

    if (session->signal != 0 || (session->state != SESSION_RUNS && !busy))
        return;
    session->state = SESSION_DECIDED;
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
    if (session->state == SESSION_EMPTIED)
        return;
    session->state = SESSION_EMPTIED;
    monitor_close(&session->monitor);
    connection_abort(&session->connection, UV_ECANCELED);
    connector_cancel(&session->connector);
    token_command_cancel(&session->token_command);
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

void session_end_when_printed(struct session *session)
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
    token_command_cancel(&session->token_command);
    connection_abort(&session->connection, UV_ECANCELED);
}

/* We end it: with a closing handshake if the connection is open, else at once. */
static void finish(struct session *session, enum client_exit status, const char *why)
{
    session_end_decide(session, status, why);
    traffic_end(&session->traffic);
    if (connection_is_open(&session->connection)) {
        monitor_state(&session->monitor, "closing");
        connection_end(&session->connection);
    } else if (session->goal != SESSION_CLOSE_ON_EOF || session->hurried) {
        stop_attempts(session);
        session_end_when_printed(session);
    } /* else the server's Close is on its way */
}

static void on_end_signal(struct signals *signals, int signum)
{
    struct session *session = container_of(signals, struct session, signals);

    session->hurried = true;
    if (session->state == SESSION_EMPTIED)
        return;
    decide_by_signal(session, signum);
    traffic_hurry(&session->traffic);
    finish(session, CLIENT_OK, "");
}

void session_end_on_timeout(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, timeout);
    struct error why = {""};

    session->hurried = true;
    if (session->state == SESSION_EMPTIED)
        return;
    if (session->signal == 0 &&
        (!traffic_is_printed(&session->traffic) || traffic_is_running(&session->traffic)))
        session->state = SESSION_RUNS;
    (void) error_set(&why, 0, "not done after the %g second%s of --timeout",
                     (double) session->options->timeout / 1000,
                     plural_seconds(session->options->timeout));
    finish(session, CLIENT_TIMEOUT, why.text);
    if (session->state == SESSION_EMPTIED)
        return;
    connection_flush(&session->connection); /* the Close, if it can go now */
    end(session);                           /* its answer is not waited for: the time is up */
}

/* Runs before the loop waits for events: what the last ones brought goes out now. */
void session_end_on_turn_end(uv_prepare_t *prepare)
{
    struct session *session = container_of(prepare, struct session, turn_end);

    if (session->state == SESSION_EMPTIED)
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
        session->state = SESSION_RUNS;
    finish(session, (enum client_exit) status, why);
}

/* How it ends is for the server's Close to decide, and what comes before that is printed. */
static void on_traffic_sent(struct traffic *traffic)
{
    struct session *session = container_of(traffic, struct session, traffic);

    session->goal = SESSION_CLOSE_ON_EOF;
    monitor_state(&session->monitor, "all is sent, closing");
    connection_end(&session->connection);
}

static void on_traffic_room(struct traffic *traffic)
{
    struct session *session = container_of(traffic, struct session, traffic);

    if (connection_is_live(&session->connection))
        connection_resume(&session->connection);
    else if (session->state != SESSION_RUNS)
        session_end_when_printed(session);
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
    if (lost == POSITION_UNKNOWN)
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

const struct traffic_ops session_traffic_ops = {
    .on_done = on_traffic_done,
    .on_sent = on_traffic_sent,
    .on_dying = on_traffic_dying,
    .on_room = on_traffic_room,
    .on_gap = on_traffic_gap,
    .on_idle = on_traffic_idle,
};

/* ---- signals ---- */

/* The connection is replaced by another one that goes on where it was; a wait for the next attempt
 * is over. What is on its way to a connection, or to the end, is left alone. */
static void on_reconnect_signal(struct signals *signals)
{
    struct session *session = container_of(signals, struct session, signals);

    if (session->state != SESSION_RUNS || session->goal != SESSION_RECEIVE)
        return;
    if (uv_timer_get_due_in(&session->pause) > 0 && uv_is_active((uv_handle_t *) &session->pause)) {
        (void) uv_timer_stop(&session->pause);
        session_attempt_begin(session);
    } else if (connection_is_open(&session->connection)) {
        session->goal = SESSION_RENEW;
        traffic_hold(&session->traffic);
        monitor_state(&session->monitor, "closing, to connect again");
        connection_close(&session->connection);
    }
}

const struct signals_ops session_signals_ops = {
    .on_end = on_end_signal,
    .on_reconnect = on_reconnect_signal,
};
