/* The one way in: whatever is published, by a WebSocket client, with POST (one message, or one a
 * line) or on standard input, passes here, in this order:
 *
 *     permission   --publish says which ways are open
 *     limits       how much and how often one client may publish
 *     prefix       of what WebSocket clients say in the default channel
 *     append       to the channel's logs, which gives it its place in the one order
 *     throttle     the publisher is paused while subscribers of other workers are too far behind
 *
 * Each of them is decided in this file alone. */
#ifndef WS_SERVER_JOURNAL_PUBLISH_H
#define WS_SERVER_JOURNAL_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/broadcast/channel.h"
#include "server/broadcast/throttle.h"
#include "server/config/server_options.h"
#include "server/net/limits.h"

enum publish_way {
    PUBLISH_WS,
    PUBLISH_HTTP,
    PUBLISH_STDIN, /* which the operator opens, and no client; it is slowed down by source.h */
};

/* What a thread publishes with; all is borrowed. */
struct publish_means {
    const struct server_options *options;
    const struct channel_publisher *publisher;
    struct limits *limits; /* these two: NULL for PUBLISH_STDIN */
    struct throttle *throttle;
};

/* One that publishes. */
struct publish_client {
    enum publish_way way;
    struct limits_client counts; /* not for PUBLISH_STDIN, from here on */
    uint64_t now;                /* milliseconds, of uv_now */
    struct throttle_publisher throttle;
};

struct publish_result {
    const char *limit; /* that was exceeded: the option that sets it, static */
    size_t published;  /* messages, the first ones */
    struct channel_receipt receipt;
};

/* True if the way is open. */
bool publish_is_open(const struct server_options *options, enum publish_way way);

/* Publishes messages, with nobody else's between them; those of a WebSocket client come one by one.
 * Each item is what was said, in one part. Returns 0, or with nothing published UV_EACCES when the
 * way is not open, UV_EAGAIN when a limit is exceeded in this second and UV_E2BIG when it is in
 * any, or UV_ENOMEM with the first `result->published` of them published. */
int publish_messages(const struct publish_means *means, const struct publish_client *client,
                     struct channel *channel, const struct channel_item *items, size_t count,
                     struct publish_result *result);

#endif
