#include "server/broadcast/throttle.h"

#include <stdlib.h>

enum {
    AGAIN = 4,    /* milliseconds between two looks while a publisher is paused */
    SCARCE = 200, /* milliseconds at most, for which memory that is used up pauses a publisher */
};

struct throttle_paused {
    struct list node;
    struct throttle_paused **place; /* the publisher's pointer to this */
    void *publisher;
    struct channels *channels;
    struct channel *channel; /* referred to */
    uint64_t until;          /* what the others have to reach */
    uint64_t since;          /* milliseconds */
    void (*on_held)(void *publisher, bool held);
};

static void let_go(struct throttle_paused *held)
{
    void *publisher = held->publisher;
    void (*on_held)(void *publisher, bool held) = held->on_held;

    throttle_forget(held->place);
    on_held(publisher, false);
}

/* Takes all off the list, and resumes those that may go on; the others are put back. */
static void on_timer(uv_timer_t *timer)
{
    struct throttle *throttle = container_of(timer, struct throttle, _timer);
    struct list judged, *node;

    list_init(&judged);
    list_splice(&judged, &throttle->_held);
    while ((node = list_take_first(&judged)) != NULL) {
        struct throttle_paused *held = container_of(node, struct throttle_paused, node);

        if (channel_delivered(held->channel) < held->until ||
            (memory_is_over(&throttle->_channels->memory) &&
             uv_now(timer->loop) - held->since < SCARCE))
            list_append(&throttle->_held, node);
        else
            let_go(held);
    }
    if (list_empty(&throttle->_held))
        (void) uv_timer_stop(timer);
}

void throttle_init(struct throttle *throttle, uv_loop_t *loop, struct channels *channels)
{
    throttle->_channels = channels;
    (void) uv_timer_init(loop, &throttle->_timer);
    list_init(&throttle->_held);
}

void throttle_close(struct throttle *throttle)
{
    uv_close((uv_handle_t *) &throttle->_timer, NULL);
}

/* Whether it is time to look at the others: whenever what is appended to the channel passes a
 * multiple of PACE_LOOK; and each time while a publisher is paused, as others are likely to be. */
static bool is_look_due(const struct throttle *throttle, const struct channel_receipt *receipt)
{
    uint64_t before = receipt->appended - receipt->bytes;

    return receipt->appended / PACE_LOOK > before / PACE_LOOK || !list_empty(&throttle->_held);
}

void throttle_published(struct throttle *throttle, const struct throttle_publisher *publisher,
                        struct channel *channel, const struct channel_receipt *receipt)
{
    uint64_t end = receipt->appended;
    struct throttle_paused *fresh;
    bool outruns;

    if (*publisher->held != NULL || !is_look_due(throttle, receipt))
        return;
    outruns = end >= PACE_BEHIND && channel_delivered(channel) < end - PACE_BEHIND;
    if (!outruns && !memory_is_over(&throttle->_channels->memory))
        return;
    fresh = malloc(sizeof *fresh);
    if (fresh == NULL)
        return;
    *fresh = (struct throttle_paused){.place = publisher->held,
                                      .publisher = publisher->publisher,
                                      .channels = throttle->_channels,
                                      .channel = channel,
                                      .until = outruns ? end : 0,
                                      .since = uv_now(throttle->_timer.loop),
                                      .on_held = publisher->on_held};
    channels_ref(channel);
    list_init(&fresh->node);
    list_append(&throttle->_held, &fresh->node);
    *publisher->held = fresh;
    if (!uv_is_active((uv_handle_t *) &throttle->_timer))
        (void) uv_timer_start(&throttle->_timer, on_timer, AGAIN, AGAIN);
    publisher->on_held(publisher->publisher, true);
}

void throttle_forget(struct throttle_paused **held)
{
    if (*held == NULL)
        return;
    list_remove(&(*held)->node);
    channels_unref((*held)->channels, (*held)->channel);
    free(*held);
    *held = NULL;
}
