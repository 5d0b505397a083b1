/* The real worker on streams of memory, for unit tests: a scene is played turn by turn of its loop,
 * on this thread. To be included once, by a test that is linked with tests/fuzz/memory_stream.c. */
#ifndef WS_TESTS_UNIT_STAGE_H
#define WS_TESTS_UNIT_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_stream.h"
#include "tests/rules.h"
#include "tests/worker_here.h"

struct stage {
    struct server_options options; /* the defaults, but no prefix, until stage_open */
    struct config _config;
    struct channels channels;
    struct limits limits;
    struct fd_shortage shortage;
    struct worker *worker;
    struct channel *channel; /* the default one */
    unsigned turn;           /* from 1 on */
    unsigned most_turns;
    bool stopped;
    void (*act)(struct stage *stage); /* once a turn */
    bool counts_addresses;            /* until stage_open */
    void *scene;
    uv_idle_t _idle;
    uv_loop_t _main_loop; /* what the worker tells when it is done */
    uv_async_t _done;
    _Atomic size_t _running;
    struct journal _journal;
    struct worker_shared _shared;
};

/* `act` is called once a turn; the play is over when it has called stage_stop and all peers are
 * gone, which must be so within `most_turns`. */
static inline void stage_init(struct stage *stage, void (*act)(struct stage *stage), void *scene,
                              unsigned most_turns)
{
    static char name[] = "test", *arguments[] = {name, NULL};
    struct error error;

    *stage = (struct stage){.act = act, .scene = scene, .most_turns = most_turns};
    assert_int_equal(server_options_parse(&stage->options, 1, arguments, &error), 0);
    stage->options.prefix = "";
    log_init("test", LOG_ERROR);
}

static inline void stage_stop(struct stage *stage)
{
    if (!stage->stopped)
        worker_stop(stage->worker);
    stage->stopped = true;
}

static inline void stage_on_turn(uv_idle_t *idle)
{
    struct stage *stage = container_of(idle, struct stage, _idle);

    stage->turn++;
    stage->act(stage);
    if (stage->stopped && stage->worker->context.peers == 0)
        uv_close((uv_handle_t *) idle, NULL);
    else
        assert_true(stage->turn < stage->most_turns);
}

/* After stage_init and what is to be changed of the options: makes all that a worker needs. */
static inline void stage_open(struct stage *stage)
{
    journal_init_memory(&stage->_journal);
    rules_of_options(&stage->_config, &stage->options);
    stage->_shared = (struct worker_shared){
        .config = &stage->_config,
        .limits = &stage->limits,
        .channels = &stage->channels,
        .journal = &stage->_journal,
        .shortage = &stage->shortage,
        .workers = &stage->worker,
        .worker_count = 1,
        .running = &stage->_running,
        .done = &stage->_done,
    };
    assert_int_equal(uv_loop_init(&stage->_main_loop), 0);
    assert_int_equal(uv_async_init(&stage->_main_loop, &stage->_done, NULL), 0);
    assert_int_equal(
        channels_init(&stage->channels, &stage->_config.rules, stage->options.max_channels), 0);
    histories_limit(&stage->channels.histories, stage->options.history_total);
    stage->channels.memory.max = stage->options.max_memory;
    assert_int_equal(channels_find(&stage->channels, "", 0, &stage->channel), 0);
    assert_int_equal(limits_init(&stage->limits, &stage->options, stage->counts_addresses), 0);
    assert_int_equal(fd_shortage_init(&stage->shortage), 0);
    assert_int_equal(worker_new(&stage->worker, 0, &stage->_shared), 0);
    (void) uv_idle_init(&stage->worker->loop, &stage->_idle);
    (void) uv_idle_start(&stage->_idle, stage_on_turn);
}

/* Runs it to its end, and checks that nothing is left. */
static inline void stage_play(struct stage *stage)
{
    assert_int_equal(worker_start(stage->worker), 0);
    assert_int_equal(uv_loop_alive(&stage->worker->loop), 0);
    worker_join(stage->worker);
    worker_free(stage->worker);
    fd_shortage_deinit(&stage->shortage);
    assert_int_equal(stage->limits._connections, 0);
    limits_deinit(&stage->limits);
    assert_int_equal(stage->channel->_subscribers, 0);
    assert_int_equal(stage->channels.memory.charged, 0);
    channels_unref(&stage->channels, stage->channel);
    channels_deinit(&stage->channels);
    assert_int_equal(stage->channels.memory.blocks, 0);
    uv_close((uv_handle_t *) &stage->_done, NULL);
    (void) uv_run(&stage->_main_loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->_main_loop), 0);
}

/* A connection comes in. */
static inline void stage_arrive(struct stage *stage, struct memory_end *end, const char *address)
{
    memory_end_init(end);
    end->address = address;
    memory_end_offer(end, 0);
    (void) worker_turn_connection(&(struct listener){.owner = stage->worker, .loopback = true}, -1);
}

/* Sends an opening handshake; `more` are further header fields, each with its CRLF. */
static inline void stage_upgrade(struct memory_end *end, const char *query, const char *more)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET /ws%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                       query, more);

    memory_end_send(end, request, (size_t) len);
}

/* True when the server has written this. */
static inline bool stage_has(const struct memory_end *end, const char *bytes)
{
    return end->written.len > 0 &&
           memmem(end->written.data, end->written.len, bytes, strlen(bytes)) != NULL;
}

/* How many whole text frames have come behind the head. */
static inline unsigned stage_count_texts(const struct memory_end *end)
{
    const uint8_t *at = memmem(end->written.data, end->written.len, "\r\n\r\n", 4);
    const uint8_t *behind = end->written.data + end->written.len;
    unsigned count = 0;

    if (at == NULL)
        return 0;
    for (at += 4; at + FRAME_MAX_HEADER <= behind || at + 2 <= behind; at += frame_length(at)) {
        if (at + frame_length(at) > behind)
            break;
        count += (at[0] & 0xf) == FRAME_TEXT ? 1 : 0;
    }
    return count;
}

#endif
