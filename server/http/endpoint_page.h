/* The handler of GET / where / is the endpoint, and a browser asks for a page (http_html). */
#ifndef WS_SERVER_HTTP_ENDPOINT_PAGE_H
#define WS_SERVER_HTTP_ENDPOINT_PAGE_H

#include "server/http/request.h"

bool endpoint_page_is_wanted(const struct request *request);
enum request_outcome endpoint_page_show(struct request *request);

#endif
