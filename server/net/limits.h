/* Per-client and server-wide limits, with a counter for each. A limit has the name of the option
 * that sets it. All workers share struct limits: the counters, and the addresses of the clients.
 * A client is its address (for IPv6, its /64 network, which one customer has), with all its
 * connections and requests, so that connecting anew gets around no limit. Through loopback and Unix
 * sockets come clients of a proxy, too, which have one address: there, and where the address is not
 * known, each connection is a client. */
#ifndef WS_SERVER_NET_LIMITS_H
#define WS_SERVER_NET_LIMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/base/list.h"
#include "server/config/server_options.h"
#include "server/net/guessing.h"

enum { LIMITS_NAMES = 23, LIMITS_MAX_USER = 255 /* bytes of a name */ };

/* One address: its connections, and what its messages come to. Shared by all threads; exists while
 * it has a connection, and until the second is over in which it said something. */
struct limits_address;

/* What one client has said in the current second; of a connection, made when it first says
 * something. */
struct limits_rate;

/* Whom the messages of a connection count for. */
struct limits_client {
    struct limits_address *address; /* NULL: for the connection alone */
    struct limits_rate **rate;      /* the connection's: NULL at first, and its owner's to free */
};

struct limits {
    const struct server_options *_Atomic options; /* of now: another one may take its place */
    bool _counts_addresses;
    _Atomic uint64_t hits[LIMITS_NAMES]; /* in the order of limits_names */
    struct guessing guessing;            /* refused credentials, by address */
    uv_mutex_t _lock;                    /* guards what follows */
    uint64_t _connections;
    uint64_t _refusals; /* connections that are being told that they are one too many */
    void *_addresses;   /* tsearch(3)'s tree of struct limits_address */
    void *_users;       /* tsearch(3)'s tree of struct limits_user */
    struct list _left;  /* those without connections, by the time of their departure */
};

/* `options` is borrowed; `counts_addresses`: see limits_count_addresses. Returns 0 or a negative
 * UV_E* code. */
int limits_init(struct limits *limits, const struct server_options *options, bool counts_addresses);

/* From now on these hold; those of before are in use in calls that have begun. */
void limits_set_options(struct limits *limits, const struct server_options *options);
void limits_deinit(struct limits *limits);

/* True if clients are known by their addresses, which limits_init says for good. Only then
 * connections have a struct limits_address. */
bool limits_count_addresses(const struct limits *limits);

/* Counts a connection in; `address` matters only where addresses are counted. Returns NULL, or the
 * name of the limit that forbids it; then it is not counted. `*entry` is what limits_depart wants
 * back (NULL where the connection is a client by itself). From any thread, as the next three. */
const char *limits_arrive(struct limits *limits, const struct sockaddr *address,
                          struct limits_address **entry);
void limits_depart(struct limits *limits, struct limits_address *entry);

/* How many connections are counted in. From any thread. */
uint64_t limits_connections(struct limits *limits);

/* A connection that has arrived turns out to be another client's, at this address: it counts there
 * from now on. Returns NULL with `*entry` changed, or the name of the limit that forbids it. From
 * any thread. */
const char *limits_move(struct limits *limits, const struct sockaddr *address,
                        struct limits_address **entry);

/* Counts one more connection of the user, by name; "" is nobody in particular, and has no limit.
 * Returns NULL, or the name of the limit that forbids it; or "" when out of memory. From any
 * thread, as the next two. */
const char *limits_arrive_user(struct limits *limits, const char *user);
void limits_depart_user(struct limits *limits, const char *user);

/* A connection of one user's is another's from now on, without regard to the limit. */
void limits_rename_user(struct limits *limits, const char *before, const char *after);

/* A connection is one too many, and is to be told so, which takes a descriptor and some time: true
 * if few are being told (at most 16, or a sixteenth of --max-connections), and then limits_refused
 * has to follow. Otherwise it is best closed at once. */
bool limits_may_refuse(struct limits *limits);
void limits_refused(struct limits *limits);

/* Counts that `limit` was hit, and logs it: the client, the limit, and what was done. */
void limits_hit(struct limits *limits, const char *limit, const char *who, const char *done);

/* The name of the i-th limit, of LIMITS_NAMES. */
const char *limits_name(size_t i);

/* Logs the counts that are not zero. */
void limits_report(const struct limits *limits);

/* So many messages, with so many bytes of payload. */
struct limits_amount {
    uint64_t messages;
    uint64_t bytes;
};

/* Checks what a client sends at once at the time `now` (milliseconds, of uv_now), where it may send
 * `most` in a second; 0: any number. Returns NULL and counts it, or the name of the limit that it
 * exceeds. Where a client may send more in one channel than in another, each message counts as its
 * share of what may be sent where it is. */
const char *limits_check_messages(const struct limits_client *client, uint64_t now,
                                  const struct limits_amount *most,
                                  const struct limits_amount *amount);

/* The limit that forbids to send so much at once in any second, or NULL. */
const char *limits_check_size(const struct limits_amount *most, const struct limits_amount *amount);

/* The same for one unsolicited control frame, which is counted for the connection: that
 * limit is on by default, and far below the cost of connecting anew. */
const char *limits_check_control(const struct limits *limits, struct limits_rate **rate,
                                 uint64_t now);

#endif
