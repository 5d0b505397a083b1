/* As whom a request comes, and whether it may do what it asks for: a step of the check that comes
 * before the handlers, after that of Origin and Host. It fails closed: a credential that is
 * presented and not valid is refused (401), even where anyone may; without one, what takes a right
 * is refused as well (401), and with one that lacks the right it is 403 (RFC 9110, 15.5; RFC 6750,
 * 3.1). Where there are no users, no credential is looked at. */
#ifndef WS_SERVER_HTTP_AUTHORIZE_H
#define WS_SERVER_HTTP_AUTHORIZE_H

#include "server/http/request.h"

/* Fills in the request's identity, and judges what its route needs. Returns REQUEST_PASSED or
 * REQUEST_ANSWERED. */
enum request_outcome authorize_check(struct request *request);

/* Refuses what the request's identity may not do. Returns REQUEST_ANSWERED. */
enum request_outcome authorize_refuse(struct request *request, enum principal_right right);

/* True if the request's identity may subscribe to the channel of this name. */
bool authorize_may_see(const struct request *request, const char *channel);

/* True if the request may make its channel, if there is none. */
bool authorize_may_create(const struct request *request, enum principal_right right);

#endif
