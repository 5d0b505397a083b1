/* A Unix socket that the server makes, and listens on. */
#ifndef WS_SERVER_NET_UNIX_SOCKET_H
#define WS_SERVER_NET_UNIX_SOCKET_H

#include "common/base/error.h"
#include "server/syntax/listen_address.h"

/* Makes the socket at the path of `where`, with the mode and the group that it asks for, and
 * listens on it. The socket of a server that is gone is replaced. Before any thread is started.
 * Returns 0 with the descriptor, which is the caller's, or a negative UV_E* code with a text. */
int unix_socket_open(const struct listen_address *where, int backlog, int *fd, struct error *error);

#endif
