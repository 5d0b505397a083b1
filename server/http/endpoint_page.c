#include "server/http/endpoint_page.h"

#include <string.h>

#include "common/http/http_response.h"
#include "server/http/http_html.h"
#include "server/http/services.h"

bool endpoint_page_is_wanted(const struct request *request)
{
    return strcmp(request->services->options->path, "/") == 0 &&
           request_accepts(request, "text/html");
}

enum request_outcome endpoint_page_show(struct request *request)
{
    struct response *response = &request->response;

    response->type = HTTP_RESPONSE_HTML;
    response->fields = http_html_fields;
    if (http_html_write(&response->body, 200, NULL, request->services->options->path) != 0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return REQUEST_ANSWERED;
}
