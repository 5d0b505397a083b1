/* One request of a connection and its response: the steps of its route, the body, a page that is
 * written in pieces, what is pending. The private half of connection.c, which reads the heads. */
#ifndef WS_SERVER_HTTP_EXCHANGE_H
#define WS_SERVER_HTTP_EXCHANGE_H

#include <stdbool.h>

#include "common/http/http_head.h"
#include "server/http/body.h"
#include "server/http/connection.h"

enum { EXCHANGE_MAX_REFUSALS = 100 }; /* of one connection, which is closed then */

/* Made when the first head is complete, and used for all further requests. */
struct exchange {
    struct request request;
    const struct route *route;
    enum router_step step;
    bool begun; /* `request` holds something */
    bool more;  /* bytes behind the head have come with it */
    bool joins; /* it was pending, and is to join: the owner has to be called */
    bool in_body;
    struct body body;               /* while in_body */
    struct http_page *page;         /* NULL, or what is being written */
    bool keep_alive;                /* the connection goes on behind it */
    unsigned short guesses;         /* credentials that were refused, without an address */
    unsigned short refusals;        /* so far, of the connection */
    struct limits_rate *rate;       /* what the connection has published lately */
    struct throttle_paused *paused; /* while it publishes faster than others can deliver */
    struct connection *connection;
    struct transport *transport;
};

struct connection {
    struct http_head head;
    const struct connection_policy *policy;
    struct limits_address *address; /* where the client counts, or NULL */
    bool loopback;
    struct sockaddr_storage *proxy; /* the address of a trusted proxy, once it has said for whom a
                                       request was: the stream's own is the client's then */
    bool begun;                     /* bytes of a request have come, */
    bool kept;                      /* or an earlier one was answered, and none of the next have */
    bool complete;                  /* the head is */
    struct exchange *exchange;      /* NULL: no head was complete yet */
    struct buffer buffered; /* input that waits until responses have left, or for the next turn */
};

/* ---- of connection.c ---- */

/* A request begins: its time starts. The first one's has, when the connection came. */
void connection_begin_request(struct connection *connection, struct transport *transport);

/* The request is answered: the next one may come, or has come already and is held. */
void connection_go_on(struct connection *connection, struct transport *transport);

/* Logs a refusal: for the operator (info) what can be mended by configuration, such as an origin
 * that is not allowed, a name, or what a proxy has lost; else for debugging. */
void connection_log_refusal(const struct connection *connection, const struct transport *transport,
                            const struct response *response);

/* Writes a response, but of a page only its head. False when the transport had to be aborted. */
bool connection_write(struct connection *connection, struct transport *transport,
                      struct response *response, bool keep_alive);

/* ---- of exchange.c ---- */

void exchange_free(struct exchange *exchange);

/* The head is complete, and `more` of what is behind it has come: takes the request through its
 * steps. */
enum connection_result exchange_begin(struct connection *connection, struct transport *transport,
                                      bool more);

/* Feeds bytes of the body; `*used` as in body_feed. */
enum connection_result exchange_feed_body(struct exchange *exchange, const uint8_t *data,
                                          size_t len, size_t *used);

/* Writes as much of the page as may be held. While there is more, nothing is read. */
enum connection_result exchange_write_page(struct exchange *exchange);

/* The time is up for what is pending: answers in place of its handler. `limit` is the option that
 * sets the time. */
void exchange_expire(struct exchange *exchange, const char *limit);

/* Lets go of the request, its body and its response. A request that is pending is cancelled. */
void exchange_end(struct exchange *exchange);

/* True while a request is pending, or a page is written in part. */
static inline bool exchange_is_answering(const struct exchange *exchange)
{
    return exchange != NULL &&
           (exchange->page != NULL || exchange->joins || request_is_pending(&exchange->request));
}

#endif
