#include "server/http/access.h"

#include <stdio.h>
#include <string.h>

#include "common/base/escape.h"
#include "server/http/services.h"
#include "server/syntax/origin.h"

static enum request_outcome refuse_origin(struct request *request)
{
    const struct origin_policy *policy = &request->services->origins;
    const char *origin = http_head_get(request->head, "Origin");
    struct response *response = &request->response;
    const char *others = "";
    char shown[96];

    if (policy->allowed_count == 0 && !request->local_only &&
        !policy->host_is_known) /* these are admitted by a rule that a list replaces */
        others = ", and once more for each other origin";
    (void) snprintf(response->text, sizeof response->text,
                    "this origin is not allowed: start the server with --origin '%s' to allow it%s",
                    escape_text(shown, sizeof shown, origin, strlen(origin)), others);
    return request_refuse(request, 403, response->text);
}

enum request_outcome access_check(struct request *request)
{
    switch (origin_check(&request->services->origins, request->head, request->local_only)) {
    case ORIGIN_BAD:
        return request_refuse(request, 403,
                              "Origin must appear once, as SCHEME://HOST or SCHEME://HOST:PORT");
    case ORIGIN_FOREIGN:
        return refuse_origin(request);
    case ORIGIN_NONE:
        /* Browsers send Origin with every handshake. */
        if (request->is_handshake || origin_host_is_own(request->head, request->local_only))
            break;
        return request_refuse(request, 403,
                              "Host must be localhost here: start the server with --server-name "
                              "NAME for each other name by which it is reached");
    case ORIGIN_ADMITTED: /* by whatever name, such as that of a proxy */
        break;
    }
    return REQUEST_PASSED;
}

enum request_outcome access_options(struct request *request)
{
    request->response.status = 204;
    return REQUEST_ANSWERED;
}
