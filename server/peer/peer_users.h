/* The subscribers of a worker that have come in as somebody: until when they are valid, and what a
 * new configuration makes of them.
 *
 *     slots      a wheel: in which second each of them expires (expires % PEER_USERS_SLOTS)
 *     lasting    those that never do
 *     doubtful   those that are to be judged: a few in each turn of the loop
 *
 * Once a second a slot becomes doubtful, after a reload all of them do. Whoever is still valid, by
 * a credential that still counts, and may still subscribe goes back; the others are closed with
 * 1008, and event streams end. Principals are shared by all subscribers of the worker that have the
 * same: each adds a struct peer_user alone. On the worker's thread. */
#ifndef WS_SERVER_PEER_PEER_USERS_H
#define WS_SERVER_PEER_PEER_USERS_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/auth/principal.h"

struct peer;
struct peer_cold;
struct pooled;
struct peer_context;

enum { PEER_USERS_SLOTS = 256 };

#define PEER_USER_NEVER UINT32_MAX

/* Keep small: what an idle subscriber costs that is somebody, beyond one that is anonymous. */
struct peer_user {
    struct list node; /* in one of the lists */
    struct peer *peer;
    struct peer_cold *cold; /* in place of the peer's own */
    uint32_t principal;     /* its number in the pool */
    uint32_t expires;       /* seconds of the Unix epoch, or PEER_USER_NEVER */
};

struct peer_users {
    struct peer_context *_context;
    struct list _slots[PEER_USERS_SLOTS];
    struct list _lasting;
    struct list _doubtful;
    struct list *_record;     /* of a connection without a user: the next to be judged, or NULL */
    int64_t _looked;          /* the last second whose slot was looked at */
    size_t _count;            /* that have an end */
    void *_principals;        /* tsearch(3)'s tree of struct pooled, */
    struct pooled **_numbers; /* and all of them, by number; NULL: one that is free */
    uint32_t _number_count;
    uint32_t _pooled;      /* of them are used, */
    uint32_t _next_number; /* and where to look for one that is not */
    uv_timer_t _tick;      /* runs while there are such */
    uv_idle_t _turn;       /* active while some are to be judged */
};

void peer_users_init(struct peer_users *users, uv_loop_t *loop, struct peer_context *context);

/* Closes its handles. No subscriber comes any more; those that there are may still leave. */
void peer_users_close(struct peer_users *users);

/* All subscribers are gone. */
void peer_users_deinit(struct peer_users *users);

/* A new configuration is in force: all are judged by it, in the turns that follow. Without a
 * configuration file that can change more than tokens and keys, nothing changes for those that
 * are anonymous. */
void peer_users_judge_all(struct peer_users *users);

/* The peer, which is about to subscribe, does so as this identity; anonymous is fine. Returns NULL,
 * or the limit that forbids it, or "" when out of memory. */
const char *peer_users_enter(struct peer *peer, const struct identity *identity);

/* The peer is gone. Harmless if it is anonymous. */
void peer_users_leave(struct peer *peer);

/* A record of the list of connections is removed. */
void peer_users_forget_record(struct peer_users *users, const struct list *record);

#endif
