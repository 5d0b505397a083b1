/* A request, as its handler sees it: its head is complete and has been checked, its target is taken
 * apart; where the handler has asked for it, the body has come. It belongs to its connection, which
 * a handler does not know, and lives until the response has been written.
 *
 * A handler fills in `response` and returns REQUEST_ANSWERED. If what it needs takes longer than
 * the call, it makes the request pending, and resumes it later, on the same thread:
 *
 *     handler ── request_wait(cancel) ── starts something ── returns REQUEST_PENDING
 *         … later …    the response is filled in ── request_resume(REQUEST_ANSWERED)
 *         or, when the connection has ended, or the time is up ── cancel(context)
 *
 * Exactly one of the two happens. After either of them, `request` is not the handler's to touch.
 * It may resume the request before it returns. */
#ifndef WS_SERVER_HTTP_REQUEST_H
#define WS_SERVER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/http/http_head.h"
#include "server/auth/principal.h"
#include "server/broadcast/channel.h"
#include "server/broadcast/throttle.h"
#include "server/http/request_target.h"
#include "server/http/response.h"
#include "server/http/server_handshake.h"
#include "server/journal/submit.h"
#include "server/net/limits.h"
#include "server/syntax/server_names.h"

struct services;

/* What becomes of a request. */
enum request_outcome {
    REQUEST_ANSWERED, /* the response is filled in */
    REQUEST_PASSED,   /* of a check: nothing is wrong; the next step follows */
    REQUEST_BODY,     /* read a body of at most `max_body` bytes; the route's on_body follows */
    REQUEST_JOIN,     /* the connection becomes a subscriber, as `join` says */
    REQUEST_PENDING,  /* request_resume, or a cancellation, will follow */
};

/* What a route asks of those that use it; by default, the most that reading takes. */
enum request_needs {
    REQUEST_NEEDS_SUBSCRIBE, /* to be let subscribe to the request's channel */
    REQUEST_NEEDS_PUBLISH,
    REQUEST_NEEDS_IDENTITY, /* that a credential, if there is one, is valid */
    REQUEST_NEEDS_NOTHING,  /* credentials are not looked at */
};

/* What a new subscriber asks for. */
struct request_join {
    bool events;                       /* an event stream; else a WebSocket, with this handshake: */
    struct server_handshake handshake; /* (its verdict, made once) */
    struct channel_replay_from replay_from; /* where to begin */
    bool refuses_gap; /* ?gap=refuse: it is not to join where messages behind its ID are missing */
    bool may_create;  /* the channel, if there is none */
};

enum { REQUEST_MAX_ALLOW = 64 }; /* bytes of a list of methods */

struct request {
    const struct http_head *head;
    struct request_target target;          /* borrowed from the head; empty if of no known form */
    struct request_target_channel channel; /* of a route for channels */
    bool is_handshake;                     /* it asks to become a WebSocket */
    bool guesses;    /* too many credentials of its client were refused: no more are looked at */
    bool local_only; /* Host and Origin must be this machine's: it came through a listener that only
                        this machine reaches, and the server knows no names of its own */
    char allow[REQUEST_MAX_ALLOW]; /* the methods that its target supports */
    const struct services *services;
    enum request_needs needs;           /* as its route says */
    struct identity identity;           /* once that is checked; the principal is the request's */
    struct limits_client client;        /* for whom its messages count */
    struct throttle_publisher throttle; /* the connection, to be paused if it publishes too fast */
    struct submit_outstanding outstanding; /* what it has published, and has no receipt for yet */
    uint64_t now;                          /* milliseconds, of uv_now */
    uint64_t max_body;                     /* with REQUEST_BODY: bytes; 0: any number */
    const uint8_t *body;                   /* for on_body */
    size_t body_len;
    struct request_join join;
    struct response response;

    void (*_cancel)(void *context);
    void *_context;
    const char *_late; /* why, if the time is up while it is pending, */
    int _late_status;  /* and the status */
    bool _waits;
    bool _runs; /* its handler is being called */
    enum request_outcome _outcome;
    void (*_resumed)(struct request *request, enum request_outcome outcome);
};

typedef enum request_outcome (*request_handler_cb)(struct request *request);

/* Begins anew. `resumed` is called for what is resumed after its handler has returned. */
void request_init(struct request *request, const struct http_head *head,
                  void (*resumed)(struct request *request, enum request_outcome outcome));

/* Lets go of the response, and cancels what is pending. */
void request_deinit(struct request *request);

/* Checks what every request needs, whatever it is for: Host (RFC 9112, 3.2), and a target without a
 * fragment. Takes the target apart. Returns REQUEST_PASSED or REQUEST_ANSWERED. `local_only`: see
 * above. */
enum request_outcome request_check(struct request *request, bool local_only);

/* Checks that Host is a name by which this server is known (421). Returns as above. `loopback`: it
 * came through a listener that only this machine reaches. */
enum request_outcome request_check_name(struct request *request, const struct server_names *names,
                                        bool tls, bool loopback);

bool request_has_method(const struct request *request, const char *method);

/* True when the media type stands in Accept, whatever its parameters. Wildcards do not count: a
 * client that takes anything has not asked for this. */
bool request_accepts(const struct request *request, const char *type);

/* True when the query has this parameter, once or several times. */
bool request_has_parameter(const struct request *request, const char *name);

/* Refuses the request, as response_refuse does, and returns REQUEST_ANSWERED. */
enum request_outcome request_refuse(struct request *request, int status, const char *why);

/* ---- pending ---- */

/* For handlers: makes the request pending, before what is waited for is started. `cancel` releases
 * it, without calling request_resume; NULL if there is nothing to be released. Returns
 * REQUEST_PENDING. */
enum request_outcome request_wait(struct request *request, void (*cancel)(void *context),
                                  void *context);

/* What is answered if the time is up before the request is resumed, instead of 503; static. 504
 * says that it is unknown whether something was done. */
void request_wait_or(struct request *request, int status, const char *why);

/* What was waited for is there: goes on with this outcome, which must not be REQUEST_PENDING (but a
 * check that has passed may lead to a handler that waits). The connection may end within. */
void request_resume(struct request *request, enum request_outcome outcome);

/* For the connection: calls a handler. REQUEST_PENDING if it has not resumed the request itself. */
enum request_outcome request_run(struct request *request, request_handler_cb handler);

static inline bool request_is_pending(const struct request *request)
{
    return request->_waits;
}

/* For the connection: it is not waited for any more. Harmless if the request is not pending. */
void request_cancel(struct request *request);

/* For the connection: the time is up. Cancels, and fills in the response. */
void request_expire(struct request *request);

#endif
