/* What a request may become. The bytes of a fresh connection are read as HTTP/1.1 until a request
 * is a valid opening handshake, or asks for an event stream; every other request gets its answer
 * (see http_api), and the connection goes on where HTTP lets it. Who does not read the answers is
 * not read from. Lives on the heap until the connection is upgraded or gone. */
#ifndef WS_SERVER_HTTP_UPGRADE_H
#define WS_SERVER_HTTP_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/websocket/transport.h"
#include "server/broadcast/channel.h"
#include "server/http/server_handshake.h"
#include "server/net/limits.h"
#include "server/syntax/server_names.h"

struct http_api;
struct upgrade;

enum upgrade_result {
    UPGRADE_MORE,    /* all bytes are used; wait for the next */
    UPGRADE_JOIN,    /* it wants to hear a channel: upgrade_accept or upgrade_refuse it */
    UPGRADE_REFUSED, /* the last answer is written; the transport finishes or is aborted */
};

/* What an opening handshake, or a request for an event stream, asks for. */
struct upgrade_request {
    bool events;                      /* it is the latter */
    struct extension_deflate deflate; /* what was agreed on */
    struct request_target_channel channel;
    struct channel_since since;
};

/* What requests are judged by. */
struct upgrade_policy {
    struct server_handshake_policy handshake;
    struct server_names names;
    uint64_t max_header_bytes; /* 0: no limit */
    uint64_t max_header_count;
    const struct http_api *api;
    bool ending; /* each answer is the last one of its connection */
};

/* `policy` is borrowed; `loopback` says that the connection came through a listener that only this
 * machine reaches. `address` is where the client counts, or NULL. Returns 0 or UV_ENOMEM. */
int upgrade_new(struct upgrade **upgrade, const struct upgrade_policy *policy, bool loopback,
                struct limits_address *address);
void upgrade_free(struct upgrade *upgrade);

/* Reads requests from `len` bytes and writes the answers to the transport. `*used` says how many
 * bytes were read, or are held until the answers have left; if the result is UPGRADE_JOIN, the
 * rest are frames, and `request` is what is asked for. */
enum upgrade_result upgrade_input(struct upgrade *upgrade, struct transport *transport,
                                  const uint8_t *data, size_t len, size_t *used,
                                  struct upgrade_request *request);

/* All that was queued has left: writes what follows of an answer. Takes the bytes that were held,
 * which are the caller's to free, if it is time for them: feed them to upgrade_input. To be asked
 * after each flush. False when there are none, or not yet. */
bool upgrade_take_held(struct upgrade *upgrade, struct transport *transport, struct buffer *held);

/* After UPGRADE_JOIN: writes 101, or the head of the event stream; `place` is the ID just before
 * the first message that will be sent. False when the transport had to be aborted. */
bool upgrade_accept(struct upgrade *upgrade, struct transport *transport, struct event_id place);

/* Refuses whatever the request may turn out to be, and ends the connection. */
void upgrade_refuse(struct upgrade *upgrade, struct transport *transport, int status,
                    const char *why);

/* True while an answer is written in part: more of it follows, which upgrade_take_held writes. */
bool upgrade_is_answering(const struct upgrade *upgrade);

/* Bytes of memory that the exchange holds for the peer, but for what is queued for the socket;
 * `upgrade` may be NULL. */
size_t upgrade_held(const struct upgrade *upgrade);

/* Bytes of a channel's log that only an unfinished page keeps: those that the history does not hold
 * any more. `upgrade` may be NULL. Takes the channel's lock, and walks through a block. */
uint64_t upgrade_pinned(const struct upgrade *upgrade);

/* After upgrade_refuse: lets go of what has come of the request, and of its answer. */
void upgrade_forget(struct upgrade *upgrade);

/* True while no byte of a request, or of a further one, has come. */
bool upgrade_is_idle(const struct upgrade *upgrade);

/* The limit that ends the time for what is to come now: the option that sets it. */
const char *upgrade_time_limit(const struct upgrade *upgrade);

/* The limit that the last refusal was for: the option that sets it; NULL if it was for none. */
const char *upgrade_limit(const struct upgrade *upgrade);

#endif
