#include "server/http/replay_from.h"

#include <string.h>
#include <uv.h>

#include "common/base/decimal.h"

/* With `any`, an ID in another form counts as one of another epoch, of which nothing is known. */
static int parse_id(const char *text, size_t len, bool any, struct channel_replay_from *from,
                    const char **why)
{
    from->kind = CHANNEL_REPLAY_ID;
    if (event_id_parse(text, len, &from->id) == 0)
        return 0;
    from->id = (struct event_id){0, 0}; /* no epoch is 0, but with a chance of 2^-64 */
    *why = REPLAY_FROM_NOT_AN_ID;
    return any ? 0 : UV_EINVAL;
}

static int parse_history(const struct request_target_text *value, struct channel_replay_from *from,
                         const char **why)
{
    from->kind = CHANNEL_REPLAY_LAST;
    *why = "history must be a number of messages, or 'all'";
    if (value->len == 3 && memcmp(value->data, "all", 3) == 0) {
        from->kind = CHANNEL_REPLAY_ALL;
        return 0;
    }
    if (value->len == 0 || decimal_read(value->data, value->len, &from->count) != value->len)
        return UV_EINVAL;
    if (from->count > UINT64_MAX / 16)
        from->count = UINT64_MAX / 16; /* as good as all */
    return 0;
}

static int parse(const struct http_head *request, const struct request_target *target, bool any,
                 struct channel_replay_from *from, const char **why)
{
    const char *field = http_head_get(request, "Last-Event-ID");
    struct request_target_text id, history;

    *from = (struct channel_replay_from){.kind = CHANNEL_REPLAY_NOW};
    *why = "duplicate query parameter: last_event_id or history";
    if (request_target_parameter(target, "last_event_id", &id) != 0 ||
        request_target_parameter(target, "history", &history) != 0)
        return UV_EINVAL;
    *why = "Last-Event-ID must appear once";
    if (http_head_count(request, "Last-Event-ID") > 1)
        return UV_EINVAL;
    if (field != NULL && *field != '\0')
        return parse_id(field, strlen(field), any, from, why);
    if (id.len > 0)
        return parse_id(id.data, id.len, any, from, why);
    return history.data != NULL ? parse_history(&history, from, why) : 0;
}

int replay_from_parse(const struct http_head *request, const struct request_target *target,
                      struct channel_replay_from *from, const char **why)
{
    return parse(request, target, false, from, why);
}

int replay_from_parse_any(const struct http_head *request, const struct request_target *target,
                          struct channel_replay_from *from, const char **why)
{
    return parse(request, target, true, from, why);
}

int replay_from_parse_gap(const struct request_target *target, bool *refuses, const char **why)
{
    struct request_target_text value;

    *why = "duplicate query parameter: gap";
    if (request_target_parameter(target, "gap", &value) != 0)
        return UV_EINVAL;
    *why = "gap must be 'refuse', or be left out";
    *refuses = value.data != NULL;
    return value.data == NULL || (value.len == 6 && memcmp(value.data, "refuse", 6) == 0)
               ? 0
               : UV_EINVAL;
}
