#include "server/journal/publish.h"

#include <string.h>
#include <uv.h>

bool publish_is_open(const struct server_options *options, enum publish_way way)
{
    switch (way) {
    case PUBLISH_WS:
        return (options->publish & SERVER_OPTIONS_PUBLISH_WS) != 0;
    case PUBLISH_HTTP:
        return (options->publish & SERVER_OPTIONS_PUBLISH_HTTP) != 0;
    case PUBLISH_STDIN:
        break;
    }
    return true;
}

/* Returns 0, or UV_EAGAIN or UV_E2BIG with the limit that is exceeded. */
static int judge(const struct publish_means *means, const struct publish_client *client,
                 const struct channel_item *items, size_t count, const char **limit)
{
    uint64_t bytes = 0;

    *limit = NULL;
    if (client->way == PUBLISH_STDIN)
        return 0;
    for (size_t i = 0; i < count; i++)
        bytes += items[i].parts->len;
    *limit = limits_judge_size(means->limits, count, bytes);
    if (*limit != NULL)
        return UV_E2BIG;
    *limit = limits_judge_messages(means->limits, &client->counts, client->now, count, bytes);
    return *limit != NULL ? UV_EAGAIN : 0;
}

static bool has_prefix(enum publish_way way, const struct channel *channel,
                       const struct channel_item *item)
{
    return way == PUBLISH_WS && item->opcode == FRAME_TEXT && channel->name[0] == '\0';
}

/* Returns 0 or UV_ENOMEM. */
static int append(const struct publish_means *means, enum publish_way way, struct channel *channel,
                  const struct channel_item *items, size_t count, struct publish_result *result)
{
    const char *prefix = means->options->prefix;
    int status;

    if (count != 1)
        return channel_publish_all(channel, means->publisher, items, count, &result->published,
                                   &result->receipt);
    if (has_prefix(way, channel, items)) {
        const struct frame_part parts[] = {{prefix, strlen(prefix)}, *items->parts};

        status =
            channel_publish(channel, means->publisher, items->opcode, parts, 2, &result->receipt);
    } else {
        status = channel_publish(channel, means->publisher, items->opcode, items->parts,
                                 items->count, &result->receipt);
    }
    result->published = status == 0 ? 1 : 0;
    return status;
}

int publish_messages(const struct publish_means *means, const struct publish_client *client,
                     struct channel *channel, const struct channel_item *items, size_t count,
                     struct publish_result *result)
{
    int status;

    result->published = 0;
    result->limit = NULL;
    if (!publish_is_open(means->options, client->way))
        return UV_EACCES;
    status = judge(means, client, items, count, &result->limit);
    if (status != 0)
        return status;
    status = append(means, client->way, channel, items, count, result);
    if (result->published > 0 && client->way != PUBLISH_STDIN)
        throttle_published(means->throttle, &client->throttle, channel, &result->receipt);
    return status;
}
