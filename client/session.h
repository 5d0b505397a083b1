/* One run of wsrecv: attempts to connect, connections, the waits between, and how it ends. */
#ifndef WS_CLIENT_SESSION_H
#define WS_CLIENT_SESSION_H

#include "client/options/client_options.h"

struct session_end {
    enum client_exit exit;
    int signal; /* it was ended by this one, and is to die of it, whatever `exit` is; 0: by none */
};

/* Runs to its end, having said on stderr what went wrong, if anything did. */
struct session_end session_run(const struct client_options *options);

#endif
