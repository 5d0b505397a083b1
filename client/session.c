#include "client/session.h"

#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/input.h"
#include "client/printer.h"
#include "common/escape.h"
#include "common/handshake.h"
#include "common/list.h"
#include "common/log.h"
#include "common/transport.h"
#include "common/url.h"
#include "common/utf8.h"

enum {
    CLOSING_TIMEOUT = 2 * 1000,   /* milliseconds for each step of the closing handshake */
    PRINT_BATCH = 64 * 1024,      /* bytes of lines that are written before the turn ends */
    SEND_QUEUE_HIGH = 256 * 1024, /* bytes of frames that wait: no more input is read */
    COMPRESSION_LEVEL = 6,
    /* Milliseconds between being connected and the first message of -m. A shell that starts three
     * listeners and one who speaks, all in one breath, means the three to hear it; each of them
     * takes some 10 ms to start. */
    GREETING_DELAY = 100,
};

struct session {
    const struct client_options *options;
    struct url url;
    uv_loop_t loop;
    struct transport_context transports;
    struct tls_context *tls; /* NULL: ws:// */
    uv_prepare_t turn_end;
    uv_timer_t timeout;
    uv_timer_t greeting; /* from the opening handshake to the messages of -m */
    bool greeted;        /* they are sent: now standard input may be, too */
    uv_signal_t sigint;
    uv_signal_t sigterm;
    struct printer printer;
    struct input input; /* only with -s */

    uv_getaddrinfo_t resolving;
    bool is_resolving;
    struct addrinfo *addresses;
    const struct addrinfo *address; /* the one that is tried */
    uv_connect_t connecting;
    int connect_status; /* why the last address failed */

    struct handshake_client handshake;
    struct http_head head;
    struct extension_deflate deflate;
    struct transport transport;
    bool transport_live; /* its on_closed has not run */

    uint64_t received;
    bool decided; /* `exit` stands: what happens from here on does not change it */
    bool hurried; /* by a signal or --timeout: a slow reader of our output is not waited for */
    bool ended;   /* the loop is being emptied */
    enum client_exit exit;
};

static void connect_next(struct session *session);

/* ---- the end ---- */

/* The first to know the outcome decides the exit status. True for that one: it may say why. */
static bool decide(struct session *session, enum client_exit status)
{
    if (session->decided)
        return false;
    session->decided = true;
    session->exit = status;
    return true;
}

/* Closes every handle: the loop runs empty. */
static void end(struct session *session)
{
    if (session->ended)
        return;
    session->ended = true;
    if (session->transport_live)
        transport_abort(&session->transport, UV_ECANCELED);
    if (session->is_resolving && uv_cancel((uv_req_t *) &session->resolving) == UV_EBUSY)
        _exit((int) session->exit); /* a resolver that hangs cannot be told to stop */
    printer_close(&session->printer);
    if (session->options->send)
        input_close(&session->input);
    transport_context_close(&session->transports);
    uv_close((uv_handle_t *) &session->turn_end, NULL);
    uv_close((uv_handle_t *) &session->timeout, NULL);
    uv_close((uv_handle_t *) &session->greeting, NULL);
    uv_close((uv_handle_t *) &session->sigint, NULL);
    uv_close((uv_handle_t *) &session->sigterm, NULL);
}

/* The connection is over. What it brought is still printed, however slow the reader. */
static void end_when_printed(struct session *session)
{
    printer_flush(&session->printer);
    if (session->hurried || printer_pending(&session->printer) == 0)
        end(session);
}

/* We end it: with a closing handshake if the connection is open, else at once. */
static void finish(struct session *session, enum client_exit status)
{
    (void) decide(session, status);
    if (session->transport_live && transport_is_open(&session->transport)) {
        transport_close(&session->transport, CLOSE_NORMAL, "");
        transport_resume(&session->transport); /* the server's Close wants to be read */
    } else {
        end(session);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct session *session = handle->data;

    (void) number;
    session->hurried = true;
    finish(session, CLIENT_OK);
}

static void on_timeout(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, timeout);

    session->hurried = true;
    if (session->ended)
        return;
    if (!session->decided || printer_pending(&session->printer) > 0) {
        session->decided = true;
        session->exit = CLIENT_TIMEOUT;
        log_error("not done after the %g seconds of --timeout",
                  (double) session->options->timeout / 1000);
    }
    finish(session, CLIENT_TIMEOUT);
    if (session->ended)
        return;
    (void) transport_flush(&session->transport, NULL, 0, false); /* the Close, if it can go now */
    end(session); /* its answer is not waited for: the time is up */
}

/* ---- printing ---- */

static void on_printer_drained(struct printer *printer)
{
    struct session *session = container_of(printer, struct session, printer);

    if (session->transport_live)
        transport_resume(&session->transport);
    else
        end(session);
}

static void on_printer_broken(struct printer *printer, int status)
{
    struct session *session = container_of(printer, struct session, printer);

    if (status == UV_EPIPE) { /* the reader is gone: die as any filter does */
        (void) signal(SIGPIPE, SIG_DFL);
        (void) raise(SIGPIPE);
    }
    if (decide(session, CLIENT_OUTPUT))
        log_error("cannot write to standard output: %s", uv_strerror(status));
    finish(session, CLIENT_OUTPUT);
}

/* Writes the lines; while the reader cannot take them, the socket is not read. */
static void flush_printer(struct session *session)
{
    printer_flush(&session->printer);
    if (printer_is_waiting(&session->printer) && session->transport_live && !session->decided)
        transport_pause(&session->transport);
}

static void send_message(struct session *session, enum frame_opcode opcode, const void *data,
                         size_t len)
{
    int status = transport_send(&session->transport, opcode, data, len);

    if (status == UV_ENOMEM || status == UV_EIO)
        transport_abort(&session->transport, status);
    /* A server that talks and does not listen: what we owe it stays bounded. */
    if (session->options->echo && transport_queued(&session->transport) > SEND_QUEUE_HIGH)
        transport_pause(&session->transport);
}

static void print_message(struct session *session, enum frame_opcode opcode, const uint8_t *data,
                          size_t len)
{
    if (printer_print(&session->printer, opcode, data, len) == 0)
        return;
    if (decide(session, CLIENT_OUTPUT))
        log_error("out of memory");
    end(session);
}

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct session *session = container_of(transport, struct session, transport);

    if (session->options->echo)
        send_message(session, opcode, data, len);
    else
        print_message(session, opcode, data, len);
    session->received++;
    if (session->received == session->options->count)
        finish(session, CLIENT_OK);
    else if (printer_pending(&session->printer) >= PRINT_BATCH)
        flush_printer(session);
}

/* Runs before the loop waits for events: what the last ones brought goes out now. */
static void on_turn_end(uv_prepare_t *prepare)
{
    struct session *session = container_of(prepare, struct session, turn_end);

    if (session->ended)
        return;
    flush_printer(session);
    transport_context_flush(&session->transports);
}

/* ---- sending ---- */

static void on_line(struct input *input, const uint8_t *line, size_t len)
{
    struct session *session = container_of(input, struct session, input);

    if (!utf8_valid(line, len)) {
        log_error("line %" PRIu64 " of standard input is not UTF-8: not sent", input_line(input));
        return;
    }
    send_message(session, FRAME_TEXT, line, len);
    if (transport_queued(&session->transport) > SEND_QUEUE_HIGH)
        input_pause(input);
}

static void flush(struct transport *transport)
{
    struct session *session = container_of(transport, struct session, transport);

    int status = transport_flush(transport, NULL, 0, false);

    if (session->options->echo && status != UV_EAGAIN)
        transport_resume(transport); /* also when writing is over: reading finds out how it ends */
    if (status == 0 && session->options->send && session->greeted && transport_is_open(transport))
        input_resume(&session->input);
}

static void on_drained(struct transport *transport, size_t passed)
{
    (void) passed;
    flush(transport);
}

/* ---- the opening handshake ---- */

/* Sends what -m asks for, and begins to send what comes from standard input. */
static void on_greeting(uv_timer_t *timer)
{
    struct session *session = container_of(timer, struct session, greeting);
    const struct client_options *options = session->options;

    if (!session->transport_live)
        return;
    session->greeted = true;
    for (size_t i = 0; i < options->message_count; i++)
        send_message(session, FRAME_TEXT, options->messages[i], strlen(options->messages[i]));
    if (options->send && transport_is_open(&session->transport))
        input_resume(&session->input);
}

static void open_session(struct session *session)
{
    const struct client_options *options = session->options;

    if (transport_open(&session->transport, &session->deflate) != 0) {
        transport_abort(&session->transport, UV_ENOMEM);
        return;
    }
    if (!options->quiet)
        (void) fprintf(stderr, "Connected to %s\n", options->url);
    if (options->message_count > 0)
        (void) uv_timer_start(&session->greeting, on_greeting, GREETING_DELAY, 0);
    else
        on_greeting(&session->greeting);
}

/* The response head is complete. True when frames follow. */
static bool judge_response(struct session *session)
{
    struct error error;
    int status =
        handshake_judge_response(&session->handshake, &session->head,
                                 !session->options->no_compression, &session->deflate, &error);

    if (status == 0)
        return true;
    if (decide(session, status == UV_EPROTO ? CLIENT_PROTOCOL : CLIENT_REFUSED))
        log_error("%s: %s", session->options->url, error.text);
    transport_abort(&session->transport, status);
    return false;
}

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct session *session = container_of(transport, struct session, transport);
    size_t used;

    switch (http_head_feed(&session->head, data, len, &used)) {
    case HTTP_HEAD_MORE:
        break;
    case HTTP_HEAD_DONE:
        if (judge_response(session)) {
            open_session(session);
            transport_input(transport, data + used, len - used);
        }
        break;
    case HTTP_HEAD_BAD:
        if (decide(session, CLIENT_PROTOCOL))
            log_error("%s: the server does not answer in HTTP: %s", session->options->url,
                      session->head.why);
        transport_abort(transport, UV_EPROTO);
        break;
    }
}

static void on_opening_timeout(struct transport *transport)
{
    transport_abort(transport, UV_ETIMEDOUT);
}

/* No Close came: who is to blame, and what to do. */
static void tell_lost(struct session *session, int status)
{
    const char *why = stream_error(&session->transport.stream);
    bool tls = why != NULL && status == UV_EPROTO;

    if (!decide(session, tls ? CLIENT_TLS : CLIENT_LOST))
        return;
    if (why == NULL)
        why = status == UV_EOF ? "the server ended it without a Close" : uv_strerror(status);
    log_error("%s: %s%s", session->options->url, tls ? "" : "connection lost: ", why);
}

static void on_end(struct transport *transport, const struct transport_end *end)
{
    struct session *session = container_of(transport, struct session, transport);
    const char *url = session->options->url;
    char reason[512];

    escape_text(reason, sizeof reason, end->reason, end->reason_len);
    if (end->fate == TRANSPORT_PEER_CLOSED) {
        bool clean = end->code == CLOSE_NORMAL || end->code == CLOSE_GOING_AWAY ||
                     end->code == CLOSE_NO_STATUS;

        if (decide(session, clean ? CLIENT_OK : CLIENT_CLOSED) && !clean)
            log_error("%s: the server closed with %u%s%s", url, end->code,
                      end->reason_len > 0 ? ": " : "", reason);
    } else if (end->fate == TRANSPORT_PEER_FAULT) {
        if (decide(session, CLIENT_PROTOCOL))
            log_error("%s: the server broke the protocol: %s (closed with %u)", url, reason,
                      end->code);
    } else if (session->address == NULL) {
        tell_lost(session, end->status);
    }
}

static void on_closed(struct transport *transport)
{
    struct session *session = container_of(transport, struct session, transport);

    session->transport_live = false;
    if (session->ended)
        return;
    if (session->address != NULL)
        connect_next(session);
    else
        end_when_printed(session);
}

static const struct transport_ops session_transport_ops = {
    .on_opening = on_opening,
    .on_opening_timeout = on_opening_timeout,
    .on_message = on_message,
    .flush = flush,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_closed,
};

/* ---- resolving and connecting ---- */

/* The connection stands: ask for the upgrade. */
static int begin_handshake(struct session *session)
{
    struct buffer *out = transport_opening_output(&session->transport);
    int status = 0;

    session->address = NULL; /* no other is tried from here on */
    stream_configure(&session->transport.stream);
    if (session->tls != NULL)
        status = stream_start_tls(&session->transport.stream, session->tls, session->url.host);
    if (status == 0)
        status = out != NULL ? handshake_client_init(&session->handshake) : UV_ENOMEM;
    if (status == 0)
        status = handshake_write_request(&session->handshake, out, session->url.authority,
                                         session->url.target, !session->options->no_compression);
    if (status == 0)
        status = transport_start(&session->transport);
    return status;
}

static void on_connect(uv_connect_t *request, int status)
{
    struct session *session = container_of(request, struct session, connecting);

    if (status == UV_ECANCELED)
        return; /* closed meanwhile: on_closed follows */
    if (status != 0)
        session->connect_status = status;
    else
        status = begin_handshake(session);
    if (status != 0)
        transport_abort(&session->transport, status);
}

/* Tries the address after the one that failed; after the last one, gives up. */
static void connect_next(struct session *session)
{
    const struct addrinfo *address =
        session->address != NULL ? session->address->ai_next : session->addresses;
    int status;

    session->address = address;
    if (address == NULL) {
        if (decide(session, CLIENT_CONNECT))
            log_error("cannot connect to %s: %s", session->url.authority,
                      uv_strerror(session->connect_status));
        end(session);
        return;
    }
    status = transport_init(&session->transport, &session->transports);
    if (status == 0) {
        session->transport_live = true;
        status = uv_tcp_connect(&session->connecting, &session->transport.stream.tcp,
                                address->ai_addr, on_connect);
        if (status != 0)
            transport_abort(&session->transport, status); /* and on_closed goes on to the next */
    } else {
        end(session);
    }
    if (status != 0)
        session->connect_status = status;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct session *session = container_of(request, struct session, resolving);

    session->is_resolving = false;
    session->addresses = addresses;
    if (session->ended)
        return;
    if (status != 0) {
        if (decide(session, CLIENT_CONNECT))
            log_error("cannot resolve '%s': %s", session->url.host, uv_strerror(status));
        end(session);
        return;
    }
    connect_next(session);
}

static int resolve(struct session *session)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    char port[6];
    int status;

    (void) snprintf(port, sizeof port, "%u", session->url.port);
    status = uv_getaddrinfo(&session->loop, &session->resolving, on_resolved, session->url.host,
                            port, &hints);
    session->is_resolving = status == 0;
    if (status != 0 && decide(session, CLIENT_CONNECT))
        log_error("cannot resolve '%s': %s", session->url.host, uv_strerror(status));
    return status;
}

/* ---- life ---- */

static void init_handles(struct session *session)
{
    uv_loop_t *loop = &session->loop;

    /* None of these can fail: they ask nothing of the system that the loop has not got. */
    (void) uv_prepare_init(loop, &session->turn_end);
    (void) uv_prepare_start(&session->turn_end, on_turn_end);
    (void) uv_timer_init(loop, &session->timeout);
    (void) uv_timer_init(loop, &session->greeting);
    if (session->options->timeout > 0)
        (void) uv_timer_start(&session->timeout, on_timeout, session->options->timeout, 0);
    (void) uv_signal_init(loop, &session->sigint);
    (void) uv_signal_init(loop, &session->sigterm);
    session->sigint.data = session;
    session->sigterm.data = session;
    (void) uv_signal_start(&session->sigint, on_signal, SIGINT);
    (void) uv_signal_start(&session->sigterm, on_signal, SIGTERM);
}

/* Everything that needs the loop. On failure what was made is left to the end of the process. */
static int start(struct session *session)
{
    const struct transport_config config = {
        .server = false,
        .max_message = session->options->max_message,
        .compression_level = COMPRESSION_LEVEL,
        .closing_timeout = CLOSING_TIMEOUT,
    };
    int status = uv_loop_init(&session->loop);

    if (status == 0)
        status = transport_context_init(&session->transports, &session->loop,
                                        &session_transport_ops, &config);
    if (status == 0)
        status = printer_init(&session->printer, &session->loop, session->options->raw,
                              on_printer_drained, on_printer_broken);
    if (status == 0 && session->options->send)
        status = input_init(&session->input, &session->loop, on_line);
    if (status == 0)
        init_handles(session);
    return status;
}

static void run(struct session *session)
{
    int status = start(session);

    if (status != 0) {
        session->exit = CLIENT_OUTPUT;
        log_error("cannot start: %s", uv_strerror(status));
        return;
    }
    http_head_init(&session->head, HTTP_HEAD_RESPONSE);
    if (resolve(session) != 0)
        end(session);
    (void) uv_run(&session->loop, UV_RUN_DEFAULT);
    http_head_deinit(&session->head);
    uv_freeaddrinfo(session->addresses);
    transport_context_deinit(&session->transports);
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
    if (url_init(&session->url, options->url, &error) != 0) {
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
