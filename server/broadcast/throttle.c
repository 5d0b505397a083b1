#include "server/broadcast/throttle.h"

#include <stdlib.h>

enum {
    AGAIN = 4,    /* milliseconds between two looks while a publisher is paused */
    SCARCE = 200, /* milliseconds at most, for which memory that is used up pauses a publisher */
};

struct throttle_paused {
    struct list node;
    struct throttle_paused **owner; /* the publisher's pointer to this */
    void *publisher;
    struct channels *channels;
    struct channel *channel; /* referred to */
    uint64_t until;          /* what the others have to reach */
    uint64_t since;          /* milliseconds */
    void (*on_paused)(void *publisher, bool paused);
};

static void resume(struct throttle_paused *paused)
{
    void *publisher = paused->publisher;
    void (*on_paused)(void *publisher, bool paused) = paused->on_paused;

    throttle_forget(paused->owner);
    on_paused(publisher, false);
}

/* Takes all off the list, and resumes those that may go on; the others are put back. */
static void on_timer(uv_timer_t *timer)
{
    struct throttle *throttle = container_of(timer, struct throttle, _timer);
    struct list judged, *node;

    list_init(&judged);
    list_splice(&judged, &throttle->_paused);
    while ((node = list_take_first(&judged)) != NULL) {
        struct throttle_paused *paused = container_of(node, struct throttle_paused, node);

        if (channel_delivered(paused->channel) < paused->until ||
            (memory_is_over(&throttle->_channels->memory) &&
             uv_now(timer->loop) - paused->since < SCARCE))
            list_append(&throttle->_paused, node);
        else
            resume(paused);
    }
    if (list_empty(&throttle->_paused))
        (void) uv_timer_stop(timer);
}

void throttle_init(struct throttle *throttle, uv_loop_t *loop, struct channels *channels)
{
    throttle->_channels = channels;
    (void) uv_timer_init(loop, &throttle->_timer);
    list_init(&throttle->_paused);
}

void throttle_close(struct throttle *throttle)
{
    uv_close((uv_handle_t *) &throttle->_timer, NULL);
}

/* Whether it is time to look at the others: whenever what is appended to the channel passes a
 * multiple of THROTTLE_LOOK; and each time while a publisher is paused, as others are likely to be.
 */
static bool is_look_due(const struct throttle *throttle, const struct channel_receipt *receipt)
{
    uint64_t before = receipt->appended - receipt->bytes;

    return receipt->appended / THROTTLE_LOOK > before / THROTTLE_LOOK ||
           !list_empty(&throttle->_paused);
}

void throttle_published(struct throttle *throttle, const struct throttle_publisher *publisher,
                        struct channel *channel, const struct channel_receipt *receipt)
{
    uint64_t end = receipt->appended;
    struct throttle_paused *fresh;
    bool outruns;

    if (*publisher->paused != NULL || !is_look_due(throttle, receipt))
        return;
    outruns = end >= THROTTLE_BEHIND && channel_delivered(channel) < end - THROTTLE_BEHIND;
    if (!outruns && !memory_is_over(&throttle->_channels->memory))
        return;
    fresh = malloc(sizeof *fresh);
    if (fresh == NULL)
        return;
    *fresh = (struct throttle_paused){.owner = publisher->paused,
                                      .publisher = publisher->publisher,
                                      .channels = throttle->_channels,
                                      .channel = channel,
                                      .until = outruns ? end : 0,
                                      .since = uv_now(throttle->_timer.loop),
                                      .on_paused = publisher->on_paused};
    channels_ref(channel);
    list_init(&fresh->node);
    list_append(&throttle->_paused, &fresh->node);
    *publisher->paused = fresh;
    if (!uv_is_active((uv_handle_t *) &throttle->_timer))
        (void) uv_timer_start(&throttle->_timer, on_timer, AGAIN, AGAIN);
    publisher->on_paused(publisher->publisher, true);
}

void throttle_forget(struct throttle_paused **paused)
{
    if (*paused == NULL)
        return;
    list_remove(&(*paused)->node);
    channels_unref((*paused)->channels, (*paused)->channel);
    free(*paused);
    *paused = NULL;
}
