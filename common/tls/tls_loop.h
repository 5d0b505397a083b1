/* What the TLS connections that a server accepts on one loop share.
 *
 * Turns: a handshake takes asymmetric cryptography, a fraction of a millisecond for each step. Only
 * so many steps are taken in one turn of the loop, so that a storm of handshakes does not keep
 * established connections waiting. The others wait their turn, first come, first served; what
 * their clients have sent stays in the kernel meanwhile. While one waits, the loop does not wait
 * for events.
 *
 * Certificates: connections whose clients have shown a certificate are listed. When the rules have
 * changed, and every hour, each certificate is verified again, some in each turn. */
#ifndef WS_COMMON_TLS_TLS_LOOP_H
#define WS_COMMON_TLS_TLS_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "common/tls/tls_context.h"

struct stream;

enum {
    TLS_LOOP_STEPS = 2,  /* of handshakes, in one turn */
    TLS_LOOP_CHECKS = 8, /* of certificates, in one turn */
};

/* A connection's place among those of its loop; embedded in it. */
struct tls_loop_node {
    struct list node; /* in one of the loop's lists, or in none */
    const struct tls_loop_ops *ops;
};

/* What a loop asks of its connections. */
struct tls_loop_ops {
    /* The handshake may take one step: the socket is read from in this turn. */
    void (*take_turn)(struct tls_loop_node *entry);
    /* True if the client's certificate would be admitted now. */
    bool (*is_admitted)(struct tls_loop_node *entry);
    struct stream *(*stream_of)(struct tls_loop_node *entry);
};

struct tls_loop {
    struct tls_context *context; /* NULL: no connection speaks TLS */
    /* The certificate of this stream's client is not admitted any more: to be closed. */
    void (*on_unadmitted)(struct tls_loop *loop, struct stream *stream);
    uint64_t steps;      /* that have been taken in all */
    uint64_t handshakes; /* that have been completed, */
    uint64_t resumed;    /* and of those, that resumed a session */
    unsigned _left;      /* steps that this turn may still take */
    uv_idle_t _turn;     /* active while there is something to do, or to count, in the next turn */
    uv_timer_t _hourly;
    struct list _waiting;  /* for their turn: of struct tls_loop_node, as the next two */
    struct list _admitted; /* established, with a client's certificate */
    struct list _doubtful; /* the same, to be verified again */
};

/* `context` is borrowed until tls_loop_close. */
void tls_loop_init(struct tls_loop *loop, uv_loop_t *uv, struct tls_context *context,
                   void (*on_unadmitted)(struct tls_loop *loop, struct stream *stream));

/* All connections are closed. Run the loop once more before the memory goes. */
void tls_loop_close(struct tls_loop *loop);

/* The context has been reloaded: each client's certificate is verified anew, and on_unadmitted
 * runs for those that are not admitted, within the next turns. */
void tls_loop_verify_all(struct tls_loop *loop);

/* ---- for stream_tls ---- */

void tls_loop_node_init(struct tls_loop_node *entry, const struct tls_loop_ops *ops);

/* True if a handshake may take a step in this turn: a step is left, and no other handshake waits.
 */
bool tls_loop_has_room(const struct tls_loop *loop);

/* A handshake has taken a step; `granted`: it had waited for it, and had got its turn. */
void tls_loop_count_step(struct tls_loop *loop, bool granted);

/* Enters the queue: take_turn follows, in one of the next turns. */
void tls_loop_wait(struct tls_loop *loop, struct tls_loop_node *entry);

/* A handshake is done in which the client has shown a certificate; `current` says that it was
 * judged by the rules that hold now. */
void tls_loop_list(struct tls_loop *loop, struct tls_loop_node *entry, bool current);

/* The connection is closed: whatever it was in, it leaves. */
void tls_loop_leave(struct tls_loop_node *entry);

#endif
