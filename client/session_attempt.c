#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/connect/passphrase.h"
#include "client/session_private.h"
#include "common/base/log.h"
#include "common/base/plural.h"

/* ---- what follows the end of a connection, or of an attempt ---- */

static bool is_retried(struct session *session, const struct outcome *outcome)
{
    bool done =
        outcome->exit == CLIENT_OK && (outcome->lasting || session->goal == SESSION_CLOSE_ON_EOF);

    if (!session->options->reconnect || done)
        return false;
    return !outcome->lasting || session->options->retry_all_errors ||
           (outcome->unauthorized && target_may_differ(&session->target));
}

/* What the server said about a refusal, behind the line that tells of it. */
static void tell_said(const struct session *session)
{
    const char *line = session->said;

    for (; line != NULL && *line != '\0'; line += strcspn(line, "\n") + 1)
        log_error("the server says: %.*s", (int) strcspn(line, "\n"), line);
}

static void plan_retry(struct session *session, const struct outcome *outcome)
{
    uint32_t random = 0;
    struct error why = {""};

    (void) uv_random(NULL, NULL, &random, sizeof random, 0, NULL); /* else: the shortest wait */
    if (backoff_next(&session->backoff, outcome->asked, random, &session->delay)) {
        session->next = NEXT_RETRY;
        session->why = outcome->error;
        return;
    }
    (void) error_set(&why, 0, "giving up after %llu %s: %s",
                     (unsigned long long) session->options->retries,
                     session->options->retries == 1 ? "retry" : "retries", outcome->error.text);
    session_end_decide(session, CLIENT_RETRIES, why.text);
}

/* How it ended is known: says what comes next, or what it all comes to. */
static void plan(struct session *session, const struct outcome *outcome)
{
    if (session->state != SESSION_RUNS)
        return;
    session->next = NEXT_NOTHING;
    free(session->said);
    session->said = outcome->said != NULL ? strdup(outcome->said) : NULL;
    if (outcome->location != NULL) {
        target_keep_cookies(&session->target, outcome->head);
        free(session->location);
        session->location = strdup(outcome->location);
        session->next = session->location != NULL ? NEXT_REDIRECT : NEXT_NOTHING;
    }
    if (session->goal == SESSION_RENEW)
        session->next = NEXT_AGAIN;
    else if (session->next == NEXT_NOTHING && is_retried(session, outcome))
        plan_retry(session, outcome);
    else if (session->next == NEXT_NOTHING)
        session_end_decide(session, outcome->exit,
                           outcome->exit != CLIENT_OK ? outcome->error.text : "");
    if (session->state != SESSION_RUNS)
        tell_said(session);
}

static void on_redirected(uv_timer_t *timer);
static void on_pause(uv_timer_t *timer);

static void wait_for_retry(struct session *session)
{
    (void) uv_timer_stop(&session->attempt);
    if (!session->options->quiet) {
        log_info("reconnecting in %.1f s: %s", (double) session->delay / 1000, session->why.text);
        tell_said(session);
    }
    monitor_state(&session->monitor, "waiting: %s", session->why.text);
    (void) uv_timer_start(&session->pause, on_pause, session->delay, 0);
}

/* Nothing of the connection is left: does what plan has said. */
static void go_on(struct session *session)
{
    struct outcome outcome = {.exit = CLIENT_REFUSED, .lasting = true};

    if (session->state == SESSION_RUNS && session->next == NEXT_REDIRECT) {
        if (target_redirect(&session->target, session->location, &outcome.error) == 0) {
            (void) uv_timer_start(&session->pause, on_redirected, 0, 0);
            return;
        }
        plan(session, &outcome);
    }
    if (session->goal == SESSION_RENEW)
        session->goal = SESSION_RECEIVE;
    if (session->state == SESSION_RUNS && session->next == NEXT_AGAIN)
        (void) uv_timer_start(&session->pause, on_pause, 0, 0);
    else if (session->state != SESSION_RUNS)
        session_end_when_printed(session);
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
    ready_tell(&session->ready, target_url(&session->target)->text);
    traffic_begin(&session->traffic, connection);
}

static void on_message(struct connection *connection, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct session *session = container_of(connection, struct session, connection);

    traffic_message(&session->traffic, opcode, data, len);
}

static void on_skipped(struct connection *connection)
{
    traffic_skip(&container_of(connection, struct session, connection)->traffic);
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
    plan(session, outcome);
}

static void on_closed(struct connection *connection)
{
    struct session *session = container_of(connection, struct session, connection);

    if (session->state != SESSION_EMPTIED)
        go_on(session);
}

const struct connection_ops session_connection_ops = {
    .on_open = on_open,
    .on_message = on_message,
    .on_skipped = on_skipped,
    .on_ping = on_ping,
    .on_flushed = on_flushed,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_failed(struct connector *connector, const struct outcome *outcome)
{
    struct session *session = container_of(connector, struct session, connector);

    plan(session, outcome);
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

const struct connector_ops session_connector_ops = {
    .on_connected = on_connected,
    .on_failed = on_failed,
};

/* ---- attempts ---- */

static void on_attempt_timeout(uv_timer_t *timer);

/* For wss:// the files of the options are read, once. */
static int need_tls(struct session *session, struct error *error)
{
    static const enum tls_cert_type types[] = {
        [CLIENT_CERT_ANY] = TLS_CERT_ANY,
        [CLIENT_CERT_PEM] = TLS_CERT_PEM,
        [CLIENT_CERT_P12] = TLS_CERT_P12,
    };
    const struct tls_files files = {
        .pairs = {{
            .cert = session->options->cert,
            .key = session->options->key,
            .type = types[session->options->cert_type],
            .passphrase = passphrase_get,
            .owner = (void *) (uintptr_t) session->options,
        }},
        .ca = session->options->cacert,
        .ca_directory = session->options->capath,
        .insecure = session->options->insecure,
    };

    int status;

    if (!target_url(&session->target)->secure || session->tls != NULL)
        return 0;
    status = tls_context_new_client(&session->tls, &files, error);
    /* The time in which a passphrase was typed is nobody's. */
    uv_update_time(&session->loop);
    if (session->options->connect_timeout > 0)
        (void) uv_timer_start(&session->attempt, on_attempt_timeout,
                              session->options->connect_timeout, 0);
    return status;
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

static void on_token(struct token_command *command, const char *token)
{
    struct session *session = container_of(command, struct session, token_command);
    struct outcome outcome = {.exit = CLIENT_CONNECT};

    if (target_set_token(&session->target, token, &outcome.error) == 0)
        connect_to_target(session);
    else
        on_failed(&session->connector, &outcome);
}

static void on_token_failed(struct token_command *command, const struct error *error)
{
    struct session *session = container_of(command, struct session, token_command);
    struct outcome outcome = {.exit = CLIENT_CONNECT, .error = *error};

    on_failed(&session->connector, &outcome);
}

const struct token_command_ops session_token_ops = {
    .on_token = on_token,
    .on_failed = on_token_failed,
};

static void on_attempt_timeout(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, attempt);
    const char *doing = token_command_is_running(&session->token_command)
                            ? "the command of --token-command has not ended"
                            : connector_doing(&session->connector);
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
    token_command_cancel(&session->token_command);
    on_failed(&session->connector, &outcome);
}

/* An attempt may lead from server to server. */
void session_attempt_begin(struct session *session)
{
    struct outcome outcome = {.exit = CLIENT_CONNECT};
    uint64_t limit = session->options->connect_timeout;

    target_reset(&session->target);
    session->goal = SESSION_RECEIVE;
    if (limit > 0)
        (void) uv_timer_start(&session->attempt, on_attempt_timeout, limit, 0);
    if (target_refresh(&session->target, &outcome.error) != 0)
        on_failed(&session->connector, &outcome);
    else if (session->options->token_command != NULL)
        token_command_start(&session->token_command);
    else
        connect_to_target(session);
}

static void on_redirected(uv_timer_t *timer)
{
    connect_to_target(container_of(timer, struct session, pause));
}

static void on_pause(uv_timer_t *timer)
{
    session_attempt_begin(container_of(timer, struct session, pause));
}
