/* How the requests that are no upgrade are answered: at once, in pieces (a page), or when all
 * workers have been asked. For connection alone. */
#ifndef WS_SERVER_HTTP_EXCHANGE_H
#define WS_SERVER_HTTP_EXCHANGE_H

#include <stdbool.h>

#include "common/http/http_head.h"
#include "server/http/body.h"
#include "server/http/connection.h"
#include "server/http/http_api.h"

enum { EXCHANGE_MAX_REFUSALS = 100 }; /* on one connection before it is asked to come anew */

/* What plain HTTP takes: made when it is first spoken. */
struct talk {
    struct request_target resource; /* of the request, borrowed from its head, as is */
    struct request_target_channel channel;
    bool list;
    bool events; /* it wants to listen to an event stream */
    bool in_body;
    struct body body;             /* while in_body */
    struct limits_rate *rate;     /* what the connection has published lately */
    struct http_page *page;       /* NULL, or what is being answered */
    bool keep_alive;              /* the connection goes on behind it */
    struct question *question;    /* NULL, or what all workers are being asked, for the answer */
    struct transport *transport;  /* of what is asked, or published */
    struct throttle_held *paused; /* while it publishes faster than others can deliver */
};

struct connection {
    struct http_head head;
    const struct connection_policy *policy;
    struct limits_address *address; /* where the client counts, or NULL */
    bool loopback;
    bool begun; /* bytes of a request have come, */
    bool kept;  /* or an earlier one was answered, and none of the next have */
    unsigned refusals;
    struct talk *talk;  /* NULL: there was no plain HTTP */
    struct buffer held; /* input that waits until answers have left, or for the next turn */
};

/* Ready for a head. */
void exchange_begin_head(struct connection *connection);

/* A request begins: its time starts. The first one's has, when the connection came. */
void exchange_begin_request(struct connection *connection, struct transport *transport);

/* How many bytes before a further request are empty lines, which belong to none (RFC 9112, 2.2). */
size_t exchange_empty_lines(const struct connection *connection, const uint8_t *data, size_t len);

/* The request is answered: the next one may come, or has come already and is held. */
void exchange_go_on(struct connection *connection, struct transport *transport);

/* True where the rule holds that Host and Origin are this machine's. Where the server knows its
 * names, Host has been judged by these. */
static inline bool exchange_is_local_only(const struct connection *connection)
{
    return connection->loopback && connection->policy->names.count == 0;
}

/* What the operator can mend, such as a page that is kept out, a name, or what a proxy has lost
 * (`by_proxy`), is for the operator to know of. */
void exchange_log_refusal(const struct connection *connection, const struct transport *transport,
                          int status, const char *why, bool by_proxy);

/* Writes an answer, but of a page only its head, and frees it. False when the transport had to be
 * aborted. */
bool exchange_write(struct connection *connection, struct transport *transport,
                    struct http_api_answer *answer, bool keep_alive);

/* What is asked for, while there is a `talk`. */
struct http_api_request exchange_request(struct connection *connection,
                                         const struct transport *transport);

/* Writes the answer, which it frees. `whole`: all of the request has been read. */
enum connection_result exchange_reply(struct connection *connection, struct transport *transport,
                                      struct http_api_answer *answer, bool whole);

/* Writes as much of the page as may be held. While there is more, nothing is read. */
enum connection_result exchange_page(struct connection *connection, struct transport *transport);

/* Asks all workers, and answers when they have: nothing is read before that. `answer` is freed. */
enum connection_result exchange_ask(struct connection *connection, struct transport *transport,
                                    const struct http_api_request *request,
                                    struct http_api_answer *answer);

#endif
