#include "server/journal/submit.h"

#include <string.h>
#include <uv.h>

#include "server/journal/journal.h"

bool submit_is_open(const struct server_options *options, enum submit_way way)
{
    switch (way) {
    case SUBMIT_WS:
        return (options->publish & SERVER_OPTIONS_PUBLISH_WS) != 0;
    case SUBMIT_HTTP:
        return (options->publish & SERVER_OPTIONS_PUBLISH_HTTP) != 0;
    case SUBMIT_STDIN:
        break;
    }
    return true;
}

/* Returns 0, or UV_EAGAIN or UV_E2BIG with the limit that is exceeded. */
static int check_limits(const struct submit_context *context, const struct submit_client *client,
                        const struct channel_item *items, size_t count, const char **limit)
{
    uint64_t bytes = 0;

    if (client->way == SUBMIT_STDIN)
        return 0;
    for (size_t i = 0; i < count; i++)
        bytes += items[i].parts->len;
    *limit = limits_check_size(context->limits, count, bytes);
    if (*limit != NULL)
        return UV_E2BIG;
    *limit = limits_check_messages(context->limits, &client->counts, client->now, count, bytes);
    return *limit != NULL ? UV_EAGAIN : 0;
}

static bool has_prefix(enum submit_way way, const struct channel *channel,
                       const struct channel_item *item)
{
    return way == SUBMIT_WS && item->opcode == FRAME_TEXT && channel->name[0] == '\0';
}

int submit_messages(const struct submit_context *context, const struct submit_client *client,
                    const struct submit_batch *batch, const char **limit)
{
    const char *prefix = context->options->prefix;
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
    };
    struct frame_part parts[2];
    struct channel_item prefixed;
    int status;

    *limit = NULL;
    if (!submit_is_open(context->options, client->way))
        return UV_EACCES;
    status = check_limits(context, client, items, batch->count, limit);
    if (status != 0)
        return status;
    if (batch->count == 1 && has_prefix(client->way, batch->channel, items)) {
        parts[0] = (struct frame_part){prefix, strlen(prefix)};
        parts[1] = *items->parts;
        prefixed = (struct channel_item){items->opcode, parts, 2};
        submission.items = &prefixed;
    }
    context->journal->ops->submit(context->journal, &submission);
    return 0;
}
