#include "server/journal/submit.h"

#include <string.h>
#include <uv.h>

#include "server/journal/journal.h"
#include "server/metrics/counters.h"

bool submit_is_delayed(const struct submit_context *context)
{
    return context->journal->ops->delays;
}

bool submit_is_open(const struct channel_settings *settings, enum submit_way way)
{
    switch (way) {
    case SUBMIT_WS:
        return (settings->publish & CHANNEL_BY_WS) != 0;
    case SUBMIT_HTTP:
        return (settings->publish & CHANNEL_BY_HTTP) != 0;
    case SUBMIT_STDIN:
        break;
    }
    return true;
}

/* Judged for each publication: what a reload takes away, and what is over, is gone at once. */
static bool has_right(const struct submit_context *context, const struct submit_client *client,
                      const struct channel *channel)
{
    return client->way == SUBMIT_STDIN ||
           auth_may(context->auth, channel_settings(channel)->may_publish, client->identity,
                    PRINCIPAL_PUBLISH, channel->name);
}

static struct limits_amount amount_of(const struct submit_batch *batch)
{
    struct limits_amount amount = {.messages = batch->count};

    for (size_t i = 0; i < batch->count; i++)
        amount.bytes += batch->items[i].parts->len;
    return amount;
}

/* Returns 0, or UV_EAGAIN or UV_E2BIG with the limit that is exceeded. */
static int check_limits(const struct submit_client *client, const struct channel_settings *settings,
                        const struct limits_amount *amount, const char **limit)
{
    const struct limits_amount most = {settings->max_messages_per_second,
                                       settings->max_bytes_per_second};

    if (client->way == SUBMIT_STDIN)
        return 0;
    *limit = limits_check_size(&most, amount);
    if (*limit != NULL)
        return UV_E2BIG;
    *limit = limits_check_messages(&client->counts, client->now, &most, amount);
    return *limit != NULL ? UV_EAGAIN : 0;
}

static bool has_prefix(enum submit_way way, const struct channel_settings *settings,
                       const struct channel_item *item)
{
    return way == SUBMIT_WS && item->opcode == FRAME_TEXT && settings->prefix[0] != '\0';
}

_Static_assert((int) SUBMIT_WS == (int) COUNTERS_WS && (int) SUBMIT_HTTP == (int) COUNTERS_HTTP &&
                   (int) SUBMIT_STDIN == (int) COUNTERS_STDIN,
               "ways are counted by their numbers");

static void count(struct counters *counters, enum submit_way way,
                  const struct limits_amount *amount)
{
    if (counters == NULL)
        return;
    counters_add(&counters->messages_in[way], amount->messages);
    counters_add(&counters->bytes_in[way], amount->bytes);
}

int submit_messages(const struct submit_context *context, const struct submit_client *client,
                    const struct submit_batch *batch, const char **limit)
{
    const struct channel_settings *settings = channel_settings(batch->channel);
    const struct limits_amount amount = amount_of(batch);
    const struct channel_item *items = batch->items;
    struct submission submission = {
        .channel = batch->channel,
        .publisher = context->publisher,
        .items = items,
        .count = batch->count,
        .throttle = client->way != SUBMIT_STDIN ? context->throttle : NULL,
        .publisher_throttle = client->throttle,
        .on_receipt = batch->on_receipt,
        .owner = batch->owner,
        .outstanding = batch->outstanding,
        .inbox = context->inbox,
        .waits = client->way != SUBMIT_HTTP,
    };
    struct frame_part parts[2];
    struct channel_item prefixed;
    int status;

    *limit = NULL;
    if (!submit_is_open(settings, client->way))
        return UV_EACCES;
    if (!has_right(context, client, batch->channel))
        return UV_EPERM;
    status = check_limits(client, settings, &amount, limit);
    if (status != 0)
        return status;
    if (batch->count == 1 && has_prefix(client->way, settings, items)) {
        parts[0] = (struct frame_part){settings->prefix, strlen(settings->prefix)};
        parts[1] = *items->parts;
        prefixed = (struct channel_item){items->opcode, parts, 2, items->connection};
        submission.items = &prefixed;
    }
    status = context->journal->ops->submit(context->journal, &submission);
    if (status == 0)
        count(context->publisher->counters, client->way, &amount);
    return status;
}
