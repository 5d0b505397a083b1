#include "server/admin/admin_connections.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/decimal.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/http/http_response.h"
#include "server/http/query.h"
#include "server/http/services.h"
#include "server/peer/peer_context.h"
#include "server/peer/peer_list.h"

enum { MAX_REASON = 123 }; /* bytes: RFC 6455, 5.5.1 */

/* ---- what is asked for ---- */

/* A filter: what is not given matches everything. It is the subject of the question, and lives as
 * long. */
struct wanted {
    bool has_channel;
    bool has_user;
    char user[256];
    char channel[CHANNEL_NAME_MAX + 1];
    char address[64];   /* without the port; "": any */
    char transport[16]; /* "": any */
    uint64_t id;        /* 0: any */
    uint64_t after;
    size_t limit;
    bool closes;
    char reason[MAX_REASON + 1];
};

struct row {
    uint64_t id;
    struct buffer text;
};

/* A worker's: the first rows that match, or how many were closed. */
struct share {
    struct row *rows; /* `count` of them; the asker frees them */
    size_t count;
    bool more;
    bool broken; /* out of memory */
    uint64_t closed;
};

/* ---- on each worker ---- */

static bool matches(const struct wanted *wanted, const struct peer_info *info)
{
    size_t len = strlen(wanted->address);

    return (wanted->id == 0 || info->id == wanted->id) &&
           (!wanted->has_channel ||
            (info->channel != NULL && strcmp(info->channel, wanted->channel) == 0)) &&
           (!wanted->has_user || (info->user != NULL && strcmp(info->user, wanted->user) == 0)) &&
           (len == 0 || (strncmp(info->address, wanted->address, len) == 0 &&
                         (info->address[len] == '\0' || info->address[len] == ' '))) &&
           (wanted->transport[0] == '\0' || strcmp(info->transport, wanted->transport) == 0);
}

static int append_row(struct buffer *out, const struct peer_info *info)
{
    int status = buffer_printf(out, "{\"id\": %" PRIu64 ", \"address\": ", info->id);

    if (status == 0)
        status = json_append_string(out, info->address, strlen(info->address));
    if (status == 0)
        status = buffer_printf(out, ", \"user\": ");
    if (status == 0)
        status = info->user != NULL ? json_append_string(out, info->user, strlen(info->user))
                                    : buffer_printf(out, "null");
    if (status == 0)
        status = buffer_printf(out, ", \"transport\": \"%s\", \"channel\": ", info->transport);
    if (status == 0)
        status = info->channel != NULL
                     ? json_append_string(out, info->channel, strlen(info->channel))
                     : buffer_printf(out, "null");
    if (status == 0)
        status = buffer_printf(
            out,
            ", \"since\": %" PRIu64 ".%03u, \"messages_in\": %" PRIu64 ", \"bytes_in\": %" PRIu64
            ", \"messages_out\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"lag_bytes\": %" PRIu64
            ", \"round_trip_ms\": ",
            info->since / 1000, (unsigned) (info->since % 1000), info->messages_in, info->bytes_in,
            info->messages_out, info->bytes_out, info->lag);
    if (status == 0)
        status = info->has_round_trip ? buffer_printf(out, "%.3f}", info->round_trip / 1000.0)
                                      : buffer_printf(out, "null}");
    return status;
}

struct visit {
    const struct wanted *wanted;
    struct share *share;
};

static bool see(void *argument, struct peer *peer)
{
    const struct visit *visit = argument;
    const struct wanted *wanted = visit->wanted;
    struct share *share = visit->share;
    struct peer_info info;

    peer_list_describe(peer, &info);
    if (!matches(wanted, &info))
        return true;
    if (wanted->closes) {
        share->closed++;
        peer_list_end(peer, wanted->reason);
        return wanted->id == 0;
    }
    if (share->count == wanted->limit) {
        share->more = true;
        return false;
    }
    if (share->rows == NULL)
        share->rows = calloc(wanted->limit, sizeof *share->rows);
    if (share->rows == NULL || append_row(&share->rows[share->count].text, &info) != 0) {
        share->broken = true;
        return false;
    }
    share->rows[share->count++].id = info.id;
    return true;
}

/* One walk over all of the worker's connections. */
static bool look(void *context, void *subject, void *share, unsigned *budget)
{
    const struct services *services = context;
    struct visit visit = {subject, share};

    *budget = 0; /* nothing else in this turn */
    peer_list_each(services->peers, visit.wanted->after, see, &visit);
    return true;
}

static void release(void *context, void *subject)
{
    (void) context;
    free(subject);
}

static void drop(void *share)
{
    struct share *mine = share;

    for (size_t i = 0; i < mine->count; i++)
        buffer_deinit(&mine->rows[i].text);
    free(mine->rows);
}

static const struct question_kind kind = {sizeof(struct share), look, release, drop};

/* ---- the answer ---- */

static const struct share *share_at(const struct question *question, size_t i)
{
    return question_share(question, i);
}

/* The next row of all workers, in the order of IDs; `next` says how many of each are written. NULL:
 * there is none. */
static const struct row *next_row(const struct question *question, size_t *next)
{
    const struct row *first = NULL;
    size_t worker = 0;

    for (size_t i = 0; i < question_count(question); i++) {
        const struct share *share = share_at(question, i);

        if (next[i] < share->count && (first == NULL || share->rows[next[i]].id < first->id)) {
            first = &share->rows[next[i]];
            worker = i;
        }
    }
    if (first != NULL)
        next[worker]++;
    return first;
}

static int write_rows(struct buffer *out, const struct question *question, size_t *next)
{
    const struct wanted *wanted = question_subject(question);
    const struct row *row = NULL;
    int status = buffer_printf(out, "{\"connections\": [");
    uint64_t last = 0;
    bool more = false;

    for (size_t i = 0; i < question_count(question); i++)
        more = more || share_at(question, i)->more;
    for (size_t i = 0; status == 0 && (row = next_row(question, next)) != NULL; i++) {
        if (i == wanted->limit)
            break;
        status = buffer_printf(out, "%s%.*s", i > 0 ? ", " : "", (int) row->text.len,
                               (const char *) row->text.data);
        last = row->id;
    }
    if (status != 0)
        return status;
    if (row != NULL || more)
        return buffer_printf(out, "], \"next\": %" PRIu64 "}\n", last);
    return buffer_printf(out, "], \"next\": null}\n");
}

static void tell_list(struct request *request, const struct question *question)
{
    size_t *next = calloc(question_count(question), sizeof *next);
    bool broken = next == NULL;

    for (size_t i = 0; i < question_count(question); i++)
        broken = broken || share_at(question, i)->broken;
    request->response.status = 200;
    request->response.type = HTTP_RESPONSE_JSON;
    if (broken || write_rows(&request->response.body, question, next) != 0)
        (void) request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    free(next);
}

static void tell_closed(struct request *request, const struct question *question)
{
    const struct wanted *wanted = question_subject(question);
    uint64_t closed = 0;

    for (size_t i = 0; i < question_count(question); i++)
        closed += share_at(question, i)->closed;
    request->response.status = 200;
    request->response.type = HTTP_RESPONSE_JSON;
    if (closed == 0 && wanted->id != 0)
        (void) request_refuse(request, 404, "there is no such connection now");
    else if (buffer_printf(&request->response.body, "{\"closed\": %" PRIu64 "}\n", closed) != 0)
        (void) request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
}

static void on_answered(void *asker, const struct question *question)
{
    struct request *request = asker;

    if (((const struct wanted *) question_subject(question))->closes)
        tell_closed(request, question);
    else
        tell_list(request, question);
    request_resume(request, REQUEST_ANSWERED);
}

static void forget(void *context)
{
    question_forget(context);
}

/* ---- the request ---- */

/* Reads a parameter, decoded; "" where it is absent. False if it is too long, or not given once. */
static bool get_text(const struct request *request, const char *name, char *out, size_t size)
{
    struct request_target_text text;

    out[0] = '\0';
    if (request_target_parameter(&request->target, name, &text) != 0 || text.len >= size)
        return false;
    if (text.data != NULL)
        out[request_target_decode(text, out, size - 1)] = '\0';
    return true;
}

/* Returns NULL, or what is wrong. */
static const char *read_filter(const struct request *request, struct wanted *wanted)
{
    static const char *const transports[] = {"", "websocket", "events", "http"};
    char after[24];
    bool known = false;

    wanted->has_user = request_has_parameter(request, "user");
    wanted->has_channel = request_has_parameter(request, "channel");
    if (!get_text(request, "channel", wanted->channel, sizeof wanted->channel) ||
        !get_text(request, "user", wanted->user, sizeof wanted->user) ||
        !get_text(request, "address", wanted->address, sizeof wanted->address) ||
        !get_text(request, "transport", wanted->transport, sizeof wanted->transport) ||
        !get_text(request, "reason", wanted->reason, sizeof wanted->reason))
        return "channel, user, address, transport and reason may be given once each, and not be "
               "too long";
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++)
        known = known || strcmp(wanted->transport, transports[i]) == 0;
    if (!known)
        return "transport is one of websocket, events, http";
    if (!utf8_valid((const uint8_t *) wanted->reason, strlen(wanted->reason)))
        return "reason must be UTF-8, as all reasons of a Close are";
    if (!get_text(request, "after", after, sizeof after) ||
        (after[0] != '\0' && !decimal_parse(after, strlen(after), UINT64_MAX, &wanted->after)))
        return "after must be the ID of a connection";
    return NULL;
}

static enum request_outcome ask(struct request *request, struct wanted *wanted)
{
    struct question *question;

    if (question_ask(&question, request->services->desk, &kind, wanted, request, on_answered) != 0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return request_wait(request, forget, question);
}

/* NULL: the request is answered. */
static struct wanted *want(struct request *request)
{
    struct wanted *wanted = calloc(1, sizeof *wanted);
    const char *why;

    if (wanted == NULL) {
        (void) request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
        return NULL;
    }
    why = read_filter(request, wanted);
    if (why != NULL)
        (void) request_refuse(request, 400, why);
    else if (query_get_limit(request, &wanted->limit))
        return wanted;
    free(wanted);
    return NULL;
}

enum request_outcome admin_connections_list(struct request *request)
{
    struct wanted *wanted = want(request);

    return wanted != NULL ? ask(request, wanted) : REQUEST_ANSWERED;
}

enum request_outcome admin_connections_close(struct request *request)
{
    static const char before[] = "/connections/";
    const struct request_target *target = &request->target;
    struct wanted *wanted = want(request);
    bool has_id = target->path_len >= sizeof before;

    if (wanted == NULL)
        return REQUEST_ANSWERED;
    wanted->closes = true;
    if (wanted->reason[0] == '\0')
        (void) snprintf(wanted->reason, sizeof wanted->reason, "closed by the operator");
    if (has_id && !decimal_parse(target->path + sizeof before - 1,
                                 target->path_len - (sizeof before - 1), UINT64_MAX, &wanted->id)) {
        free(wanted);
        return request_refuse(request, 404, "the ID of a connection is a number");
    }
    if (has_id || wanted->has_channel || wanted->has_user || wanted->address[0] != '\0' ||
        wanted->transport[0] != '\0')
        return ask(request, wanted);
    free(wanted);
    return request_refuse(request, 400,
                          "say which: /connections/ID, or ?channel=, ?user=, ?address= or "
                          "?transport=");
}
