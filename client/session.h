/* One run of wsrecv: resolve, connect, opening handshake, receive and print, closing handshake. */
#ifndef WS_SESSION_H
#define WS_SESSION_H

#include "client/client_options.h"

/* Runs to its end, having said on stderr what went wrong, if anything did. */
enum client_exit session_run(const struct client_options *options);

#endif
