/* What the user puts into the opening handshake: header fields, and who he is. Secrets come from
 * files or the environment, where no list of processes shows them, and appear in no message. */
#ifndef WS_CLIENT_CONNECT_REQUEST_H
#define WS_CLIENT_CONNECT_REQUEST_H

#include <stdbool.h>

#include "client/connect/client_handshake.h"
#include "client/connect/header_fields.h"
#include "client/connect/url.h"
#include "client/options/client_options.h"
#include "client/options/string_list.h"
#include "common/base/error.h"

/* Adds a subprotocol to `options`: a token (RFC 6455, 4.1), once. Returns 0, or UV_EINVAL or
 * UV_ENOMEM with a text. */
int request_add_subprotocol(struct client_options *options, const char *argument,
                            struct error *error);

/* Finds the user's credentials: -u, --user-file, --bearer-file, else those of the URL, else the
 * environment variable WSRECV_TOKEN; not the last two if -H has an Authorization. The variable is
 * removed: no command gets it. The value of an Authorization field, or NULL for none, is the
 * caller's to free. Returns 0, or a negative UV_E* code with a text. */
int request_load_credentials(char **authorization, const struct client_options *options,
                             const struct url *url, struct error *error);

/* Reads the first line of a file, or all that can be read of it within 8 KiB: the caller's to
 * free, if it is not NULL, whatever the result. Returns 0, or a negative UV_E* code with a text. */
int request_read_secret(char **secret, const char *name, struct error *error);

/* Reads those that are in a file again: --user-file, --bearer-file. Returns 0, and in
 * `*authorization` the new value, the caller's to free, or NULL when there is no such file; or a
 * negative UV_E* code with a text. */
int request_reload_credentials(char **authorization, const struct client_options *options,
                               struct error *error);

/* The value of an Authorization field with a bearer token (RFC 6750, 2.1), the caller's to free.
 * `where` says where it comes from. Returns 0, or a negative UV_E* code with a text. */
int request_make_bearer(char **authorization, const char *token, const char *where,
                        struct error *error);

/* "Basic" and "USER:PASSWORD" in base64 (RFC 7617), the caller's to free; NULL when out of
 * memory. */
char *request_basic(const char *user);

/* What not every server may get. All of it is borrowed. */
struct request_secrets {
    bool trusted;              /* the server is of the origin of the user's URL */
    const char *authorization; /* the value of that field, or NULL */
    const struct header_fields *fields;
    const char *cookies; /* that this server has set, as in Cookie; or NULL */
};

/* The request for `url`. Only a trusted server gets what may be secret: `authorization`, the
 * fields of -H, and subprotocols that look like credentials (secret.h). All is borrowed. */
struct client_handshake_request request_for(const struct client_options *options,
                                            const struct url *url,
                                            const struct request_secrets *secrets);

/* True when a request bears credentials: a server that answers it with 401 did not accept them. */
bool request_has_credentials(const struct client_handshake_request *request);

#endif
