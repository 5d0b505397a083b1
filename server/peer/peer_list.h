/* The connections of a worker, one by one: for the operator's list of them, and for the log. Kept
 * where somebody may ask: see limits_count_addresses. On the worker's thread. */
#ifndef WS_SERVER_PEER_PEER_LIST_H
#define WS_SERVER_PEER_PEER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/websocket/transport.h"

struct peer;
struct peer_context;

/* What is noted of a connection. */
struct peer_record {
    struct list node; /* in the order of the IDs */
    uint64_t id;      /* no other connection of this process has it */
    uint64_t since;   /* milliseconds since 1970 */
    uint64_t began;   /* message before the first that it was to get */
    uint64_t messages_in;
    uint64_t bytes_in;  /* of their payload */
    uint64_t bytes_out; /* of frames or events */
    /* Where connections are logged, once it has left its channel: */
    const char *transport;
    uint64_t messages_out;
    char *address;     /* when it came, or when it ended: later its socket does not know it */
    const char *by;    /* who ended it: "client", "server" or "network"; NULL: not known yet */
    char *reason;      /* of the Close, or the error; or NULL */
    const char *limit; /* the option that ended it, or NULL */
    uint16_t code;     /* of the Close; 1006 without any; 0 where there are no frames */
};

/* A connection, as it is told of. */
struct peer_info {
    uint64_t id;
    uint64_t since; /* milliseconds since 1970 */
    char address[64];
    const char *user;      /* NULL: it is nobody in particular */
    const char *channel;   /* NULL: it has not subscribed */
    const char *transport; /* "websocket", "events" or "http" */
    uint64_t messages_in;
    uint64_t bytes_in;
    uint64_t messages_out; /* that it has got */
    uint64_t bytes_out;
    uint64_t lag;        /* bytes that it has yet to read */
    uint32_t round_trip; /* microseconds, as TCP measures them; */
    bool has_round_trip; /* not for a Unix socket */
};

/* The peer, whose socket is open, is there: notes it. `record` begins as zeros. */
void peer_list_add(struct peer_context *context, const struct peer *peer,
                   struct peer_record *record);

/* It is about to leave its channel, and will be logged. */
void peer_list_note_leaving(const struct peer *peer, struct peer_record *record);

/* How it ended is known, and will be logged. */
void peer_list_note_end(const struct peer *peer, struct peer_record *record,
                        const struct transport_end *end);

/* It is gone: a line for the log, if that is wanted; forgets it. */
void peer_list_remove(const struct peer *peer, struct peer_record *record, bool logs);

/* Fills in what is known now. */
void peer_list_describe(const struct peer *peer, struct peer_info *info);

/* Calls `see` for each connection behind the ID `after`, in the order of their IDs, until it says
 * false. It may end the connection, but no other. */
void peer_list_each(struct peer_context *context, uint64_t after,
                    bool (*see)(void *argument, struct peer *peer), void *argument);

/* Ends the connection, as the operator wants: with 1008 and this reason, static, if it speaks
 * frames. */
void peer_list_end(struct peer *peer, const char *reason);

#endif
