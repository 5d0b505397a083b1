#include <inttypes.h>

#include "client/wire/traffic_private.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/utf8.h"

enum { SEND_QUEUE_HIGH = 256 * 1024 }; /* bytes of frames that wait: no more input is read */

static bool is_open(const struct traffic *traffic)
{
    return traffic->_connection != NULL && connection_is_open(traffic->_connection);
}

/* The server may leave out what it gets from us when it counts on. */
static void send_message(struct traffic *traffic, enum frame_opcode opcode, const void *data,
                         size_t len)
{
    connection_send(traffic->_connection, opcode, data, len);
    resume_sent(traffic->_resume);
}

/* A server that talks and does not listen: what we owe it stays bounded. */
void traffic_send_echo(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    send_message(traffic, opcode, data, len);
    if (connection_queued(traffic->_connection) > SEND_QUEUE_HIGH)
        connection_pause(traffic->_connection);
}

static void on_line(struct input *input, const uint8_t *line, size_t len)
{
    struct traffic *traffic = container_of(input, struct traffic, _input);
    bool binary = traffic->_options->send_binary;

    if (!binary && !utf8_valid(line, len)) {
        traffic->_unsendable++;
        log_error("line %" PRIu64 " of standard input is not UTF-8: not sent", input_line(input));
        return;
    }
    if (traffic->_connection == NULL)
        return;
    send_message(traffic, binary ? FRAME_BINARY : FRAME_TEXT, line, len);
    if (traffic->_connection == NULL || connection_queued(traffic->_connection) > SEND_QUEUE_HIGH)
        input_pause(input);
}

/* Tells when all that there was to send is with the socket. */
static void tell_if_sent(struct traffic *traffic)
{
    if (traffic->_options->input_eof == CLIENT_EOF_CLOSE && traffic->_greeted && is_open(traffic) &&
        input_is_ended(&traffic->_input) && connection_queued(traffic->_connection) == 0)
        traffic->_ops->on_sent(traffic);
}

static void on_input_end(struct input *input)
{
    tell_if_sent(container_of(input, struct traffic, _input));
}

const struct input_ops traffic_input_ops = {.on_line = on_line, .on_end = on_input_end};

void traffic_flushed(struct traffic *traffic, int status)
{
    if (traffic->_connection == NULL)
        return;
    if (traffic->_options->echo && status != UV_EAGAIN) /* also when writing is over: */
        connection_resume(traffic->_connection);        /* reading finds out how it ends */
    if (status != 0 || !traffic->_options->send || !traffic->_greeted || !is_open(traffic))
        return;
    input_resume(&traffic->_input);
    tell_if_sent(traffic);
}

/* Sends what -m asks for, and begins to send what comes from standard input. */
void traffic_send_greeting(uv_timer_t *timer)
{
    struct traffic *traffic = container_of(timer, struct traffic, _greeting);
    const struct client_options *options = traffic->_options;

    traffic->_greeted = true;
    for (size_t i = 0; i < options->messages.count && is_open(traffic); i++) {
        const struct buffer *content = &options->messages.items[i].content;

        send_message(traffic, options->message_binary ? FRAME_BINARY : FRAME_TEXT, content->data,
                     content->len);
    }
    if (!options->send || !is_open(traffic))
        return;
    input_resume(&traffic->_input);
    tell_if_sent(traffic);
}
