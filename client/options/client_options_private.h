/* What client_options.c (the table) and client_options_check.c (what options mean together) share.
 */
#ifndef WS_CLIENT_OPTIONS_CLIENT_OPTIONS_PRIVATE_H
#define WS_CLIENT_OPTIONS_CLIENT_OPTIONS_PRIVATE_H

#include "client/options/client_options.h"

/* What the options say together; the first of these to fail says why. Returns 0, or
 * UV_EINVAL with a text. */
int client_options_settle(struct client_options *options, struct error *error);

#endif
