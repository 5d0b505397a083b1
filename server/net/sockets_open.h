/* Opening what one argument of --listen stands for: a part of sockets, and for it alone. */
#ifndef WS_SERVER_NET_SOCKETS_OPEN_H
#define WS_SERVER_NET_SOCKETS_OPEN_H

#include "server/net/sockets.h"

/* Opens all that the argument stands for, and adds it to the sockets and addresses with the last
 * ID. Returns 0, or a negative UV_E* code with a text; what was opened before is left. */
int sockets_open_one(struct sockets *sockets, const char *text, uv_loop_t *loop,
                     struct error *error);

/* The same where nothing was said: what systemd passes on, which is there from the start and only
 * then, or else the default address. */
int sockets_open_default(struct sockets *sockets, uv_loop_t *loop, struct error *error);

#endif
