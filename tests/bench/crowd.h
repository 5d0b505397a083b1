/* The generator's connections and the one loop that they share.
 *
 *     CONNECTING ─► SECURING (TLS only) ─► REQUESTED ─► OPEN ─► CLOSING ─► CLOSED
 *
 * Reads are edge-triggered and go into one buffer for all; frames are parsed where they lie. Only
 * what is left of a frame that was cut is kept with its connection. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "tests/bench/flight.h"
#include "tests/bench/inflated.h"
#include "tests/bench/load_options.h"
#include "tests/bench/payload.h"

struct check; /* what is remembered of a subscriber that is verified: check.h */

enum client_state {
    CLIENT_CLOSED,
    CLIENT_CONNECTING,
    CLIENT_SECURING,
    CLIENT_REQUESTED,
    CLIENT_OPEN,
    CLIENT_CLOSING, /* our Close is sent */
};

struct client {
    int fd;
    uint8_t state;       /* enum client_state */
    bool deflate;        /* agreed on */
    bool slow;           /* does not read once it is open */
    bool odd;            /* verified; or, without a check, its deliveries do not count */
    bool dirty;          /* in the crowd's list of those with output */
    uint16_t close_code; /* of the server's Close; 0: none came */
    uint32_t expected;   /* the next sequence number, where there is one publisher */
    uint32_t previous;   /* the last sequence number that it published */
    uint64_t received;   /* messages */
    struct check *check;
    SSL *ssl;
    struct buffer rest; /* of a frame or head that was cut */
    struct buffer out;
};

struct crowd;
typedef void (*crowd_client_cb)(struct crowd *crowd, struct client *client);
typedef void (*crowd_tick_cb)(struct crowd *crowd);

struct crowd {
    const struct load_options *options;
    struct payload payload;
    struct flight flight;
    struct client *clients;
    size_t count;       /* clients there is room for */
    size_t open;        /* in state OPEN */
    uint64_t now;       /* ns; fresh after each read */
    uint64_t idle;      /* ns spent polling in vain */
    uint64_t lost;      /* connections that the server ended */
    uint64_t refused;   /* that never opened */
    uint64_t faults;    /* deliveries that are wrong */
    struct error fault; /* the first of them, or why a connection failed */
    uint64_t inflated;  /* deliveries that came compressed */
    void *data;         /* the mode's own */
    crowd_client_cb opened_cb;
    crowd_client_cb closed_cb; /* may be NULL; the client may be opened again from here */
    crowd_tick_cb tick_cb;     /* after each connection's events, and once a turn; may be NULL:
                                * what it publishes is sent at once */

    int _epoll;
    struct sockaddr_in _address;
    struct buffer _request;
    SSL_CTX *_tls;
    struct inflated *_cache;
    uint8_t *_input;
    struct client **_dirty;
    size_t _dirty_count;
    uint64_t _idle_since;
    uint32_t _connects; /* so far: they take the source addresses in turn */
};

/* Room for `count` clients, of which `readers` count for a message to be done. Returns 0, or a
 * UV_E* code with a text. */
int crowd_init(struct crowd *crowd, const struct load_options *options, size_t count,
               uint32_t readers, struct error *error);
void crowd_deinit(struct crowd *crowd);

/* Begins a connection. Returns 0, or a UV_E* code with a text: no descriptors, no ports. */
int crowd_connect(struct crowd *crowd, struct client *client, struct error *error);

/* Connects clients `first` to `end` - 1, not too many at a time, and waits until all are open.
 * Returns 0, or a UV_E* code with a text. */
int crowd_open(struct crowd *crowd, size_t first, size_t end, struct error *error);

/* Waits at most `timeout` ns for events and handles them, then sends what was published. */
void crowd_turn(struct crowd *crowd, uint64_t timeout);

/* A slow client reads again; what it gets is only counted. */
void crowd_resume(struct crowd *crowd, struct client *client);

/* The publisher sends its next message, soon; it was due at `due`. False when too
 * many are under way, or out of memory. */
bool crowd_publish(struct crowd *crowd, uint32_t publisher, uint64_t due);

/* Queues a frame of control for the end of the turn. */
void crowd_send_control(struct crowd *crowd, struct client *client, uint8_t opcode,
                        const void *data, size_t len);

/* Ends the connection at once and calls closed_cb. */
void crowd_drop(struct crowd *crowd, struct client *client);

/* Counts a wrong delivery; the first one's text is kept. */
void crowd_fault(struct crowd *crowd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ns of CLOCK_MONOTONIC */
uint64_t crowd_clock(void);

#endif
