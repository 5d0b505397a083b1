#include "server/upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "common/escape.h"
#include "common/http_head.h"
#include "common/log.h"
#include "server/since.h"

enum { MAX_REQUESTS = 100 }; /* answered on one connection before it is asked to come anew */

struct upgrade {
    struct http_head head;
    const struct upgrade_policy *policy;
    bool loopback;
    unsigned requests;
    /* Of the opening handshake; not all of the verdict, which is large: */
    char accept[HANDSHAKE_ACCEPT_LEN + 1];
    struct extension_deflate deflate;
};

/* Ready for the next request. */
static void begin_head(struct upgrade *upgrade)
{
    http_head_init(&upgrade->head, HTTP_HEAD_REQUEST);
    http_head_limit(&upgrade->head, upgrade->policy->max_header_bytes,
                    upgrade->policy->max_header_count);
}

int upgrade_new(struct upgrade **upgrade, const struct upgrade_policy *policy, bool loopback)
{
    struct upgrade *fresh = malloc(sizeof *fresh);

    if (fresh == NULL)
        return UV_ENOMEM;
    fresh->policy = policy;
    fresh->loopback = loopback;
    fresh->requests = 0;
    begin_head(fresh);
    *upgrade = fresh;
    return 0;
}

void upgrade_free(struct upgrade *upgrade)
{
    if (upgrade == NULL)
        return;
    http_head_deinit(&upgrade->head);
    free(upgrade);
}

/* A page that is kept out is for the operator to know of, who can let it in. */
static void log_refusal(const struct upgrade *upgrade, const struct transport *transport,
                        int status, const char *why)
{
    enum log_level level = status == 403 ? LOG_INFO : LOG_DEBUG;
    const char *target = http_head_target(&upgrade->head);
    char name[64], shown[256];

    if (log_enabled(level))
        log_write(level, "%s: refused with %d: '%s': %s",
                  stream_peer_name(&transport->stream, name, sizeof name), status,
                  escape_text(shown, sizeof shown, target, strlen(target)), why);
}

/* Writes a refusal. False when the transport had to be aborted. */
static bool refuse(struct upgrade *upgrade, struct transport *transport, int status,
                   const char *why, bool keep_alive)
{
    struct buffer *out = transport_opening_output(transport);
    bool head_only = strcmp(http_head_method(&upgrade->head), "HEAD") == 0;

    log_refusal(upgrade, transport, status, why);
    if (out == NULL || handshake_write_refusal(out, status, why, keep_alive, head_only) != 0) {
        transport_abort(transport, UV_ENOMEM);
        return false;
    }
    if (!keep_alive)
        transport_finish(transport);
    return true;
}

bool upgrade_accept(struct upgrade *upgrade, struct transport *transport, struct event_id place)
{
    struct buffer *out = transport_opening_output(transport);
    struct handshake_verdict verdict = {.status = 101, .deflate = upgrade->deflate};

    memcpy(verdict.accept, upgrade->accept, sizeof verdict.accept);
    if (out != NULL && handshake_write_response(out, &verdict, place) == 0)
        return true;
    transport_abort(transport, UV_ENOMEM);
    return false;
}

/* Answers one complete request. */
static enum upgrade_result answer(struct upgrade *upgrade, struct transport *transport,
                                  struct upgrade_request *request)
{
    struct http_head *head = &upgrade->head;
    struct handshake_verdict verdict;
    bool keep_alive;

    handshake_judge_request(head, &upgrade->policy->handshake, upgrade->loopback, &verdict);
    request->deflate = upgrade->deflate = verdict.deflate;
    request->channel = verdict.channel;
    memcpy(upgrade->accept, verdict.accept, sizeof upgrade->accept);
    if (verdict.status == 101 &&
        since_parse(head, &verdict.resource, &request->since, &verdict.why) == 0)
        return UPGRADE_JOIN;
    if (verdict.status == 101)
        verdict.status = 400;
    /* A body is not read here, and a malformed request's end is not to be trusted. */
    keep_alive = head->keep_alive && !head->has_body && verdict.status != 400 &&
                 ++upgrade->requests < MAX_REQUESTS;
    if (!refuse(upgrade, transport, verdict.status, verdict.why, keep_alive) || !keep_alive)
        return UPGRADE_REFUSED;
    http_head_deinit(head);
    begin_head(upgrade);
    transport_restart_opening(transport);
    return UPGRADE_MORE;
}

enum upgrade_result upgrade_input(struct upgrade *upgrade, struct transport *transport,
                                  const uint8_t *data, size_t len, size_t *used,
                                  struct upgrade_request *request)
{
    enum upgrade_result result = UPGRADE_MORE;

    *used = 0;
    while (result == UPGRADE_MORE && *used < len) {
        size_t taken;

        switch (http_head_feed(&upgrade->head, data + *used, len - *used, &taken)) {
        case HTTP_HEAD_MORE:
            break;
        case HTTP_HEAD_DONE:
            result = answer(upgrade, transport, request);
            break;
        case HTTP_HEAD_BAD:
            (void) refuse(upgrade, transport, upgrade->head.status, upgrade->head.why, false);
            result = UPGRADE_REFUSED;
            break;
        }
        *used += taken;
    }
    return result;
}

void upgrade_refuse(struct upgrade *upgrade, struct transport *transport, int status,
                    const char *why)
{
    (void) refuse(upgrade, transport, status, why, false);
}

const char *upgrade_limit(const struct upgrade *upgrade)
{
    return upgrade->head.limit;
}
