#include "server/http/http_show.h"

#include <inttypes.h>
#include <string.h>
#include <uv.h>

#include "common/base/json.h"
#include "server/http/since.h"

enum {
    LIMIT = 100,         /* of a page, unless `?limit=` says otherwise, */
    MAX_LIMIT = 1000,    /* up to this; */
    MAX_PAGE = 64 * 1024 /* but a page of the channels is full, too, when it has so many bytes */
};

/* ---- parameters ---- */

/* Reads `?limit=`. False when it is no good, and the answer says so. */
static bool get_limit(const struct http_api_request *request, size_t *limit,
                      struct http_api_answer *answer)
{
    struct request_target_text text;

    *limit = LIMIT;
    if (request_target_parameter(request->resource, "limit", &text) == 0) {
        if (text.data == NULL)
            return true;
        *limit = 0;
        for (size_t i = 0; i < text.len && *limit <= MAX_LIMIT; i++)
            *limit = text.data[i] >= '0' && text.data[i] <= '9'
                         ? *limit * 10 + (size_t) (text.data[i] - '0')
                         : MAX_LIMIT + 1;
        if (*limit > 0 && *limit <= MAX_LIMIT)
            return true;
    }
    http_api_refuse(answer, 400, "limit is a number from 1 to 1000");
    return false;
}

/* Reads `?after=`, which may be left out. False as above. */
static bool get_after(const struct http_api_request *request, struct request_target_text *after,
                      struct http_api_answer *answer)
{
    if (request_target_parameter(request->resource, "after", after) == 0)
        return true;
    http_api_refuse(answer, 400, "a parameter of the query stands there twice");
    return false;
}

static bool is_head(const struct http_api_request *request)
{
    return strcmp(http_head_method(request->head), "HEAD") == 0;
}

static void out_of_memory(struct http_api_answer *answer)
{
    http_api_refuse(answer, 503, "out of memory");
}

/* ---- channels ---- */

static int append_info(struct buffer *out, const char *name, const struct channel_info *info)
{
    char id[EVENT_ID_SIZE];
    int status = buffer_append(out, "{\"channel\": ", 12);

    if (status == 0)
        status = json_append_string(out, name, strlen(name));
    if (status == 0)
        status = buffer_printf(out,
                               ", \"subscribers\": %zu, \"last_id\": \"%s\", \"messages\": %" PRIu64
                               ", \"bytes\": %" PRIu64,
                               info->subscribers, event_id_print(info->last, id), info->messages,
                               info->bytes);
    return status;
}

/* The first channel of the page, referred to: NULL when there is none, or when it is not known
 * where to go on, as the answer says then. */
static struct channel *first_channel(const struct http_api *api,
                                     const struct http_api_request *request,
                                     struct http_api_answer *answer)
{
    struct channel *after = NULL;
    struct request_target_channel name = {.len = 0};
    struct request_target_text text;

    if (!get_after(request, &text, answer))
        return NULL;
    /* Empty is the name of the default channel. */
    if (text.data != NULL && ((text.len > 0 && request_target_parse_channel(text, &name) != 0) ||
                              channels_find(api->channels, name.name, name.len, &after) != 0)) {
        http_api_refuse(answer, 404, "there is no channel of this name any more: begin anew");
        return NULL;
    }
    return channels_next(api->channels, after);
}

/* Writes a page, from `channel` on. Returns 0 or UV_ENOMEM. */
static int append_channels(const struct http_api *api, struct channel *channel, size_t limit,
                           struct buffer *out)
{
    int status = buffer_append(out, "{\"channels\": [", 14);
    const char *separator = "";

    for (size_t i = 0; channel != NULL && status == 0; i++) {
        struct channel_info info;
        char last[CHANNEL_NAME_MAX + 1];
        size_t len = strlen(channel->name);

        channel_info(channel, &info);
        memcpy(last, channel->name, len + 1);
        status = buffer_append(out, separator, strlen(separator));
        if (status == 0)
            status = append_info(out, last, &info);
        if (status == 0)
            status = buffer_append(out, "}", 1);
        separator = ", ";
        channel = channels_next(api->channels, channel);
        if (channel == NULL || status != 0 || (i + 1 < limit && out->len < MAX_PAGE))
            continue;
        channels_unref(api->channels, channel);
        status = buffer_append(out, "], \"next\": ", 11);
        if (status == 0)
            status = json_append_string(out, last, len);
        return status == 0 ? buffer_append(out, "}\n", 2) : status;
    }
    if (channel != NULL)
        channels_unref(api->channels, channel);
    return status == 0 ? buffer_append(out, "], \"next\": null}\n", 17) : status;
}

void http_show_channels(const struct http_api *api, const struct http_api_request *request,
                        struct http_api_answer *answer)
{
    struct channel *channel;
    size_t limit;

    if (!get_limit(request, &limit, answer))
        return;
    channel = first_channel(api, request, answer);
    if (answer->why == NULL && is_head(request) && channel != NULL)
        channels_unref(api->channels, channel); /* nobody gets to see a page */
    else if (answer->why == NULL && append_channels(api, channel, limit, &answer->json) != 0)
        out_of_memory(answer);
}

/* ---- one channel ---- */

/* Finds the channel. False when there is none, and the answer says so. */
static bool find(const struct http_api *api, const struct http_api_request *request,
                 struct channel **channel, struct http_api_answer *answer)
{
    if (channels_find(api->channels, request->channel.data, request->channel.len, channel) == 0)
        return true;
    http_api_refuse(
        answer, 404,
        api->options->listed_channels
            ? http_api_not_listed
            : "there is no such channel now: it begins when somebody listens or publishes");
    return false;
}

/* What one worker knows of a channel: how far its peers are. */
static bool look(void *context, void *subject, void *share, unsigned *budget)
{
    const struct http_api *api = context;

    return fanouts_look(api->fanouts, subject, budget, share);
}

static void release(void *context, void *subject)
{
    const struct http_api *api = context;

    channels_unref(api->channels, subject);
}

static const struct question_kind info_kind = {sizeof(struct fanout_lag), look, release};

bool http_show_ask(const struct http_api *api, const struct http_api_request *request, void *asker,
                   void (*answered)(void *asker, const struct question *question),
                   struct question **question, struct http_api_answer *answer)
{
    struct channel *channel;

    if (!find(api, request, &channel, answer))
        return false;
    if (question_ask(question, api->desk, &info_kind, channel, asker, answered) == 0)
        return true;
    out_of_memory(answer);
    return false;
}

/* Over all workers. */
static struct fanout_lag sum_of(const struct question *question)
{
    struct fanout_lag sum = {0};

    for (size_t i = 0; i < question_count(question); i++) {
        const struct fanout_lag *lag = question_share(question, i);

        if (lag->bytes > sum.bytes)
            sum.bytes = lag->bytes;
        if (lag->messages > sum.messages)
            sum.messages = lag->messages;
        if (lag->unacknowledged > sum.unacknowledged)
            sum.unacknowledged = lag->unacknowledged;
        if (lag->acknowledges && (!sum.acknowledges || lag->acknowledged < sum.acknowledged))
            sum.acknowledged = lag->acknowledged;
        sum.acknowledges = sum.acknowledges || lag->acknowledges;
    }
    return sum;
}

void http_show_info(const struct question *question, struct http_api_answer *answer)
{
    struct fanout_lag lag = sum_of(question);
    struct channel *channel = question_subject(question);
    struct channel_info info;
    char id[EVENT_ID_SIZE];
    int status;

    channel_info(channel, &info);
    status = append_info(&answer->json, channel->name, &info);
    if (status == 0)
        status = buffer_printf(&answer->json,
                               ", \"slowest_lag\": {\"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
                               ", \"unacknowledged\": %" PRIu64 "}, \"acknowledged\": ",
                               lag.messages, lag.bytes, lag.unacknowledged);
    if (status == 0 && lag.acknowledges)
        status =
            buffer_printf(&answer->json, "\"%s\"}\n",
                          event_id_print((struct event_id){info.last.epoch, lag.acknowledged}, id));
    else if (status == 0)
        status = buffer_append(&answer->json, "null}\n", 6);
    if (status != 0)
        out_of_memory(answer);
}

/* ---- messages ---- */

/* Where the page begins. False when that makes no sense, and the answer says so. */
static bool get_since(const struct http_api_request *request, struct channel_since *since,
                      struct http_api_answer *answer)
{
    struct request_target_text after;
    const char *why;

    if (!get_after(request, &after, answer))
        return false;
    if (after.len > 0) {
        since->kind = CHANNEL_SINCE_ID;
        if (event_id_parse(after.data, after.len, &since->id) == 0)
            return true;
        http_api_refuse(answer, 400, "this is no event ID: send one as you got it");
        return false;
    }
    if (since_parse(request->head, request->resource, since, &why) != 0) {
        http_api_refuse(answer, 400, why);
        return false;
    }
    if (since->kind == CHANNEL_SINCE_NOW)
        since->kind = CHANNEL_SINCE_ALL;
    return true;
}

void http_show_messages(const struct http_api *api, const struct http_api_request *request,
                        struct http_api_answer *answer)
{
    struct channel_since since;
    struct block_cursor cursor;
    struct channel *channel;
    struct event_id place;
    struct channel_info info;
    size_t limit;

    if (!get_limit(request, &limit, answer) || !get_since(request, &since, answer) ||
        !find(api, request, &channel, answer))
        return;
    channel_info(channel, &info);
    answer->work = channel_seek_work(info.bytes);
    if (channel_look_back(channel, &since, &cursor, &place) != 0) {
        http_api_refuse(answer, 400,
                        "this event ID is of a message to come: send one as you got it");
        channels_unref(api->channels, channel);
    } else if (http_page_new(&answer->page, api->channels, channel, &cursor, place, limit) != 0) {
        out_of_memory(answer);
    }
}
