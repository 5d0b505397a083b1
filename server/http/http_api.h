/* What plain HTTP can do with the endpoint and its channels: publish (POST), listen to an event
 * stream, read what is retained, and ask who is there. A request is judged when its head has come;
 * its answer is one line of text, or JSON: whole, or a page that is written in pieces. No
 * connections are known here: upgrade reads the requests and writes the answers, and a peer becomes
 * the listener. */
#ifndef WS_SERVER_HTTP_HTTP_API_H
#define WS_SERVER_HTTP_HTTP_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "server/broadcast/channels.h"
#include "server/broadcast/fanouts.h"
#include "server/config/server_options.h"
#include "server/http/http_page.h"
#include "server/http/server_handshake.h"
#include "server/journal/publish.h"
#include "server/net/limits.h"
#include "server/thread/question.h"

/* Of a worker; all is borrowed. */
struct http_api {
    const struct server_options *options;
    struct origin_policy origins;
    struct channels *channels;
    struct fanouts *fanouts;
    const struct publish_means *publish;
    struct limits *limits;
    struct question_desk *desk;
    const struct memory *memory;
};

struct http_api_request {
    const struct http_head *head;
    const struct request_target *resource;
    struct request_target_text channel; /* its name */
    bool list;                          /* it is about all channels */
    bool loopback;               /* it came through a listener that only this machine reaches */
    struct limits_client client; /* whom the messages count for */
    struct throttle_publisher
        throttle; /* the connection, which is to wait if it publishes too fast */
    uint64_t now; /* milliseconds */
};

struct http_api_answer {
    int status;
    const char *why;    /* one line of text: static, or `text`; NULL: the answer is JSON: */
    const char *limit;  /* if it is for a limit: the option that sets it, static; else NULL */
    const char *allow;  /* the methods that are known here (RFC 9110, 10.2.1); static */
    const char *origin; /* of the page that may read the answer, borrowed; or NULL */
    const char *html;   /* a browser asks for HTML: the path of the endpoint, of which the page of a
                           refusal tells; NULL: a refusal is text */
    bool chunked;       /* `page` is written in chunks */
    size_t work;        /* bytes that were copied, and as many as that is worth (channel_receipt) */
    struct buffer json; /* whole, */
    struct http_page *page; /* or in pieces, for the caller to write behind the head */
    char text[256];
};

enum http_api_step {
    HTTP_API_ANSWER, /* there is an answer */
    HTTP_API_BODY,   /* read the body, up to http_api_max_body, and call http_api_publish */
    HTTP_API_ASK,    /* all workers have to be asked: call http_api_ask */
    HTTP_API_EVENTS, /* it wants to listen to an event stream, from `since` on */
};

/* The path of the list of all channels, unless the endpoint has it. */
extern const char http_api_list[];

/* Why a channel is not made, by --create-channels. */
extern const char http_api_not_listed[];

/* Judges a request that is no upgrade, and whose target is right. `answer` is begun anew, and to be
 * freed with http_api_free in any case. */
enum http_api_step http_api_judge(const struct http_api *api,
                                  const struct http_api_request *request,
                                  struct channel_since *since, struct http_api_answer *answer);

/* How many bytes the body of such a request may have; 0: any number. */
uint64_t http_api_max_body(const struct http_api *api, const struct http_api_request *request);

/* The body has come: publishes it. */
void http_api_publish(const struct http_api *api, const struct http_api_request *request,
                      const uint8_t *body, size_t len, struct http_api_answer *answer);

/* Asks all workers what the request wants to know. False when there is an answer already; else
 * `answered` will run, unless the question is forgotten, and calls http_api_tell. */
bool http_api_ask(const struct http_api *api, const struct http_api_request *request, void *asker,
                  void (*answered)(void *asker, const struct question *question),
                  struct question **question, struct http_api_answer *answer);
void http_api_tell(const struct question *question, struct http_api_answer *answer);

/* Answers what is no request for the endpoint or its channels: a refusal that is decided elsewhere,
 * whose `why` is borrowed; or a preflight (Fetch, 4.8), whatever it is for, so that the page gets
 * to read the refusal. `answer` is begun anew. */
void http_api_judge_other(const struct http_api *api, const struct http_head *head, bool loopback,
                          int status, const char *why, struct http_api_answer *answer);

/* Fills in who may read the answer, and in what form. The head need not be complete. */
void http_api_address(const struct http_api *api, const struct http_head *head, bool loopback,
                      struct http_api_answer *answer);

/* Makes it a refusal; `why` is static. */
void http_api_refuse(struct http_api_answer *answer, int status, const char *why);

/* Appends the answer, but of a page only its head, and with `head_only` that of any. What was not
 * made for the answer to HEAD (the list of channels) has no length. `keep_alive` says whether the
 * connection goes on. Returns 0 or UV_ENOMEM. */
int http_api_write(struct buffer *out, const struct http_api_answer *answer, bool keep_alive,
                   bool head_only);

/* True if a page is written in chunks to this request; to one of HTTP/1.0 it lasts until the
 * connection ends. */
bool http_api_has_chunks(const struct http_head *request);

/* Appends the head of an event stream, and the place where it begins: a browser that comes back
 * before the first message has an ID then. `origin` is as in an answer. Returns 0 or UV_ENOMEM. */
int http_api_write_events(struct buffer *out, const char *origin, struct event_id place);

void http_api_free(struct http_api_answer *answer);

#endif
