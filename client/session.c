#include "client/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/connection.h"
#include "client/connector.h"
#include "client/outcome.h"
#include "client/traffic.h"
#include "common/list.h"
#include "common/log.h"
#include "common/url.h"

struct session {
    const struct client_options *options;
    struct url url;
    uv_loop_t loop;
    struct tls_context *tls; /* NULL: ws:// */
    uv_prepare_t turn_end;
    uv_timer_t timeout;
    uv_signal_t sigint;
    uv_signal_t sigterm;
    struct connector connector;
    struct connection connection;
    struct traffic traffic;

    bool decided; /* `exit` stands: what happens from here on does not change it */
    bool hurried; /* by a signal or --timeout: a slow reader of our output is not waited for */
    bool ended;   /* the loop is being emptied */
    enum client_exit exit;
};

/* ---- the end ---- */

/* The first to know the outcome decides the exit status, and says why. */
static void decide(struct session *session, enum client_exit status, const char *why)
{
    if (session->decided)
        return;
    session->decided = true;
    if (status == CLIENT_OK && traffic_is_unmatched(&session->traffic)) {
        status = CLIENT_UNMATCHED;
        why = "it ended before a message came that --until matches";
    }
    session->exit = status;
    if (*why != '\0')
        log_error("%s", why);
}

/* Closes every handle: the loop runs empty. */
static void end(struct session *session)
{
    if (session->ended)
        return;
    session->ended = true;
    connection_abort(&session->connection, UV_ECANCELED);
    connector_cancel(&session->connector);
    if (connector_is_stuck(&session->connector))
        _exit((int) session->exit); /* a resolver that hangs cannot be told to stop */
    traffic_close(&session->traffic);
    connection_close_handles(&session->connection);
    uv_close((uv_handle_t *) &session->turn_end, NULL);
    uv_close((uv_handle_t *) &session->timeout, NULL);
    uv_close((uv_handle_t *) &session->sigint, NULL);
    uv_close((uv_handle_t *) &session->sigterm, NULL);
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

/* We end it: with a closing handshake if the connection is open, else at once. */
static void finish(struct session *session, enum client_exit status, const char *why)
{
    decide(session, status, why);
    traffic_end(&session->traffic);
    if (connection_is_open(&session->connection))
        connection_close(&session->connection);
    else if (!traffic_is_running(&session->traffic)) /* else its end is waited for */
        end(session);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct session *session = handle->data;

    (void) number;
    session->hurried = true;
    if (session->ended)
        return;
    traffic_hurry(&session->traffic);
    finish(session, CLIENT_OK, "");
}

static void on_timeout(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, timeout);
    struct error why;

    session->hurried = true;
    if (session->ended)
        return;
    if (!traffic_is_printed(&session->traffic) || traffic_is_running(&session->traffic))
        session->decided = false;
    (void) error_set(&why, 0, "not done after the %g seconds of --timeout",
                     (double) session->options->timeout / 1000);
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
    connection_close(&container_of(traffic, struct session, traffic)->connection);
}

static void on_traffic_room(struct traffic *traffic)
{
    struct session *session = container_of(traffic, struct session, traffic);

    if (connection_is_live(&session->connection))
        connection_resume(&session->connection);
    else
        end_when_printed(session);
}

static const struct traffic_ops session_traffic_ops = {
    .on_done = on_traffic_done,
    .on_sent = on_traffic_sent,
    .on_room = on_traffic_room,
};

/* ---- connections ---- */

static void on_open(struct connection *connection)
{
    struct session *session = container_of(connection, struct session, connection);

    if (!session->options->quiet)
        (void) fprintf(stderr, "Connected to %s\n", session->options->url);
    traffic_begin(&session->traffic, connection);
}

static void on_message(struct connection *connection, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct session *session = container_of(connection, struct session, connection);

    traffic_message(&session->traffic, opcode, data, len);
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
    decide(session, outcome->exit, outcome->error.text);
}

static void on_closed(struct connection *connection)
{
    struct session *session = container_of(connection, struct session, connection);

    if (!session->ended)
        end_when_printed(session);
}

static const struct connection_ops session_connection_ops = {
    .on_open = on_open,
    .on_message = on_message,
    .on_flushed = on_flushed,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_failed(struct connector *connector, const struct outcome *outcome)
{
    struct session *session = container_of(connector, struct session, connector);

    decide(session, outcome->exit, outcome->error.text);
    end(session);
}

static void on_connected(struct connector *connector, int fd)
{
    struct session *session = container_of(connector, struct session, connector);
    int status = connection_start(&session->connection, fd, &session->url, session->tls);

    if (status == 0)
        return;
    decide(session, CLIENT_CONNECT, uv_strerror(status));
    end(session);
}

static const struct connector_ops session_connector_ops = {
    .on_connected = on_connected,
    .on_failed = on_failed,
};

/* ---- life ---- */

static void init_handles(struct session *session)
{
    uv_loop_t *loop = &session->loop;

    /* None of these can fail: they ask nothing of the system that the loop has not got. */
    (void) uv_prepare_init(loop, &session->turn_end);
    (void) uv_prepare_start(&session->turn_end, on_turn_end);
    (void) uv_timer_init(loop, &session->timeout);
    if (session->options->timeout > 0)
        (void) uv_timer_start(&session->timeout, on_timeout, session->options->timeout, 0);
    (void) uv_signal_init(loop, &session->sigint);
    (void) uv_signal_init(loop, &session->sigterm);
    session->sigint.data = session;
    session->sigterm.data = session;
    (void) uv_signal_start(&session->sigint, on_signal, SIGINT);
    (void) uv_signal_start(&session->sigterm, on_signal, SIGTERM);
}

/* Everything that needs the loop. On failure, which it reports, what was made is left to the end of the process. */
static int start(struct session *session)
{
    struct error error;
    int status = uv_loop_init(&session->loop);

    if (status == 0)
        status = connection_init(&session->connection, &session->loop, session->options,
                                 &session_connection_ops);
    if (status != 0) {
        log_error("cannot start: %s", uv_strerror(status));
        return status;
    }
    status = traffic_init(&session->traffic, &session->loop, session->options, &session_traffic_ops,
                          &error);
    if (status != 0) {
        log_error("%s", error.text);
        return status;
    }
    connector_init(&session->connector, &session->loop, session->options, &session_connector_ops);
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
    connector_start(&session->connector, &session->url);
    (void) uv_run(&session->loop, UV_RUN_DEFAULT);
    connection_deinit(&session->connection);
    traffic_deinit(&session->traffic);
    tls_context_free(session->tls);
    (void) uv_loop_close(&session->loop);
}

/* For wss:// the files of the options are read. Returns 0, or has said what is wrong with them. */
static int prepare_tls(struct session *session)
{
    struct tls_files files = {
        .cert = session->options->cert,
        .key = session->options->key,
        .ca = session->options->cacert,
        .insecure = session->options->insecure,
    };
    struct error error;
    int status = 0;

    if (session->url.secure)
        status = tls_context_new_client(&session->tls, &files, &error);
    if (status != 0)
        log_error("%s", error.text);
    return status;
}

enum client_exit session_run(const struct client_options *options)
{
    struct session *session = calloc(1, sizeof *session);
    struct error error;
    enum client_exit status;

    if (session == NULL) {
        log_error("out of memory");
        return CLIENT_OUTPUT;
    }
    session->options = options;
    if (url_init(&session->url, options->url, &error) != 0 || traffic_check(options, &error) != 0) {
        log_error("%s", error.text);
        session->exit = CLIENT_USAGE;
    } else if (prepare_tls(session) != 0) {
        session->exit = CLIENT_TLS;
    } else {
        run(session);
    }
    status = session->exit;
    url_deinit(&session->url);
    free(session);
    return status;
}
