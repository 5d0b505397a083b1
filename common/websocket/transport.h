/* The WebSocket transport that both programs stand on: a stream, a decoder, the connection's own
 * frames, and the closing handshake (RFC 6455, 5 to 7).
 *
 *     OPENING ──► OPEN ──► CLOSING ──► DRAINING ──► CLOSED
 *     bytes are   frames   our Close   all that we  the socket is
 *     the owner's          is queued   owe is out   gone
 *
 * Reading: bytes come in through the loop's one read buffer; whole messages go to the owner. A
 * transport reads once a turn, and less if many have much input: so none is read from at the
 * expense of others, and the input between two flushes is bounded.
 * Writing: nothing is written while the loop is busy reading. A transport that has something to
 * write is listed in its context; the owner of the loop calls transport_context_flush once at the
 * end of the turn, and each listed transport is flushed with one system call:
 *
 *     [ own frames ][ pongs ][ the owner's bytes, e.g. from a broadcast log ][ Close ]
 *
 * A short write stalls the transport until the socket has room again; then on_drained is called,
 * and the owner flushes again from where it stopped.
 *
 * The transport is embedded in its owner, which frees it in on_closed and not before. All
 * transports of a context belong to one loop. */
#ifndef WS_COMMON_WEBSOCKET_TRANSPORT_H
#define WS_COMMON_WEBSOCKET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/awake.h"
#include "common/base/buffer.h"
#include "common/base/deadline.h"
#include "common/base/list.h"
#include "common/net/stream.h"
#include "common/websocket/decoder.h"
#include "common/websocket/deflate.h"
#include "common/websocket/frame.h"
#include "common/websocket/outbox.h"

struct transport;

enum {
    TRANSPORT_MAX_BUFS = 12, /* buffers of the owner's in one flush */
};

enum transport_fate {
    TRANSPORT_PEER_CLOSED, /* the peer's Close came: code and reason are its own */
    TRANSPORT_PEER_FAULT,  /* the peer broke the protocol or a limit: what we close with */
    TRANSPORT_LOST,        /* no Close came: status is UV_EOF, UV_ECONNRESET, UV_ETIMEDOUT … */
};

struct transport_end {
    enum transport_fate fate;
    int status;
    uint16_t code;
    const uint8_t *reason; /* borrowed for the call; sent by the peer when it closed */
    size_t reason_len;
    uint16_t own_code; /* of our Close, if it was the first; or 0 */
    bool finished; /* we ended it, without a Close: an answer was the last, or a body was over */
};

/* What a transport asks of its owner. Within any of these the owner may close or abort.
 *
 * Lifetime: any call into a transport, a flush above all, may end the connection; on_end is told
 * then, within that call. It is a notice and no more: whatever the owner is working with in the
 * meantime (the cursor it flushes from, its place in a list) is let go in on_closed, which the loop
 * calls, never a transport. */
struct transport_ops {
    /* Bytes of the opening handshake. Those that belong to frames, behind the head, are for the
     * owner to pass to transport_input after transport_open. */
    void (*on_opening)(struct transport *transport, const uint8_t *data, size_t len);
    /* The opening handshake took too long; the owner answers, finishes or aborts. */
    void (*on_opening_timeout)(struct transport *transport);
    /* In stage OPENING: true while no byte of a request (or of a further one) has come. */
    bool (*is_idle)(const struct transport *transport);
    /* A whole message, borrowed for the call. */
    void (*on_message)(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len);
    /* Bytes that a message of this peer's may have, in place of the context's; 0: any number. May
     * be NULL. */
    uint64_t (*max_message)(const struct transport *transport);
    /* The peer has hit a limit: the option that sets it (static), and the code that it is closed
     * with, or 0 when it is dropped. May be NULL. */
    void (*on_limit)(struct transport *transport, const char *limit, uint16_t code);
    /* A ping, or a pong that answers none of ours, came. May be NULL. */
    void (*on_control)(struct transport *transport);
    /* What the next keep-alive ping is to bear, at most FRAME_MAX_CONTROL bytes: writes it and
     * returns its length. May be NULL: then it bears nothing. */
    size_t (*ping_payload)(struct transport *transport, char *out);
    /* A pong came, with this payload, which is borrowed for the call. May be NULL. */
    void (*on_pong)(struct transport *transport, const uint8_t *data, size_t len);
    /* For observers: a control frame has come, or is about to go out (`own`), with so many
     * bytes of payload. May be NULL. */
    void (*on_frame)(struct transport *transport, bool own, enum frame_opcode opcode, size_t len);
    /* The same for bytes of frames that have come, whole or not. May be NULL. */
    void (*on_bytes)(struct transport *transport, size_t len);
    /* A ping came: true if the owner answers it later, with transport_pong; its payload is borrowed
     * for the call. May be NULL. */
    bool (*holds_pong)(struct transport *transport, const uint8_t *data, size_t len);
    /* A ping came, and is answered; its payload is borrowed for the call. May be NULL. */
    void (*on_ping)(struct transport *transport, const uint8_t *data, size_t len);
    /* Input has been taken: what transport_held says may have changed by much. May be NULL. */
    void (*on_taken)(struct transport *transport);
    /* Its share of the work of a turn was used up while the opening handshake was read, and is
     * there again: the owner may go on with what it has kept. May be NULL. */
    void (*on_share)(struct transport *transport);
    /* End of the turn, and there is something to write: call transport_flush. */
    void (*flush)(struct transport *transport);
    /* There is room in the socket again: call transport_flush with what comes next. */
    void (*on_drained)(struct transport *transport);
    /* How it ended; told once, as soon as it is known, possibly within a transport_flush of the
     * owner's (see above); writing may still go on until on_closed. */
    void (*on_end)(struct transport *transport, const struct transport_end *end);
    /* The socket is gone and nothing refers to the transport any more: free it. */
    void (*on_closed)(struct transport *transport);
};

struct transport_config {
    bool server;            /* which side of RFC 6455 this is */
    bool hears_on;          /* on_message also between our Close and the peer's */
    uint64_t max_message;   /* bytes of a received message; 0: no limit */
    int compression_level;  /* zlib's, of own messages and of those the owner broadcasts */
    uint64_t max_fragments; /* frames of a message; 0: no limit */
    uint64_t max_empty_fragments;
    /* Milliseconds; 0 turns each of them off. */
    uint32_t opening_timeout;   /* for the opening handshake, or for the head of a request */
    uint32_t keepalive_timeout; /* between two requests */
    uint32_t closing_timeout;   /* for each step of the closing handshake */
    uint32_t message_timeout;   /* from the first byte of a message to its last */
    uint32_t ping_interval;     /* of silence, before the peer is asked whether it is there */
    uint32_t ping_timeout;      /* for the answer, or for anything else from the peer */
};

/* What the transports of one loop make it do (see transport_work.h). */
struct transport_work {
    uint64_t turn;                  /* units of work of this turn, */
    uint64_t of_reader;             /* and of what is read now, */
    const struct transport *reader; /* by this one */
    uint64_t share;                 /* that one may use in this turn */
    unsigned hard;                  /* how many have used much in this turn */
    bool reads_nothing;             /* nothing is read in this turn, */
    bool read_nothing;              /* or in the one before */
    struct buffer deferred;         /* of struct transport *, which wait for the next turns: */
    size_t first;                   /* from this byte on */
};

/* What the transports of one loop share; a loop has one, which it knows by its `data`. */
struct transport_context {
    uv_loop_t *loop;
    const struct transport_ops *ops;
    struct frame_encoder *encoder;
    struct deflater *deflater;
    struct decoder_pool *decoders;
    bool _server;
    bool _hears_on;
    struct list _dirty;
    struct list _flush_end; /* a turn flushes up to here; linked only while it does */
    struct deadline_list _opening;
    struct deadline_list _body; /* those in their opening whose request has a body to come, */
    struct deadline_list _kept; /* waiting for a further request to begin, */
    struct deadline_list _last; /* and those whose request is the last: see
                                   transport_context_end_opening */
    bool _ending;
    struct deadline_list _closing;
    struct deadline_list _quiet;   /* open connections, until it is time to ask */
    struct deadline_list _asked;   /* those that have a ping to answer */
    struct deadline_list _message; /* those that are within a message */
    struct transport_work _work;
    uv_timer_t _tick;                /* runs only while something has a deadline */
    struct awake _awake;             /* the clock of the deadlines */
    bool _looked;                    /* a tick has found something due; the loop has read since */
    const struct transport *_reader; /* the last to read in this turn */
    unsigned _busy;                  /* how many filled the buffer in this turn, */
    unsigned _busy_before;           /* and in the one before */
    size_t _read;                    /* bytes that were read in this turn */
    char _input[64 * 1024];
};

enum transport_stage {
    TRANSPORT_OPENING,
    TRANSPORT_OPEN,
    TRANSPORT_CLOSING,
    TRANSPORT_DRAINING,
    TRANSPORT_CLOSED,
};

/* The two halves of a connection, which only ever go on to the next state. */
enum transport_input {
    TRANSPORT_INPUT_READ,
    TRANSPORT_INPUT_IGNORED, /* it means nothing any more, but its end does */
    TRANSPORT_INPUT_ENDED,   /* the peer's FIN came */
};

enum transport_writing {
    TRANSPORT_WRITING_ON,
    TRANSPORT_WRITING_DONE,   /* our Close, or the last answer, is out: nothing may follow */
    TRANSPORT_WRITING_FAILED, /* reading finds out how the connection ends */
};

/* Why the owner pauses reading: one does not end another. */
enum transport_pause {
    TRANSPORT_UNTIL_ANSWERED = 1,  /* what was read has yet to be answered */
    TRANSPORT_UNTIL_TAKEN = 2,     /* the owner keeps what was read, or cannot pass it on yet */
    TRANSPORT_UNTIL_DELIVERED = 4, /* what it has published has yet to be delivered to others */
    TRANSPORT_UNTIL_STORED = 8,    /* what it has published has yet to be stored */
    TRANSPORT_UNTIL_ALL = 15,
};

/* An idle one is this struct and nothing else, and there may be a million. */
struct transport {
    struct stream stream;
    struct decoder _decoder;
    struct deadline _deadline;
    /* What a flush looks at stands at the end, beside what its owner looks at. */
    struct transport_output *_output; /* while it has something to say, or its socket is full */
    uint8_t _own_close;   /* the code of our Close, if it was the first, less 999; or 0 */
    uint8_t _stage : 3;   /* enum transport_stage; */
    uint8_t _input : 2;   /* enum transport_input, */
    uint8_t _writing : 2; /* and enum transport_writing */
    bool _finishing : 1;  /* when all is written: FIN */
    uint8_t _paused : 4;  /* why nothing is read: enum transport_pause; silence is not the peer's */
    bool _deferred : 1;   /* it waits for its share of the work of a turn */
    bool _told : 1;       /* on_end has run */
    bool _connected : 1;  /* there is a socket to read from */
    bool _heard : 1;      /* something came since the last ping */
    bool _asked : 1;      /* a ping of ours is not answered */
    bool _in_message : 1; /* its deadline is the message's */
    bool _late : 1;       /* it has the time of its opening handshake for the second time */
    bool _raw : 1;        /* no frames are spoken: see transport_open_raw */
    bool _silent : 1;     /* it ends without having done anything wrong: no limit is hit */
    bool _mid_frame : 1;  /* the last of the owner's bytes that went out ended within a frame */
    uint32_t note;        /* the owner's: room that would be lost otherwise */
};

/* The owner's part of one flush, borrowed for the call: whole frames, but for what an earlier flush
 * has passed of the first. */
struct transport_bytes {
    const uv_buf_t *bufs;
    unsigned count; /* at most TRANSPORT_MAX_BUFS */
    bool more;      /* the owner has further bytes, which must come before the Close frame */
    size_t passed;  /* set by the flush: the owner goes on behind so many of these bytes */
};

/* The context of the loop that the transport lives on. */
static inline struct transport_context *transport_context_of(const struct transport *transport)
{
    return transport->stream.tcp.loop->data;
}

/* Returns 0 or a negative UV_E* code. `ops` is borrowed for the life of the context. */
int transport_context_init(struct transport_context *context, uv_loop_t *loop,
                           const struct transport_ops *ops, const struct transport_config *config);

/* What `config` says of limits and times holds from now on, for the transports that there are, too;
 * the rest of it stays as it was. */
void transport_context_configure(struct transport_context *context,
                                 const struct transport_config *config);

/* Closes the timer: run the loop once more afterwards, then deinit. No transport may be left. */
void transport_context_close(struct transport_context *context);
void transport_context_deinit(struct transport_context *context);

/* Flushes every transport that has own frames to write. Once, at the end of each loop turn. */
void transport_context_flush(struct transport_context *context);

/* The same for `budget` of them at most, those that have waited longest, and for each once: what it
 * has to write again by then is for the next turn. True when none is left; else the others are for
 * the next turn, which should come without waiting for events. */
bool transport_context_flush_some(struct transport_context *context, unsigned budget);

/* From now on each step of a closing handshake may take `timeout` milliseconds, also of those that
 * are within one. */
void transport_context_limit_closing(struct transport_context *context, uint32_t timeout);

/* A new turn: the transports that wait for their share of its work go on with the input that was
 * kept for them, first come first served. Once, at the end of each loop turn. True when none waits
 * any more; else the next turn should come without waiting for events. */
bool transport_context_go_on(struct transport_context *context);

/* From now on, those in stage OPENING finish the request that has begun, each within the time of a
 * step of the closing handshake (or 2 seconds, if that has none); on_opening_timeout runs at its
 * end. Those that are idle are closed. */
void transport_context_end_opening(struct transport_context *context);

/* True while any transport is in stage OPENING and has a request to finish. */
bool transport_context_is_opening(const struct transport_context *context);

/* The transport that has waited longest for a further request to begin, and so is idle;
 * NULL when there is none. It is the caller's to abort. */
struct transport *transport_context_take_kept(struct transport_context *context);

/* Until transport_context_go_on is called again, nothing is read, and what was kept waits: what has
 * been read before is to be delivered first. */
void transport_context_hold_input(struct transport_context *context);

/* Aborts every transport that is in its opening (closing) handshake. */
void transport_context_abort_opening(struct transport_context *context);
void transport_context_abort_closing(struct transport_context *context);

/* Returns 0 or a negative UV_E* code; after an error there is nothing to close. */
int transport_init(struct transport *transport, struct transport_context *context);

/* The stream is connected: starts reading, in stage OPENING. Returns 0 or a negative UV_E* code. */
int transport_start(struct transport *transport);

/* Where the owner writes its side of the opening handshake: NULL when out of memory. It goes out
 * at the end of the turn. */
struct buffer *transport_opening_output(struct transport *transport);

/* The opening handshake is done: from now on frames are spoken, and messages may be compressed if
 * that was agreed on. Returns 0 or UV_ENOMEM. */
int transport_open(struct transport *transport, const struct extension_deflate *deflate);

/* The same, but no frames are spoken: the owner's bytes are a body that lasts until the connection
 * ends. What comes in is forgotten, but for the end; closing is a FIN behind what is owed; and what
 * ping_payload writes is sent as it is, at each interval. Whose TCP acknowledges nothing for as
 * long as a ping may go unanswered is dropped. */
void transport_open_raw(struct transport *transport);

/* Where the owner of such a one writes what is for it alone, which goes out between two of its
 * units, as own frames do between two frames. NULL when out of memory, or too late. */
struct buffer *transport_raw_output(struct transport *transport);

/* Takes bytes as if they had just been read. The caller has kept them since an earlier call of
 * on_opening, or passes on what on_opening was given. */
void transport_input(struct transport *transport, const uint8_t *data, size_t len);

/* True while messages may be sent, that is, before either Close. */
bool transport_is_open(const struct transport *transport);

/* True while the owner's bytes may still go out, now or after a stall: before our Close is written
 * and while writing works. Once false it stays false. */
static inline bool transport_is_writable(const struct transport *transport)
{
    return transport->_stage < TRANSPORT_DRAINING && transport->_writing == TRANSPORT_WRITING_ON;
}

/* True when the peer has yet to read what we wrote, and has read some of it since this was last
 * asked. */
bool transport_reads_on(struct transport *transport);

/* True while the owner's bytes that have gone out end within a frame: its rest comes next. */
static inline bool transport_is_mid_frame(const struct transport *transport)
{
    return transport->_mid_frame;
}

/* True while the rest of a short write waits. */
bool transport_is_stalled(const struct transport *transport);

/* While a write is stalled, the bytes that the peer has not acknowledged; else 0. */
size_t transport_waiting(const struct transport *transport);

/* Bytes of memory that are held for the peer beside this struct: input that is not complete, output
 * that it has not taken, and the state of a TLS handshake. What a full socket costs (2 KiB) is left
 * out. */
size_t transport_held(const struct transport *transport);

/* Queues one frame of our own; a message is compressed where that was agreed on and is worth it.
 * Returns 0, UV_EPIPE when the transport is not open, UV_ENOMEM, or
 * UV_EIO when the CSPRNG fails. */
int transport_send(struct transport *transport, enum frame_opcode opcode, const void *data,
                   size_t len);

/* Bytes of own frames that wait: the measure of back-pressure. */
size_t transport_queued(const struct transport *transport);

/* Writes what waits, and with it the owner's bytes (NULL: none). Returns 0 when all is written;
 * UV_EAGAIN when the transport is stalled: on_drained will follow; UV_EPIPE when the transport is
 * not writable (any more). */
int transport_flush(struct transport *transport, struct transport_bytes *bytes);

/* Starts the closing handshake (RFC 6455, 7.1.2) with a code and a reason (NUL-terminated, cut at
 * 123 bytes). Harmless when it has started already. In stage OPENING, aborts. */
void transport_close(struct transport *transport, enum frame_close_code code, const char *reason);

/* The peer has hit a limit: closes with a code and a reason, both static, as for a fault. `limit`
 * is the option that sets it. */
void transport_reject(struct transport *transport, enum frame_close_code code, const char *reason,
                      const char *limit);

/* In stage OPENING: a request is answered; the time starts in which the next one has to begin, at
 * whose end the connection is closed without a word. */
void transport_await_request(struct transport *transport);

/* In stage OPENING: the time for the head of a request starts. */
void transport_restart_opening(struct transport *transport);

/* In stage OPENING: the head of a request has come; the time for its body starts, which is that of
 * a message. on_opening_timeout runs at its end. */
void transport_expect_body(struct transport *transport);

/* In stage OPENING: when what waits is written, ends the connection. */
void transport_finish(struct transport *transport);

/* Drops the connection at once. on_end (unless told already) runs within, on_closed later. */
void transport_abort(struct transport *transport, int status);

/* The same for one that has hit a limit, which is the option that sets it. */
void transport_abort_for(struct transport *transport, const char *limit);

/* Units of work, of about a nanosecond each, for what input leads to (see transport_charge). */
enum {
    TRANSPORT_WORK_COPY = 1,       /* for each byte that is encoded or escaped */
    TRANSPORT_WORK_REQUEST = 8000, /* for each request that is answered */
};

/* What the transport has sent costs so many units of work beside reading it: the owner says so
 * within on_opening or on_message. Beyond its share the transport is not heard for the rest of the
 * turn. */
void transport_charge(struct transport *transport, uint64_t units);

/* True when, in on_opening, no more of the input should be used in this turn: the owner keeps it,
 * and calls transport_wait_for_share; on_share follows. */
bool transport_is_spent(const struct transport *transport);
void transport_wait_for_share(struct transport *transport);

/* True from transport_wait_for_share until on_share. */
static inline bool transport_is_deferred(const struct transport *transport)
{
    return transport->_deferred;
}

/* Answers a ping that the owner has held (RFC 6455, 5.5.3). Harmless when the transport is not
 * open. */
void transport_pong(struct transport *transport, const uint8_t *data, size_t len);

/* Stops reading from the socket, for a reason, until no reason is left: back-pressure towards the
 * peer. A ping that is out is not missed for it. */
void transport_pause(struct transport *transport, enum transport_pause reason);
void transport_resume(struct transport *transport, enum transport_pause reasons);

#endif
