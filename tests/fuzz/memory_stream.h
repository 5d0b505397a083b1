/* The far end of a connection in memory. memory_stream.c implements common/net/stream.h on
 * it, so that the real server runs with no socket beneath: what it reads is put here, what it
 * writes ends up here, and how much the "socket" takes is said here.
 *
 * Callbacks keep libuv's promises: reads come only while reading is started, a write's callback
 * runs in a later turn, those of pending writes run before the close callback, and the loop calls
 * that one. Breaking the promises of stream.h in turn (writing while something is queued, or after
 * stream_finish) aborts. */
#ifndef WS_TESTS_FUZZ_MEMORY_STREAM_H
#define WS_TESTS_FUZZ_MEMORY_STREAM_H

#include "common/base/buffer.h"
#include "common/net/stream.h"

struct memory_write;

struct memory_end {
    struct buffer written; /* all that the server wrote */
    size_t room;           /* bytes that the socket takes; SIZE_MAX: any number */
    size_t piece;          /* bytes that one read gives at most; 0: any number */
    int broken;            /* what writing answers; 0: it works */
    bool finished;         /* the server's FIN came */
    bool reset;            /* it closed with RST */
    bool closed;           /* it is gone: nothing refers to this any more */
    const char *address;   /* from where it comes; NULL: 192.0.2.1 */

    struct stream *_stream; /* NULL before it is opened, and once closed */
    uv_alloc_cb _on_alloc;
    uv_read_cb _on_read; /* NULL: not reading */
    uv_close_cb _on_closed;
    struct buffer _incoming;
    int _ending; /* UV_EOF or an error behind what is incoming; 0: none yet */
    struct memory_write *_writes;
};

void memory_end_init(struct memory_end *end);

/* The end must be closed, or was never opened. */
void memory_end_deinit(struct memory_end *end);

/* The next stream_open, whatever the descriptor, takes this end, or fails with `status`. */
void memory_end_offer(struct memory_end *end, int status);

/* Puts bytes, or the end of them (UV_EOF, UV_ECONNRESET …), where the server will read them. */
void memory_end_send(struct memory_end *end, const void *data, size_t len);
void memory_end_finish(struct memory_end *end, int ending);

/* A read event that brought nothing, as libuv has them. */
void memory_end_wake(struct memory_end *end);

/* Once a turn: goes on with the writes that wait, and lets the server read. */
void memory_end_pump(struct memory_end *end);

#endif
