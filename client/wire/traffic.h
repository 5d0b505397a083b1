/* What goes through wsrecv: messages from a connection to standard output or to the command of
 * --exec, lines and the messages of -m the other way, and the back-pressure between the two ends.
 * It outlives connections. */
#ifndef WS_CLIENT_WIRE_TRAFFIC_H
#define WS_CLIENT_WIRE_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "client/connect/connection.h"
#include "client/options/client_options.h"
#include "client/output/printer.h"
#include "client/output/render.h"
#include "client/output/runner.h"
#include "client/output/until.h"
#include "client/resume/resume.h"
#include "common/base/error.h"
#include "common/base/input.h"

struct traffic;

struct traffic_ops {
    /* It is to end, with this status: all the messages that -n asks for have come, or the one that
     * --until waits for; a command has failed; standard output cannot be written, and then `why` is
     * one line for the user, else empty. */
    void (*on_done)(struct traffic *traffic, int status, const char *why);
    /* Standard input has ended, all of it is sent, and --input-eof wants a closing handshake. */
    void (*on_sent)(struct traffic *traffic);
    /* wsrecv is about to die of SIGPIPE, as any filter does. */
    void (*on_dying)(struct traffic *traffic);
    /* There is room for messages again after some had to wait, or a command has ended. */
    void (*on_room)(struct traffic *traffic);
    /* So many messages were lost, as in position.h. */
    void (*on_gap)(struct traffic *traffic, uint64_t lost);
    /* The connection is open, and no message has come for the time of --idle-timeout. */
    void (*on_idle)(struct traffic *traffic);
};

struct traffic {
    const struct client_options *_options;
    const struct traffic_ops *_ops;
    struct connection *_connection; /* the one that is open, or NULL */
    struct render _render;
    bool _timed;    /* it wants to know when messages came */
    bool _labelled; /* and what their IDs are */
    struct resume *_resume;
    struct printer _printer;
    struct runner _runner; /* only with --exec */
    struct buffer _stdin;  /* what a command is to get, while it is made */
    struct until *_until;  /* or NULL */
    bool _matched;         /* by --until */
    uint64_t _start;       /* uv_hrtime when it began */
    struct input _input;   /* only with -s */
    uv_timer_t _greeting;  /* from the opening handshake to the messages of -m */
    bool _greeted;         /* they are sent: now standard input may be, too */
    uint64_t _received;    /* through all connections */
    uv_timer_t _idle;
    uint64_t _heard;      /* when the last message came, by the loop's clock */
    uint64_t _overdue;    /* since when _idle waits for the socket to be read; 0: it does not */
    uint64_t _unsendable; /* lines of standard input that are no text */
    int _unstored;        /* why the place of what was printed could not be stored, until told */
};

/* Is there something about standard output that the options do not suit? Returns 0, or UV_EINVAL
 * with a text. */
int traffic_check(const struct client_options *options, struct error *error);

/* What a traffic is made of; all of it is borrowed for its life. */
struct traffic_config {
    const struct client_options *options;
    const char *url; /* printed with messages: without user name and password */
    struct resume *resume;
    const struct traffic_ops *ops;
};

/* Returns 0, or a negative UV_E* code with a text. */
int traffic_init(struct traffic *traffic, uv_loop_t *loop, const struct traffic_config *config,
                 struct error *error);

/* Stops for good; what is not printed is dropped, commands are killed. Run the loop once more, then
 * deinit. */
void traffic_close(struct traffic *traffic);
void traffic_deinit(struct traffic *traffic);

/* The connection is open (borrowed until traffic_end), within its on_open. */
void traffic_begin(struct traffic *traffic, struct connection *connection);

/* Nothing more is sent through the connection, which is to be followed by another one. What it
 * brings is heard until traffic_end. */
void traffic_hold(struct traffic *traffic);

/* Nothing goes through the connection any more. What it brought is still printed. */
void traffic_end(struct traffic *traffic);

/* A message has come; data is borrowed for the call. */
void traffic_message(struct traffic *traffic, enum frame_opcode opcode, const uint8_t *data,
                     size_t len);

/* A message has come that is not wanted: it counts, and is not printed. */
void traffic_skip(struct traffic *traffic);

/* A ping has come; data is borrowed for the call. */
void traffic_ping(struct traffic *traffic, const uint8_t *data, size_t len);

/* The connection has written; see connection_ops. */
void traffic_flushed(struct traffic *traffic, int status);

/* Prints what has come. Once, at the end of each loop turn. */
void traffic_print(struct traffic *traffic);

/* The same, before something is written to stderr, so that it does not overtake the messages before
 * it. May be called within anything; what goes wrong, traffic_print tells. */
void traffic_push(struct traffic *traffic);

/* True when all that has come is printed, or given to a command. */
bool traffic_is_printed(const struct traffic *traffic);

/* True while a command of --exec runs. */
bool traffic_is_running(const struct traffic *traffic);

/* The user wants it to end: commands get SIGTERM; called again, SIGKILL. */
void traffic_hurry(struct traffic *traffic);

/* Now that it ends: has all that was asked for happened, as -n, --until and --input-eof close have
 * it? If not, `error` says what has not; it is empty when that has been said before. */
bool traffic_is_complete(const struct traffic *traffic, struct error *error);

#endif
