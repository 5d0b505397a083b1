/* A broadcast server on libwebsockets, for comparison: every text goes to everybody, with the
 * prefix. Messages are in a ring, and each connection has its own place in it; one message is
 * written in a writable callback, as the library wants it. */
#include <libwebsockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 65536, BIGGEST = 1024 * 1024 }; /* messages kept; bytes of one */

struct message {
    unsigned char *data; /* LWS_PRE bytes, then the text */
    size_t len;
};

struct connection {
    uint64_t next; /* the message it gets next */
    unsigned char *text;
    size_t len; /* of a message that arrives in pieces */
};

static struct message ring[RING];
static uint64_t newest;
static volatile sig_atomic_t stopped;
static const char prefix[] = "Message: ";

static void publish(const unsigned char *text, size_t len)
{
    struct message *message = &ring[newest++ % RING];

    free(message->data);
    message->len = sizeof prefix - 1 + len;
    message->data = malloc(LWS_PRE + message->len);
    if (message->data == NULL)
        exit(1);
    memcpy(message->data + LWS_PRE, prefix, sizeof prefix - 1);
    memcpy(message->data + LWS_PRE + sizeof prefix - 1, text, len);
}

static int receive(struct lws *wsi, struct connection *connection, const void *in, size_t len)
{
    unsigned char *text = NULL;

    if (connection->len + len <= BIGGEST)
        text = realloc(connection->text, connection->len + len + 1);
    if (text == NULL)
        return -1;
    memcpy(text + connection->len, in, len);
    connection->text = text;
    connection->len += len;
    if (lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0) {
        publish(text, connection->len);
        connection->len = 0;
        lws_callback_on_writable_all_protocol(lws_get_context(wsi), lws_get_protocol(wsi));
    }
    return 0;
}

static int write_next(struct lws *wsi, struct connection *connection)
{
    struct message *message = &ring[connection->next % RING];

    if (connection->next == newest)
        return 0;
    if (newest - connection->next > RING)
        return -1; /* too slow */
    connection->next++;
    if (lws_write(wsi, message->data + LWS_PRE, message->len, LWS_WRITE_TEXT) < 0)
        return -1;
    if (connection->next < newest)
        lws_callback_on_writable(wsi);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct connection *connection = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        *connection = (struct connection){.next = newest};
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return receive(wsi, connection, in, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_next(wsi, connection);
    case LWS_CALLBACK_CLOSED:
        free(connection->text);
        return 0;
    default:
        return 0;
    }
}

static void on_signal(int number)
{
    (void) number;
    stopped = 1;
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {.name = "broadcast",
         .callback = on_event,
         .per_session_data_size = sizeof(struct connection),
         .rx_buffer_size = 32 * 1024},
        {.name = NULL},
    };
    struct lws_context_creation_info info = {
        .port = argc > 1 ? (int) strtol(argv[1], NULL, 10) : 8000,
        .iface = "127.0.0.1",
        .protocols = protocols,
        .gid = -1,
        .uid = -1,
    };
    struct lws_context *context;

    lws_set_log_level(LLL_ERR, NULL);
    (void) signal(SIGTERM, on_signal);
    context = lws_create_context(&info);
    if (context == NULL)
        return 1;
    while (!stopped && lws_service(context, 0) >= 0)
        ;
    lws_context_destroy(context);
    return 0;
}
