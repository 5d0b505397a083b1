/* A network that costs nothing. null_stream.c implements common/net/stream.h without a socket:
 * what is written is counted and forgotten, what a peer says is handed in here. A stream has no
 * memory of its own but libuv's handle, whose `data` is its count, so that what is measured is the
 * server. There is one network, for one thread.
 *
 * Now and then a socket is full: it takes half of a write, or nothing. The rest waits, as with
 * libuv, until null_network_turn in a later turn, which runs the callbacks. */
#ifndef WS_TESTS_BENCH_NULL_NULL_STREAM_H
#define WS_TESTS_BENCH_NULL_NULL_STREAM_H

#include <stdint.h>

#include "common/net/stream.h"

struct null_network {
    uint32_t stall_one_in; /* of so many writes one meets a full socket; 0: none */
    bool held;             /* full sockets stay full */
    uint64_t writes;       /* counted: calls of stream_try_write, */
    uint64_t stalls;       /* those that met a full socket, */
    uint64_t most_waiting; /* and how many waited at a time */
};

extern struct null_network null_network;

/* Lets the sockets that are full take what waits, unless they are held. */
void null_network_turn(void);

/* Frees what the network holds, when nobody waits. */
void null_network_forget(void);

/* How many streams wait. */
size_t null_network_waiting(void);

/* The stream that was accepted last. */
struct stream *null_network_accepted(void);

/* Hands bytes to the server, as one read, or the peer's end. */
void null_stream_say(struct stream *stream, const void *data, size_t len);
void null_stream_end(struct stream *stream);

/* Bytes that the peer has got; the count may be set. */
uint64_t null_stream_got(const struct stream *stream);
void null_stream_set_got(struct stream *stream, uint64_t bytes);

#endif
