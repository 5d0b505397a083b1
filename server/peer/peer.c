#include "server/peer/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/escape.h"
#include "common/base/log.h"
#include "server/broadcast/event_stream.h"
#include "server/broadcast/fanout.h"
#include "server/http/connection.h"
#include "server/net/admission.h"
#include "server/net/limits.h"
#include "server/peer/peer_memory.h"
#include "server/peer/peer_read.h"
#include "server/worker.h"

static struct peer *peer_of(struct transport *transport)
{
    return container_of(transport, struct peer, transport);
}

static struct worker *worker_of(const struct peer *peer)
{
    return worker_of_transports(transport_context_of(&peer->transport));
}

void peer_leave(struct peer *peer)
{
    if (fanout_has(peer))
        fanout_leave(peer->_fanout, peer, peer_meeting(peer));
}

struct peer_more *peer_need_more(struct peer *peer)
{
    if (peer->_more == NULL) {
        peer->_more = calloc(1, sizeof *peer->_more);
        if (peer->_more != NULL) {
            list_init(&peer->_more->charged);
            peer->_more->peer = peer;
        }
    }
    return peer->_more;
}

static void free_more(struct peer *peer)
{
    if (peer->_more == NULL)
        return;
    connection_free(peer->_more->connection);
    throttle_forget(&peer->_more->held);
    free(peer->_more->rate);
    peer_read_forget_own(peer);
    list_remove(&peer->_more->charged);
    free(peer->_more->past);
    free(peer->_more);
    peer->_more = NULL;
}

void peer_free_more_if_unused(struct peer *peer)
{
    const struct server_options *options = worker_options(worker_of(peer));
    const struct peer_more *more = peer->_more;

    if (more != NULL && more->connection == NULL && more->rate == NULL && more->own == NULL &&
        !more->untold && more->held == NULL && more->charge == 0 && more->watched_since == 0 &&
        !peer->cursor.catching && options->idle_timeout == 0 && options->min_read_rate == 0)
        free_more(peer);
}

/* Makes room for the peer's past. False when out of memory. */
static bool add_past(struct peer *peer)
{
    peer->_more->past = calloc(1, sizeof *peer->_more->past);
    return peer->_more->past != NULL;
}

/* False when out of memory. */
static bool end_connection(struct peer *peer)
{
    connection_free(peer->_more->connection);
    peer->_more->connection = NULL;
    peer->_more->last_message = (uint32_t) worker_clock(worker_of(peer));
    if (peer->cursor.catching)
        return add_past(peer);
    peer_free_more_if_unused(peer);
    return true;
}

/* ---- arriving ---- */

/* Tells the log and the counts that this peer has hit a limit. */
static void hit(const struct peer *peer, const char *limit, const char *done)
{
    char name[64];

    limits_hit(worker_limits(worker_of(peer)), limit,
               stream_peer_name(&peer->transport.stream, name, sizeof name), done);
}

/* Every peer is one of these where limits_count_addresses, and none elsewhere. */
struct counted_peer {
    struct peer peer;
    struct limits_address *address; /* where the client counts, or NULL */
};

/* NULL when out of memory. */
static struct peer *make_peer(struct worker *worker, const struct admission *admission)
{
    bool counts = limits_count_addresses(worker_limits(worker));
    struct peer *fresh = calloc(1, counts ? sizeof(struct counted_peer) : sizeof *fresh);

    if (fresh == NULL || peer_need_more(fresh) == NULL) {
        free(fresh);
        return NULL;
    }
    list_init(&fresh->place);
    fresh->_more->refused = admission->limit != NULL;
    if (counts)
        container_of(fresh, struct counted_peer, peer)->address = admission->address;
    return fresh;
}

/* Where the peer counts, or NULL. */
static struct limits_address *address_of(const struct peer *peer)
{
    if (!limits_count_addresses(worker_limits(worker_of(peer))))
        return NULL;
    return container_of(peer, struct counted_peer, peer)->address;
}

/* The connection is gone, as far as limits are concerned. */
static void count_out(struct peer *peer)
{
    struct limits *limits = worker_limits(worker_of(peer));
    struct peer_more *more = peer->_more;

    if (more != NULL && more->gone)
        return;
    if (more != NULL && more->refused)
        limits_refused(limits);
    else
        limits_depart(limits, address_of(peer));
    if (more != NULL)
        more->gone = true;
}

bool peer_drop_kept(struct transport_context *transports)
{
    struct transport *transport = transport_context_take_kept(transports);

    if (transport == NULL)
        return false;
    count_out(peer_of(transport));
    transport_abort(transport, UV_ECANCELED);
    return true;
}

static bool make_room(void *worker)
{
    return worker_make_room(worker);
}

static void refuse(struct peer *peer, const char *limit)
{
    hit(peer, limit, "refused with 503");
    connection_refuse(peer->_more->connection, &peer->transport, 503,
                      "there are too many connections: try again later");
}

int peer_accept(struct transport_context *transports, int fd, bool loopback, bool tls)
{
    struct worker *worker = worker_of_transports(transports);
    struct admission admission;
    struct peer *peer = NULL;
    int status = 0;

    if (!admission_begin(&admission, worker_limits(worker), fd, make_room, worker))
        goto fail_admit;
    peer = make_peer(worker, &admission);
    status = peer != NULL ? transport_init(&peer->transport, transports) : UV_ENOMEM;
    if (status != 0)
        goto fail_peer;
    worker_peer_arrived(worker); /* from here on it leaves through on_closed */
    status = stream_open(&peer->transport.stream, fd);
    if (status != 0)
        (void) close(fd);
    if (status == 0 && tls)
        status = stream_accept_tls(&peer->transport.stream, worker_tls(worker));
    if (status == 0)
        status = connection_new(&peer->_more->connection, worker_policy(worker), loopback,
                                admission.address);
    if (status == 0)
        status = transport_start(&peer->transport);
    if (status != 0)
        transport_abort(&peer->transport, status);
    else if (admission.limit != NULL)
        refuse(peer, admission.limit);
    return 0; /* it has been taken, whatever became of it */

fail_peer:
    admission_end(&admission, worker_limits(worker));
    if (peer != NULL)
        free_more(peer);
    free(peer);
fail_admit:
    (void) close(fd);
    return status;
}

/* Finds the channel that is asked for, and joins it. Returns NULL, or why it is refused, with
 * `*http` as the status. */
static const char *join(struct peer *peer, const struct connection_join *request,
                        struct event_id *start, int *http)
{
    unsigned form = request->events           ? (unsigned) CHANNEL_EVENTS
                    : request->deflate.agreed ? request->deflate.server_max_window_bits
                                              : (unsigned) CHANNEL_PLAIN;
    int status;

    *http = 503;
    if (worker_policy(worker_of(peer))->ending)
        return RESPONSE_GOING_AWAY;
    status = fanouts_get(worker_fanouts(worker_of(peer)), request->channel.name,
                         request->channel.len, &peer->_fanout);
    if (status == UV_ENOENT) {
        *http = 404;
        return RESPONSE_CHANNEL_NOT_LISTED;
    }
    if (status == UV_EMFILE) {
        hit(peer, "max-channels", "refused with 503");
        return RESPONSE_TOO_MANY_CHANNELS;
    }
    if (status == 0 && request->since.kind != CHANNEL_SINCE_NOW) {
        struct channel_info info;

        channel_info(peer->_fanout->channel, &info);
        transport_charge(&peer->transport, channel_seek_work(info.bytes));
    }
    if (status == 0)
        status = fanout_join(peer->_fanout, peer, form, &request->since, start);
    if (status == UV_EINVAL &&
        request->events) /* as an ID of another epoch: see replay_from_parse_any */
        status = fanout_join(peer->_fanout, peer, form,
                             &(struct channel_since){.kind = CHANNEL_SINCE_ALL}, start);
    if (status == UV_EINVAL) {
        *http = 400;
        return RESPONSE_FUTURE_ID;
    }
    return status != 0 ? RESPONSE_OUT_OF_MEMORY : NULL;
}

/* It has joined, and is told so: from here on it gets frames, or events. */
static int open_transport(struct peer *peer, const struct connection_join *request)
{
    if (log_enabled(LOG_DEBUG)) {
        char name[64];

        log_debug("%s: joined%s", stream_peer_name(&peer->transport.stream, name, sizeof name),
                  request->events ? " (events)" : "");
    }
    if (!request->events)
        return transport_open(&peer->transport, &request->deflate);
    transport_open_raw(&peer->transport);
    return 0;
}

static void on_opening(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of(transport);
    struct connection_join request;
    struct event_id start;
    const char *why;
    size_t used;
    int http;
    enum connection_result result =
        connection_input(peer->_more->connection, transport, data, len, &used, &request);

    if (result == CONNECTION_ENDED && connection_limit(peer->_more->connection) != NULL)
        hit(peer, connection_limit(peer->_more->connection), "refused");
    if (result != CONNECTION_JOIN)
        return;
    why = join(peer, &request, &start, &http);
    if (why != NULL) {
        connection_refuse(peer->_more->connection, transport, http, why);
        return;
    }
    if (!connection_accept(peer->_more->connection, transport, start))
        return;
    transport->note = (uint32_t) start.sequence;
    if (!end_connection(peer) || open_transport(peer, &request) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    if (len > used)
        transport_input(transport, data + used, len - used);
}

static bool is_idle(const struct transport *transport)
{
    const struct peer *peer = container_of(transport, struct peer, transport);

    return connection_is_idle(peer->_more->connection);
}

static void on_opening_timeout(struct transport *transport)
{
    connection_expire(peer_of(transport)->_more->connection, transport);
}

/* ---- saying and hearing ---- */

/* It says more than others can deliver, or may go on. */
static void on_held(void *publisher, bool held)
{
    struct peer *peer = publisher;

    if (!held) {
        transport_resume(&peer->transport);
        return;
    }
    transport_pause(&peer->transport);
    if (log_enabled(LOG_DEBUG)) {
        char name[64];

        log_debug("%s: waits for the subscribers of other workers",
                  stream_peer_name(&peer->transport.stream, name, sizeof name));
    }
}

/* It may have left: one that cannot be written to any more can still be heard to its end. */
static int say(struct peer *peer, enum frame_opcode opcode, const struct frame_part *payload,
               struct publish_result *result)
{
    const struct channel_item item = {opcode, payload, 1};
    const struct publish_client client = {
        .way = PUBLISH_WS,
        .counts = {address_of(peer), &peer->_more->rate},
        .now = uv_now(peer->transport.stream.tcp.loop),
        .throttle = {&peer->_more->held, peer, on_held},
    };
    int status = publish_messages(worker_publish(worker_of(peer)), &client, peer->_fanout->channel,
                                  &item, 1, result);

    transport_charge(&peer->transport, result->receipt.work * (uint64_t) TRANSPORT_WORK_COPY);
    if (status == 0)
        peer->_more->last_message = (uint32_t) worker_clock(worker_of(peer));
    if (status == 0 && worker_options(worker_of(peer))->no_echo)
        status = peer_read_leave_out(peer, &result->receipt);
    return status;
}

static void on_message(struct transport *transport, enum frame_opcode opcode, const uint8_t *data,
                       size_t len)
{
    struct peer *peer = peer_of(transport);
    struct frame_part payload = {data, len};
    struct publish_result result = {.published = 0};
    int status = UV_ENOMEM;

    /* Who cannot be written to has not heard the goodbye; the others have, and expect no more. */
    if (worker_is_leaving(worker_of(peer)))
        return;
    if (peer_need_more(peer) != NULL)
        status = say(peer, opcode, &payload, &result);
    if (status == UV_EACCES)
        transport_reject(transport, CLOSE_POLICY, "this feed is read-only", NULL);
    else if (status == UV_E2BIG)
        transport_reject(transport, CLOSE_TOO_BIG, "more than a second's worth", result.limit);
    else if (status == UV_EAGAIN)
        transport_reject(transport, CLOSE_POLICY, "too fast", result.limit);
    else if (status != 0)
        transport_close(transport, CLOSE_INTERNAL_ERROR, "out of memory");
}

static void on_control(struct transport *transport)
{
    struct peer *peer = peer_of(transport);
    struct peer_more *more = peer_need_more(peer);
    const char *limit = NULL;

    if (more != NULL)
        limit = limits_judge_control(worker_limits(worker_of(peer)), &more->rate,
                                     uv_now(transport->stream.tcp.loop));
    if (limit != NULL)
        transport_reject(transport, CLOSE_POLICY, "too many control frames", limit);
}

void peer_expel(struct peer *peer)
{
    struct transport *transport = &peer->transport;
    bool frames = transport_is_open(transport) && !peer_is_for_events(peer);
    char name[64];

    log_info("%s: its client certificate is no longer accepted: %s",
             stream_peer_name(&transport->stream, name, sizeof name),
             frames ? "closed with 1008" : "ended");
    if (frames)
        transport_reject(transport, CLOSE_POLICY, "the client certificate is no longer accepted",
                         NULL);
    else
        transport_abort(transport, UV_EACCES);
}

void peer_judge_idle(struct peer *peer, uint64_t now, uint64_t timeout)
{
    if (peer->_more == NULL || peer_is_for_events(peer) ||
        (int32_t) ((uint32_t) now - peer->_more->last_message) < (int64_t) timeout ||
        !transport_is_open(&peer->transport))
        return;
    hit(peer, "idle-timeout", "closed with 1000");
    transport_close(&peer->transport, CLOSE_NORMAL, "idle");
}

void peer_judge_reading(struct peer *peer, uint64_t least)
{
    size_t waiting = transport_waiting(&peer->transport);
    uint32_t before, unread = (uint32_t) (waiting < UINT32_MAX ? waiting : UINT32_MAX);

    if (peer->_more == NULL)
        return;
    before = peer->_more->unread;
    peer->_more->unread = unread;
    if (before == 0 || unread == 0 || (unread <= before && before - unread >= least))
        return;
    transport_abort_for(&peer->transport, "min-read-rate");
}

/* ---- places ---- */

/* A comment (WHATWG HTML, 9.2.7). */
static const char heartbeat[] = {':', '\n', '\n'};

static size_t ping_payload(struct transport *transport, char *out)
{
    struct peer *peer = peer_of(transport);

    if (!fanout_has(peer))
        return 0;
    if (peer_is_within_event(peer))
        return 0;
    if (peer_is_for_events(peer)) {
        memcpy(out, heartbeat, sizeof heartbeat);
        return sizeof heartbeat;
    }
    return strlen(event_id_print(channel_place(peer->_fanout->channel, &peer->cursor), out));
}

/* The echo of an ID acknowledges all up to there. */
static void on_pong(struct transport *transport, const uint8_t *data, size_t len)
{
    struct peer *peer = peer_of(transport);
    struct event_id id, last;

    if (!fanout_has(peer) || event_id_parse((const char *) data, len, &id) != 0)
        return;
    last = channel_last_id(peer->_fanout->channel);
    if (id.epoch == last.epoch && id.sequence <= last.sequence &&
        id.sequence > peer_acknowledged(peer))
        transport->note = (uint32_t) id.sequence;
}

uint64_t peer_acknowledged(const struct peer *peer)
{
    uint64_t last = channel_last_id(peer->_fanout->channel).sequence;

    return last - ((uint32_t) last - peer->transport.note);
}

static bool is_opening(const struct peer *peer)
{
    return peer->_more != NULL && peer->_more->connection != NULL;
}

/* Answers have left: the next piece of one may be made; or further requests, which were held, may
 * be read. */
static void feed_held(struct peer *peer)
{
    struct buffer held;

    if (!is_opening(peer) || !transport_is_writable(&peer->transport) ||
        !connection_take_held(peer->_more->connection, &peer->transport, &held))
        return;
    if (held.len > 0)
        transport_input(&peer->transport, held.data, held.len);
    else
        on_opening(&peer->transport, NULL, 0); /* it was pending, and joins */
    buffer_deinit(&held);
}

static void flush_opening(struct peer *peer)
{
    struct transport_bytes none = {.more = connection_is_answering(peer->_more->connection)};

    if (transport_flush(&peer->transport, &none) == 0)
        feed_held(peer);
}

/* A new turn has come for one whose requests had cost its share of an earlier one. */
static void on_share(struct transport *transport)
{
    feed_held(peer_of(transport));
}

static void on_taken(struct transport *transport)
{
    peer_memory_recount(peer_of(transport));
}

static void flush(struct transport *transport)
{
    struct peer *peer = peer_of(transport);

    if (is_opening(peer))
        flush_opening(peer);
    else
        peer_flush(peer);
    peer_memory_recount(peer);
}

static void on_drained(struct transport *transport)
{
    struct peer *peer = peer_of(transport);

    if (peer->_more != NULL)
        peer->_more->unread = 0;
    if (fanout_has(peer))
        fanout_resume(peer->_fanout, peer);
    if (is_opening(peer))
        flush_opening(peer);
    else
        peer_flush(peer);
    if (!transport_is_stalled(transport))
        peer_memory_caught_up(peer);
    peer_memory_recount(peer);
}

void peer_too_slow(struct peer *peer)
{
    peer_read_give_up(peer);
    if (!transport_is_writable(&peer->transport))
        return; /* it is gone, and about to leave */
    if (!transport_is_open(&peer->transport)) {
        hit(peer, "max-lag", "cut short"); /* its Close follows as it would have */
        return;
    }
    if (worker_options(worker_of(peer))->skip_slow) {
        hit(peer, "max-lag", "skipped");
        return;
    }
    hit(peer, "max-lag", "closed with 1008");
    transport_close(&peer->transport, CLOSE_POLICY, "too slow");
}

/* ---- leaving ---- */

static const char *why_lost(const struct transport *transport, int status)
{
    const char *tls = stream_error(&transport->stream);

    return tls != NULL ? tls : uv_strerror(status);
}

static void log_end(const struct peer *peer, const struct transport_end *end)
{
    char name[64], reason[256];

    stream_peer_name(&peer->transport.stream, name, sizeof name);
    escape_text(reason, sizeof reason, end->reason, end->reason_len);
    if (end->fate == TRANSPORT_PEER_CLOSED)
        log_debug("%s: closed with %u '%s'", name, end->code, reason);
    else if (end->fate == TRANSPORT_PEER_FAULT)
        log_debug("%s: broke the protocol, closed with %u: %s", name, end->code, reason);
    else
        log_debug("%s: lost: %s", name, why_lost(&peer->transport, end->status));
}

/* A notice, which may come in the midst of peer_flush: the peer leaves its channel at the end of
 * its flush, or in on_closed. */
static void on_end(struct transport *transport, const struct transport_end *end)
{
    const struct peer *peer = peer_of(transport);

    if (stream_met_http(&transport->stream))
        hit(peer, "plain-http", "answered with 400: TLS is spoken on this address");
    if (log_enabled(LOG_DEBUG))
        log_end(peer, end);
}

static void on_limit(struct transport *transport, const char *limit, uint16_t code)
{
    char done[32] = "dropped";

    if (code != 0)
        (void) snprintf(done, sizeof done, "closed with %u", code);
    hit(peer_of(transport), limit, done);
}

static void on_closed(struct transport *transport)
{
    struct peer *peer = peer_of(transport);
    struct worker *worker = worker_of(peer);

    peer_leave(peer);
    peer_memory_forget(peer);
    if (peer->_fanout != NULL)
        fanouts_put(worker_fanouts(worker), peer->_fanout);
    count_out(peer);
    free_more(peer);
    free(peer);
    worker_peer_left(worker);
}

const struct transport_ops peer_transport_ops = {
    .on_opening = on_opening,
    .on_opening_timeout = on_opening_timeout,
    .is_idle = is_idle,
    .on_message = on_message,
    .on_control = on_control,
    .on_limit = on_limit,
    .ping_payload = ping_payload,
    .on_pong = on_pong,
    .on_taken = on_taken,
    .on_share = on_share,
    .flush = flush,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_closed = on_closed,
};
