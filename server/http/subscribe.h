/* The handlers of requests that become subscribers: the WebSocket upgrade, and event streams. And
 * what is answered to a GET that asks for none of what a channel has. */
#ifndef WS_SERVER_HTTP_SUBSCRIBE_H
#define WS_SERVER_HTTP_SUBSCRIBE_H

#include "server/http/request.h"

/* An opening handshake: validated before the check of its origin; then it joins. */
bool subscribe_is_handshake(const struct request *request);
enum request_outcome subscribe_validate(struct request *request);
enum request_outcome subscribe_websocket(struct request *request);

/* An opening handshake that a proxy has spoiled: 426, which says so. */
bool subscribe_is_lost(const struct request *request);
enum request_outcome subscribe_lost(struct request *request);

bool subscribe_is_for_events(const struct request *request);
enum request_outcome subscribe_events(struct request *request);

/* 426: connect with a WebSocket client. */
enum request_outcome subscribe_required(struct request *request);

#endif
