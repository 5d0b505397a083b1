/* Whether a connection may stay, found out before anything is made for it. One that is one too many
 * is told so as long as few are, as that takes a descriptor and, with TLS, a handshake; beyond that
 * it costs no more than its accept. */
#ifndef WS_SERVER_NET_ADMISSION_H
#define WS_SERVER_NET_ADMISSION_H

#include <stdbool.h>

#include "server/net/limits.h"

struct admission {
    struct limits_address *address; /* where the client counts, or NULL */
    const char *limit;              /* NULL; else the connection is to be refused for this limit */
};

/* Counts the connection of the socket `fd`, of the client with this address (NULL: the socket's
 * own), in, among the connections or among those that are being refused. Where there are
 * --max-connections, `make_room` is asked first to end an idle one; true when it
 * has. False when it is to be closed at once, which is logged; then nothing is counted. */
bool admission_begin(struct admission *admission, struct limits *limits, int fd,
                     const struct sockaddr *client, bool (*make_room)(void *context),
                     void *context);

/* The connection is gone. */
void admission_end(const struct admission *admission, struct limits *limits);

#endif
