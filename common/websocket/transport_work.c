#include "common/websocket/transport_work.h"

enum {
    TURN = 16 * 1000 * 1000, /* units of one turn, more or less */
    MOST_SHARE = TURN / 4,   /* of one transport, */
    LEAST_SHARE = 64 * 1000, /* however many work hard */
    HARD = LEAST_SHARE,      /* units that make a transport one of those */
    PLACES = sizeof(struct transport *),
};

void transport_work_init(struct transport_context *context)
{
    context->_work = (struct transport_work){.share = MOST_SHARE};
}

void transport_work_deinit(struct transport_context *context)
{
    buffer_deinit(&context->_work.deferred);
}

void transport_charge(struct transport *transport, uint64_t units)
{
    struct transport_work *work = &transport_context_of(transport)->_work;

    work->turn += units;
    if (work->reader == transport)
        work->of_reader += units;
}

bool transport_is_spent(const struct transport *transport)
{
    const struct transport_context *context = transport_context_of(transport);
    const struct transport_work *work = &context->_work;

    return context->_server && (work->reads_nothing || work->turn >= TURN ||
                                (work->reader == transport && work->of_reader >= work->share));
}

bool transport_work_begin(struct transport *transport)
{
    struct transport_context *context = transport_context_of(transport);
    struct transport_work *work = &context->_work;

    if (work->reader == transport && !work->reads_nothing)
        return !transport_is_spent(transport);
    if (work->reads_nothing || (context->_server && work->turn >= TURN))
        return false;
    work->hard += work->of_reader >= HARD ? 1 : 0;
    work->reader = transport;
    work->of_reader = 0;
    return true;
}

/* ---- those that are deferred: a queue of pointers, in a buffer ---- */

static struct transport **deferred_at(const struct transport_work *work, size_t at)
{
    return (struct transport **) (void *) (work->deferred.data + at);
}

void transport_work_defer(struct transport *transport)
{
    struct transport_work *work = &transport_context_of(transport)->_work;

    if (transport->_deferred)
        return;
    if (buffer_append(&work->deferred, &transport, PLACES) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return;
    }
    transport->_deferred = true;
    if (transport->_connected && transport->_input != TRANSPORT_INPUT_ENDED)
        stream_read_stop(&transport->stream);
}

void transport_work_forget(struct transport *transport)
{
    struct transport_work *work = &transport_context_of(transport)->_work;

    if (work->reader == transport)
        work->reader = NULL;
    if (!transport->_deferred)
        return;
    transport->_deferred = false;
    for (size_t at = work->first; at < work->deferred.len; at += PLACES) {
        if (*deferred_at(work, at) == transport)
            *deferred_at(work, at) = NULL;
    }
}

/* The next of them, or NULL when none is left. */
static struct transport *next_deferred(struct transport_work *work)
{
    while (work->first < work->deferred.len) {
        struct transport *transport = *deferred_at(work, work->first);

        work->first += PLACES;
        if (transport != NULL)
            return transport;
    }
    return NULL;
}

/* Forgets the places of those that have gone on. */
static void drop_places(struct transport_work *work)
{
    if (work->first == work->deferred.len) {
        buffer_deinit(&work->deferred);
        buffer_init(&work->deferred);
    } else {
        buffer_drop(&work->deferred, work->first);
    }
    work->first = 0;
}

/* What each may use in the next turn: half of it is for those that are not deferred. */
static uint64_t share_of(unsigned hard)
{
    uint64_t share = TURN / 2 / (hard + 1);

    if (share > MOST_SHARE)
        return MOST_SHARE;
    return share > LEAST_SHARE ? share : LEAST_SHARE;
}

void transport_context_hold_input(struct transport_context *context)
{
    context->_work.reads_nothing = true;
}

bool transport_context_go_on(struct transport_context *context)
{
    struct transport_work *work = &context->_work;
    /* Those that are deferred again have had their share. */
    size_t end = work->reads_nothing ? work->first : work->deferred.len;

    work->share = share_of(work->hard + (work->of_reader >= HARD ? 1 : 0));
    work->hard = 0;
    work->read_nothing = work->reads_nothing;
    work->reads_nothing = false;
    work->turn = 0;
    work->reader = NULL;
    work->of_reader = 0;
    while (work->turn < TURN / 2 && work->first < end) {
        struct transport *transport = next_deferred(work);

        if (transport == NULL)
            break;
        transport->_deferred = false;
        (void) transport_work_begin(transport);
        transport_go_on(transport);
    }
    if (work->turn > TURN / 2)
        work->turn = TURN / 2; /* one message may cost more than that: the others have their half */
    drop_places(work);
    return work->deferred.len == 0;
}
