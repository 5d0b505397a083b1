/* What goes through wsrecv: messages from a connection to standard output, lines and the messages
 * of -m the other way, and the back-pressure between the two ends. It outlives connections. */
#ifndef WS_TRAFFIC_H
#define WS_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "client/client_options.h"
#include "client/connection.h"
#include "client/input.h"
#include "client/printer.h"

struct traffic;

struct traffic_ops {
    /* All the messages that -n asks for have come. */
    void (*on_done)(struct traffic *traffic);
    /* Standard output cannot be written; `why` is one line for the user. */
    void (*on_broken)(struct traffic *traffic, const char *why);
    /* All is printed, after some had to wait. */
    void (*on_printed)(struct traffic *traffic);
};

struct traffic {
    const struct client_options *_options;
    const struct traffic_ops *_ops;
    struct connection *_connection; /* the one that is open, or NULL */
    struct printer _printer;
    struct input _input;  /* only with -s */
    uv_timer_t _greeting; /* from the opening handshake to the messages of -m */
    bool _greeted;        /* they are sent: now standard input may be, too */
    uint64_t _received;
};

/* Pointers are borrowed for the life of the traffic. Returns 0 or a negative UV_E* code. */
int traffic_init(struct traffic *traffic, uv_loop_t *loop, const struct client_options *options,
                 const struct traffic_ops *ops);

/* Stops for good; what is not printed is dropped. Run the loop once more afterwards. */
void traffic_close(struct traffic *traffic);

/* The connection is open (borrowed until traffic_end). */
void traffic_begin(struct traffic *traffic, struct connection *connection);

/* Nothing goes through the connection any more. What it brought is still printed. */
void traffic_end(struct traffic *traffic);

/* A message has come; data is borrowed for the call. */
void traffic_message(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data,
                     size_t len);

/* The connection has written; see connection_ops. */
void traffic_flushed(struct traffic *traffic, int status);

/* Prints what has come. Once, at the end of each loop turn. */
void traffic_print(struct traffic *traffic);

/* True when all that has come is printed. */
bool traffic_is_printed(const struct traffic *traffic);

#endif
