/* What the user puts into the opening handshake: header fields, and who he is. Secrets come from
 * files or the environment, where no list of processes shows them, and appear in no message. */
#ifndef WS_CLIENT_CONNECT_REQUEST_H
#define WS_CLIENT_CONNECT_REQUEST_H

#include <stdbool.h>

#include "client/connect/client_handshake.h"
#include "client/connect/url.h"
#include "client/options/client_options.h"
#include "client/options/string_list.h"
#include "common/base/error.h"

/* Adds what -H says: "NAME: VALUE", or "@FILE" with such lines. Returns 0; UV_EINVAL, with a text
 * that shows no value, for what is no header field (RFC 9110, 5.5) or is the handshake's own, for a
 * second Authorization, and for an argument without a value; another UV_E* code when the file
 * cannot be read. */
int request_add_field(struct string_list *fields, const char *argument, struct error *error);

/* True when -H has given a field of this name. */
bool request_has_field(const struct string_list *fields, const char *name);

/* Adds a subprotocol to `options`: a token (RFC 6455, 4.1), once. Errors as above. */
int request_add_subprotocol(struct client_options *options, const char *argument,
                            struct error *error);

/* True for what may be a field's value: no control characters but tab. */
bool request_value_valid(const char *value);

/* Finds the user's credentials: -u, --user-file, --bearer-file, else those of the URL, else the
 * environment variable WSRECV_TOKEN; not the last two if -H has an Authorization. The variable is
 * removed: no command gets it. The value of an Authorization field, or NULL for none, is the
 * caller's to free. Returns 0, or a negative UV_E* code with a text. */
int request_load_credentials(char **authorization, const struct client_options *options,
                             const struct url *url, struct error *error);

/* "Basic" and "USER:PASSWORD" in base64 (RFC 7617), the caller's to free; NULL when out of
 * memory. */
char *request_basic(const char *user);

/* The request for `url`. Only a `trusted` server gets what may be secret: `authorization`, the
 * fields of -H, and subprotocols that look like credentials (secret.h). All is borrowed. */
struct client_handshake_request request_for(const struct client_options *options,
                                            const struct url *url, const char *authorization,
                                            bool trusted);

/* True when a request bears credentials: a server that answers it with 401 did not accept them. */
bool request_has_credentials(const struct client_handshake_request *request);

#endif
