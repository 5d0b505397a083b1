/* A play of fuzz_server.c, while it is performed, and its steps. */
#ifndef WS_TESTS_FUZZ_SERVER_PLAY_H
#define WS_TESTS_FUZZ_SERVER_PLAY_H

#include "common/websocket/deflate.h"
#include "server/broadcast/channels.h"
#include "server/worker.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_stream.h"

enum {
    SERVER_PLAY_CLIENTS = 3,  /* at a time, */
    SERVER_PLAY_ROLES = 12,   /* and in all */
    SERVER_PLAY_CHANNELS = 2, /* that are watched: the default one and "a" */
};

/* One connection. */
struct server_role {
    struct memory_end end;
    size_t drip;  /* bytes of room that come with each turn */
    bool spoke;   /* it may have published, */
    bool replays; /* or asked for history */
};

/* Who reads a channel from its first message on. */
struct server_watcher {
    struct channel *channel;
    struct channel_reader reader;
    struct buffer frames;
};

struct server_play {
    struct worker *worker;
    struct channels *channels;
    struct fuzz_input input;
    uv_idle_t turn;
    struct server_role roles[SERVER_PLAY_ROLES];
    size_t role_count;
    struct server_role *clients[SERVER_PLAY_CLIENTS];
    const struct channel_publisher *publisher; /* the worker's */
    uint64_t milliseconds;                     /* the time */
    const char *address;                       /* of the next one; NULL: the usual one */
    struct deflater *deflater;
    bool stopped;
    uint64_t passing; /* milliseconds that are still to pass */
    unsigned steps;
    unsigned goodbye_turns;
    bool lags;    /* and may lag only so far */
    bool skips;   /* the slow miss messages */
    bool no_echo; /* publishers miss their own */
    struct server_watcher watchers[SERVER_PLAY_CHANNELS];
    size_t watcher_count;
};

/* A client comes in place of another one; accepting its connection ends with `accept_status`.
 * Nothing happens when the server has been told to stop, or there have been too many. */
void server_play_connect(struct server_play *play, size_t client, int accept_status);

/* Takes the next step of the input. True when the turn ends with it. */
bool server_steps_next(struct server_play *play);

/* Once a turn: the sockets that drip take some more. */
void server_steps_drip(struct server_play *play);

#endif
