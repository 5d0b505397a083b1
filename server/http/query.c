#include "server/http/query.h"

#include <inttypes.h>
#include <string.h>
#include <uv.h>

#include "common/base/decimal.h"
#include "common/base/json.h"
#include "common/http/http_response.h"
#include "server/http/authorize.h"
#include "server/http/replay_from.h"
#include "server/http/services.h"

enum {
    LIMIT = 100,         /* entries of a page, unless `?limit=` says otherwise, */
    MAX_LIMIT = 1000,    /* up to this; */
    LOOKING = 512,       /* units of work: for each channel that is looked at */
    MAX_PAGE = 64 * 1024 /* a page of channels is also full when it has so many bytes */
};

/* ---- parameters ---- */

bool query_get_limit(struct request *request, size_t *limit)
{
    struct request_target_text text;
    uint64_t number;

    *limit = LIMIT;
    if (request_target_parameter(&request->target, "limit", &text) == 0) {
        if (text.data == NULL)
            return true;
        if (decimal_parse(text.data, text.len, MAX_LIMIT, &number) && number > 0) {
            *limit = (size_t) number;
            return true;
        }
    }
    (void) request_refuse(request, 400, "limit must be a number from 1 to 1000");
    return false;
}

/* Reads `?after=`, which may be left out. False as above. */
static bool get_after(struct request *request, struct request_target_text *after)
{
    if (request_target_parameter(&request->target, "after", after) == 0)
        return true;
    (void) request_refuse(request, 400, "duplicate query parameter: after");
    return false;
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

/* The next channel that the request may see, with a reference in place of that of `channel`. */
static struct channel *next_channel(struct request *request, struct channel *channel)
{
    struct channels *channels = request->services->channels;

    do {
        channel = channels_next(channels, channel);
        request->response.work += LOOKING;
    } while (channel != NULL && !authorize_may_see(request, channel->name));
    return channel;
}

/* The first channel of the page, with a reference: NULL if there is none, or if `after` is refused,
 * as the response says then. */
static struct channel *first_channel(struct request *request)
{
    struct channels *channels = request->services->channels;
    struct channel *after = NULL;
    struct request_target_channel name = {.len = 0};
    struct request_target_text text;

    if (!get_after(request, &text))
        return NULL;
    /* Empty is the name of the default channel. One that is not to be seen is as one that is not
     * there. */
    if (text.data != NULL && ((text.len > 0 && request_target_parse_channel(text, &name) != 0) ||
                              !authorize_may_see(request, name.name) ||
                              channels_find(channels, name.name, name.len, &after) != 0)) {
        (void) request_refuse(request, 404,
                              "this channel does not exist any more: begin the list again");
        return NULL;
    }
    return next_channel(request, after);
}

/* Writes a page, from `channel` on. Returns 0 or UV_ENOMEM. */
static int append_channels(struct request *request, struct channel *channel, size_t limit)
{
    struct channels *channels = request->services->channels;
    struct buffer *out = &request->response.body;
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
        channel = next_channel(request, channel);
        if (channel == NULL || status != 0 || (i + 1 < limit && out->len < MAX_PAGE))
            continue;
        channels_unref(channels, channel);
        status = buffer_append(out, "], \"next\": ", 11);
        if (status == 0)
            status = json_append_string(out, last, len);
        return status == 0 ? buffer_append(out, "}\n", 2) : status;
    }
    if (channel != NULL)
        channels_unref(channels, channel);
    return status == 0 ? buffer_append(out, "], \"next\": null}\n", 17) : status;
}

enum request_outcome query_channels(struct request *request)
{
    struct channels *channels = request->services->channels;
    struct response *response = &request->response;
    struct channel *channel;
    size_t limit;

    response->type = HTTP_RESPONSE_JSON;
    if (!query_get_limit(request, &limit))
        return REQUEST_ANSWERED;
    channel = first_channel(request);
    if (response->why != NULL)
        return REQUEST_ANSWERED;
    if (request_has_method(request, "HEAD")) { /* the page is not sent */
        if (channel != NULL)
            channels_unref(channels, channel);
    } else if (append_channels(request, channel, limit) != 0) {
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    }
    return REQUEST_ANSWERED;
}

/* ---- one channel ---- */

/* Finds the channel. False if there is none, and the response says so. */
static bool find(struct request *request, struct channel **channel)
{
    const struct services *services = request->services;

    if (channels_find(services->channels, request->channel.name, request->channel.len, channel) ==
        0)
        return true;
    (void) request_refuse(request, 404,
                          services->options->listed_channels
                              ? RESPONSE_CHANNEL_NOT_LISTED
                              : "this channel does not exist now: it is created by the first "
                                "subscriber or message");
    return false;
}

/* What one worker knows of a channel: how far its peers are. */
static bool look(void *context, void *subject, void *share, unsigned *budget)
{
    const struct services *services = context;

    return fanouts_look(services->fanouts, subject, budget, share);
}

static void release(void *context, void *subject)
{
    const struct services *services = context;

    channels_unref(services->channels, subject);
}

static const struct question_kind info_kind = {sizeof(struct fanout_lag), look, release, NULL};

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

/* Writes the figures. Returns 0 or UV_ENOMEM. */
static int append_figures(struct buffer *out, const struct question *question)
{
    struct fanout_lag lag = sum_of(question);
    struct channel *channel = question_subject(question);
    struct channel_info info;
    char id[EVENT_ID_SIZE];
    int status;

    channel_info(channel, &info);
    status = append_info(out, channel->name, &info);
    if (status == 0)
        status = buffer_printf(out,
                               ", \"slowest_lag\": {\"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
                               ", \"unacknowledged\": %" PRIu64 "}, \"acknowledged\": ",
                               lag.messages, lag.bytes, lag.unacknowledged);
    if (status == 0 && lag.acknowledges)
        return buffer_printf(
            out, "\"%s\"}\n",
            event_id_print((struct event_id){info.last.epoch, lag.acknowledged}, id));
    return status == 0 ? buffer_append(out, "null}\n", 6) : status;
}

static void on_answered(void *asker, const struct question *question)
{
    struct request *request = asker;

    request->response.type = HTTP_RESPONSE_JSON;
    if (append_figures(&request->response.body, question) != 0)
        (void) request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    request_resume(request, REQUEST_ANSWERED);
}

static void forget(void *context)
{
    question_forget(context);
}

bool query_is_for_info(const struct request *request)
{
    return request_has_parameter(request, "info");
}

enum request_outcome query_info(struct request *request)
{
    struct question *question;
    struct channel *channel;

    if (!find(request, &channel))
        return REQUEST_ANSWERED;
    if (question_ask(&question, request->services->desk, &info_kind, channel, request,
                     on_answered) != 0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return request_wait(request, forget, question); /* answers come later, never within */
}

/* ---- messages ---- */

/* Where the page begins. False if the parameters are not valid, and the response says so. */
static bool get_start(struct request *request, struct channel_replay_from *from)
{
    struct request_target_text after;
    const char *why;

    if (!get_after(request, &after))
        return false;
    if (after.len > 0) {
        from->kind = CHANNEL_REPLAY_ID;
        if (event_id_parse(after.data, after.len, &from->id) == 0)
            return true;
        (void) request_refuse(request, 400, REPLAY_FROM_NOT_AN_ID);
        return false;
    }
    if (replay_from_parse(request->head, &request->target, from, &why) != 0) {
        (void) request_refuse(request, 400, why);
        return false;
    }
    if (from->kind == CHANNEL_REPLAY_NOW)
        from->kind = CHANNEL_REPLAY_ALL;
    return true;
}

bool query_is_for_messages(const struct request *request)
{
    return request_accepts(request, HTTP_RESPONSE_JSON);
}

enum request_outcome query_messages(struct request *request)
{
    struct channels *channels = request->services->channels;
    struct response *response = &request->response;
    struct channel_replay_from from;
    struct block_cursor cursor;
    struct channel *channel;
    struct event_id start;
    struct channel_info info;
    size_t limit;

    response->type = HTTP_RESPONSE_JSON;
    if (!query_get_limit(request, &limit) || !get_start(request, &from) || !find(request, &channel))
        return REQUEST_ANSWERED;
    channel_info(channel, &info);
    response->work = channel_seek_work(info.bytes);
    if (channel_look_back(channel, &from, &cursor, &start) != 0) {
        channels_unref(channels, channel);
        return request_refuse(request, 400, RESPONSE_FUTURE_ID);
    }
    if (http_page_new(&response->page, channels, channel, &cursor, start, limit) != 0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return REQUEST_ANSWERED;
}
