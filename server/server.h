/* The whole server: its sockets, its channel, its workers, and the signals that end it. */
#ifndef WS_SERVER_SERVER_H
#define WS_SERVER_SERVER_H

#include "server/config/server_options.h"

/* Serves until SIGINT or SIGTERM. Returns the exit status of the program: 0, or 1 when it could not
 * serve, after saying why. */
int server_run(const struct server_options *options);

#endif
