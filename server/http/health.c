#include "server/http/health.h"

#include "common/http/http_response.h"
#include "server/http/control.h"
#include "server/http/services.h"

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

enum request_outcome health_ready(struct request *request)
{
    const char *why = why_not(request);

    return why == NULL ? say(request, "ready") : request_refuse(request, 503, why);
}

enum request_outcome health_public(struct request *request)
{
    return why_not(request) == NULL ? say(request, "ready")
                                    : request_refuse(request, 503, "not ready");
}
