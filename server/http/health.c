#include "server/http/health.h"

#include <stdio.h>

#include "common/http/http_response.h"
#include "server/http/control.h"
#include "server/http/services.h"
#include "server/journal/journal.h"

static enum request_outcome say(struct request *request, const char *text)
{
    struct response *response = &request->response;

    response->status = 200;
    response->type = HTTP_RESPONSE_TEXT;
    return buffer_printf(&response->body, "%s\n", text) == 0
               ? REQUEST_ANSWERED
               : request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
}

/* NULL: it is ready. */
static const char *why_not(const struct request *request)
{
    const struct control *control = request->services->control;

    switch (control != NULL ? (enum control_phase) atomic_load(&control->phase) : CONTROL_READY) {
    case CONTROL_STARTING:
        return "starting";
    case CONTROL_DRAINING:
        return "draining";
    case CONTROL_READY:
        break;
    }
    return NULL;
}

enum request_outcome health_live(struct request *request)
{
    return say(request, "alive");
}

/* Subscribers are served all the same while nothing can be published: that is no reason to take
 * them elsewhere, but one who asks for publishers (?publish) wants to know. */
static enum request_outcome tell_degraded(struct request *request, const char *reason)
{
    char *text = request->response.text;

    (void) snprintf(text, sizeof request->response.text, "degraded: nothing can be published: %s",
                    reason);
    return request_has_parameter(request, "publish") ? request_refuse(request, 503, text)
                                                     : say(request, text);
}

enum request_outcome health_ready(struct request *request)
{
    const char *why = why_not(request);
    struct journal_state state;

    if (why != NULL)
        return request_refuse(request, 503, why);
    journal_look(request->services->publish->journal, &state);
    return state.degraded ? tell_degraded(request, state.reason) : say(request, "ready");
}

enum request_outcome health_public(struct request *request)
{
    struct journal_state state;

    if (why_not(request) != NULL)
        return request_refuse(request, 503, "not ready");
    journal_look(request->services->publish->journal, &state);
    if (!state.degraded)
        return say(request, "ready");
    return request_has_parameter(request, "publish") ? request_refuse(request, 503, "not ready")
                                                     : say(request, "degraded");
}
