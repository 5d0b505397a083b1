/* The handlers of what browsers load: the page (--page), and the files that are embedded with it
 * (server/page). They are public, and change nothing. */
#ifndef WS_SERVER_HTTP_ASSETS_H
#define WS_SERVER_HTTP_ASSETS_H

#include "server/http/request.h"

/* The page is served where --page says so, else where only this machine listens; and to browsers
 * alone, as its path may be the endpoint's. */
bool assets_page_is_wanted(const struct request *request);
enum request_outcome assets_page(struct request *request);

/* The operator's dashboard, for the address of --admin. */
enum request_outcome assets_dashboard(struct request *request);

/* The file at the path of the request. */
enum request_outcome assets_file(struct request *request);

/* The same, of a file that only the page needs. */
bool assets_is_served_to(const struct request *request);

#endif
