#include "client/traffic.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "common/error.h"
#include "common/list.h"
#include "common/log.h"
#include "common/utf8.h"

enum {
    PRINT_BATCH = 64 * 1024,      /* bytes of lines that are written before the turn ends */
    SEND_QUEUE_HIGH = 256 * 1024, /* bytes of frames that wait: no more input is read */
    /* Milliseconds between being connected and the first message of -m. A shell that starts three
     * listeners and one who speaks, all in one breath, means the three to hear it; each of them
     * takes some 10 ms to start. */
    GREETING_DELAY = 100,
};

static bool is_open(const struct traffic *traffic)
{
    return traffic->_connection != NULL && connection_is_open(traffic->_connection);
}

/* ---- printing ---- */

static void on_printer_drained(struct printer *printer)
{
    struct traffic *traffic = container_of(printer, struct traffic, _printer);

    traffic->_ops->on_printed(traffic);
}

static void on_printer_broken(struct printer *printer, int status)
{
    struct traffic *traffic = container_of(printer, struct traffic, _printer);
    struct error error;

    if (status == UV_EPIPE) { /* the reader is gone: die as any filter does */
        (void) signal(SIGPIPE, SIG_DFL);
        (void) raise(SIGPIPE);
    }
    (void) error_set(&error, status, "cannot write to standard output: %s", uv_strerror(status));
    traffic->_ops->on_broken(traffic, error.text);
}

/* While the reader cannot take the lines, the socket is not read. */
void traffic_print(struct traffic *traffic)
{
    printer_flush(&traffic->_printer);
    if (printer_is_waiting(&traffic->_printer) && traffic->_connection != NULL)
        connection_pause(traffic->_connection);
}

bool traffic_is_printed(const struct traffic *traffic)
{
    return printer_pending(&traffic->_printer) == 0;
}

/* A server that talks and does not listen: what we owe it stays bounded. */
static void echo(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data, size_t len)
{
    connection_send(traffic->_connection, opcode, data, len);
    if (connection_queued(traffic->_connection) > SEND_QUEUE_HIGH)
        connection_pause(traffic->_connection);
}

void traffic_message(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data,
                     size_t len)
{
    if (traffic->_connection == NULL)
        return;
    if (traffic->_options->echo) {
        echo(traffic, opcode, data, len);
    } else if (printer_print(&traffic->_printer, opcode, data, len) != 0) {
        traffic->_ops->on_broken(traffic, "out of memory");
        return;
    }
    traffic->_received++;
    if (traffic->_received == traffic->_options->count)
        traffic->_ops->on_done(traffic);
    else if (printer_pending(&traffic->_printer) >= PRINT_BATCH)
        traffic_print(traffic);
}

/* ---- sending ---- */

static void on_line(struct input *input, const uint8_t *line, size_t len)
{
    struct traffic *traffic = container_of(input, struct traffic, _input);

    if (!utf8_valid(line, len)) {
        log_error("line %" PRIu64 " of standard input is not UTF-8: not sent", input_line(input));
        return;
    }
    if (traffic->_connection == NULL)
        return;
    connection_send(traffic->_connection, FRAME_TEXT, line, len);
    if (traffic->_connection == NULL || connection_queued(traffic->_connection) > SEND_QUEUE_HIGH)
        input_pause(input);
}

void traffic_flushed(struct traffic *traffic, int status)
{
    if (traffic->_connection == NULL)
        return;
    if (traffic->_options->echo && status != UV_EAGAIN) /* also when writing is over: */
        connection_resume(traffic->_connection);        /* reading finds out how it ends */
    if (status == 0 && traffic->_options->send && traffic->_greeted && is_open(traffic))
        input_resume(&traffic->_input);
}

/* Sends what -m asks for, and begins to send what comes from standard input. */
static void on_greeting(uv_timer_t *timer)
{
    struct traffic *traffic = container_of(timer, struct traffic, _greeting);
    const struct client_options *options = traffic->_options;

    traffic->_greeted = true;
    for (size_t i = 0; i < options->message_count && is_open(traffic); i++)
        connection_send(traffic->_connection, FRAME_TEXT, options->messages[i],
                        strlen(options->messages[i]));
    if (options->send && is_open(traffic))
        input_resume(&traffic->_input);
}

/* ---- life ---- */

int traffic_init(struct traffic *traffic, uv_loop_t *loop, const struct client_options *options,
                 const struct traffic_ops *ops)
{
    int status;

    traffic->_options = options;
    traffic->_ops = ops;
    (void) uv_timer_init(loop, &traffic->_greeting); /* which cannot fail */
    status =
        printer_init(&traffic->_printer, loop, options->raw, on_printer_drained, on_printer_broken);
    if (status == 0 && options->send)
        status = input_init(&traffic->_input, loop, on_line);
    return status;
}

void traffic_close(struct traffic *traffic)
{
    traffic_end(traffic);
    printer_close(&traffic->_printer);
    if (traffic->_options->send)
        input_close(&traffic->_input);
    uv_close((uv_handle_t *) &traffic->_greeting, NULL);
}

void traffic_begin(struct traffic *traffic, struct connection *connection)
{
    traffic->_connection = connection;
    if (traffic->_options->message_count > 0)
        (void) uv_timer_start(&traffic->_greeting, on_greeting, GREETING_DELAY, 0);
    else
        on_greeting(&traffic->_greeting);
}

void traffic_end(struct traffic *traffic)
{
    traffic->_connection = NULL;
    traffic->_greeted = false;
    (void) uv_timer_stop(&traffic->_greeting);
    if (traffic->_options->send)
        input_pause(&traffic->_input);
}
