/* One run of wsrecv: attempts to connect, connections, the waits between, and the exit status. */
#ifndef WS_SESSION_H
#define WS_SESSION_H

#include "client/client_options.h"

/* Runs to its end, having said on stderr what went wrong, if anything did. */
enum client_exit session_run(const struct client_options *options);

#endif
