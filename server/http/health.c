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
static enum request_outcome tell(struct request *request, bool reasons)
{
    const char *why = why_not(request), *text = "degraded";
    struct journal_state state;

    if (why != NULL)
        return request_refuse(request, 503, reasons ? why : "not ready");
    journal_look(request->services->publish->journal, &state);
    if (!state.degraded)
        return say(request, "ready");
    if (reasons) {
        (void) snprintf(request->response.text, sizeof request->response.text,
                        "degraded: nothing can be published: %s", state.reason);
        text = request->response.text;
    }
    if (request_has_parameter(request, "publish"))
        return request_refuse(request, 503, reasons ? text : "not ready");
    return say(request, text);
}

enum request_outcome health_ready(struct request *request)
{
    return tell(request, true);
}

enum request_outcome health_public(struct request *request)
{
    return tell(request, false);
}
