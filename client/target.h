/* Which URL is connected to: the user's, or where redirections have led; and what is said there.
 * Only servers of the same origin as the user's URL hear his secrets. */
#ifndef WS_CLIENT_TARGET_H
#define WS_CLIENT_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "client/connect/client_handshake.h"
#include "client/connect/cookies.h"
#include "client/connect/url.h"
#include "client/options/client_options.h"
#include "common/base/error.h"

struct target {
    const struct client_options *_options;
    struct url _home; /* the user's */
    struct url _away; /* where the last redirection has led */
    uint64_t _redirections;
    char *_authorization;
    char *_refused;               /* of those of --token-command, the last that was not accepted */
    struct header_fields _fields; /* of -H */
    bool _fresh;                  /* what files say has just been read */
    struct cookies _cookies;      /* of redirections */
};

/* Parses the user's URL and finds his credentials. `options` is borrowed. Returns 0, or a negative
 * UV_E* code with a text, and then there is nothing to deinit. */
int target_init(struct target *target, const struct client_options *options, struct error *error);
void target_deinit(struct target *target);

/* The URL to connect to. */
const struct url *target_url(const struct target *target);

/* The request to be sent there; valid until one of the functions below is called. */
struct client_handshake_request target_request(struct target *target);

/* Reads what the options have in files again: before each attempt to connect. Returns 0, or a
 * negative UV_E* code with a text; then what was read before stays. */
int target_refresh(struct target *target, struct error *error);

/* The token of --token-command. Returns 0, or a negative UV_E* code with a text. */
int target_set_token(struct target *target, const char *token, struct error *error);

/* The server did not accept the credentials of the last request: true when another attempt has, or
 * may have, others. */
bool target_may_differ(struct target *target);

/* The header fields of -H, as they are now. */
const struct string_list *target_fields(const struct target *target);

/* A response that redirects has come from there: keeps the cookies that it sets. */
void target_keep_cookies(struct target *target, const struct http_head *head);

/* Goes where `location`, of a redirecting response, says. Returns 0; or a negative UV_E* code, and
 * a text that says why not: that was one too many, it would lead from wss: to ws:, it is no
 * WebSocket URL. */
int target_redirect(struct target *target, const char *location, struct error *error);

/* Back to the user's URL. */
void target_reset(struct target *target);

#endif
