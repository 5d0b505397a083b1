/* The whole server: its sockets, its channels, its workers, and the signals that end it. */
#ifndef WS_SERVER_SERVER_H
#define WS_SERVER_SERVER_H

#include "server/config/config.h"

/* The command line, borrowed. */
struct server_arguments {
    int argc;
    char **argv;
};

/* Loads the configuration, and checks what the parts of the server ask of it. NULL: it is wrong,
 * and each error has been logged. */
struct config *server_load(const struct server_arguments *arguments);

/* The form of the log until it goes where the options say, and again after that: to stderr, at
 * once, without the time. NULL: the options are not known yet. */
void server_log_begin(const struct server_options *options);

/* Serves until SIGINT or SIGTERM; SIGHUP has the configuration loaded again. Returns the exit
 * status of the program: 0, or 1 when it could not serve, after saying why. */
int server_run(struct config *config, const struct server_arguments *arguments);

#endif
