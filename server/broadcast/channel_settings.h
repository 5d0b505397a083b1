/* What holds for a channel: how it is published to, what is kept of it, and how far its readers may
 * lag. Each channel refers to one struct channel_settings, which the configuration owns; another
 * one may take its place while the channel is in use (channel_set_settings). */
#ifndef WS_SERVER_BROADCAST_CHANNEL_SETTINGS_H
#define WS_SERVER_BROADCAST_CHANNEL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much of the past a channel keeps; 0: that does not limit it. With none of them set, there is
 * no history. */
struct history_policy {
    uint64_t messages;
    uint64_t bytes; /* of frames, uncompressed */
    uint64_t age;   /* milliseconds */
};

/* How far a stalled subscriber may fall behind; 0: as far as it likes. */
struct lag_limits {
    uint64_t bytes;
    uint64_t messages;
    uint64_t time; /* milliseconds that a message waits for it */
};

/* The ways to publish: bits. */
enum {
    CHANNEL_BY_WS = 1,
    CHANNEL_BY_HTTP = 2,
};

/* Who may do something. */
enum channel_who {
    CHANNEL_ANYONE,
    CHANNEL_AUTHORIZED, /* who has the right to (see auth.h) */
    CHANNEL_NOBODY,
};

enum { CHANNEL_MAX_SUBPROTOCOLS = 8 };

struct channel_settings {
    const char *prefix; /* put before texts of WebSocket clients; "" for none */
    unsigned publish;   /* the ways that are open to clients */
    enum channel_who may_subscribe;
    enum channel_who may_publish; /* by the ways that are open */
    bool no_echo;                 /* a client does not get what it has sent itself */
    bool skip_slow;      /* a subscriber that lags too far misses messages, and is not closed */
    bool no_compression; /* permessage-deflate is not agreed to */
    const char *subprotocols[CHANNEL_MAX_SUBPROTOCOLS]; /* agreed to; "*": whatever comes first */
    size_t subprotocol_count;
    /* 0 turns each of these off. */
    uint64_t max_message;             /* bytes */
    uint64_t max_subscribers;         /* on all workers */
    uint64_t max_messages_per_second; /* of one client */
    uint64_t max_bytes_per_second;    /* of one client */
    struct lag_limits lag;
    struct history_policy history;
};

/* Everything is open, nothing limited, nothing kept. */
extern const struct channel_settings channel_settings_none;

/* The settings of channels whose names match a pattern (pattern.h). */
struct channel_rule {
    const char *pattern;
    struct channel_settings settings;
};

/* The settings of all channels: those of the first rule that matches, else `others`, or
 * `of_default` for the default channel. */
struct channel_rules {
    const struct channel_rule *list;
    size_t count;
    struct channel_settings others;
    struct channel_settings of_default;
};

/* For the channel of this name, decoded; "" is the default one. Valid as long as the rules. */
const struct channel_settings *channel_rules_find(const struct channel_rules *rules,
                                                  const char *name);

/* The shortest time that any of them lets a message wait; 0: all any time. */
uint64_t channel_rules_least_lag_time(const struct channel_rules *rules);

/* Whether any of them limits the age of history, and how much one client may send in a second. */
bool channel_rules_have_age(const struct channel_rules *rules);
bool channel_rules_have_rates(const struct channel_rules *rules);

#endif
