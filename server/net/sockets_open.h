/* Opening what one argument of --listen stands for: a part of sockets, and for it alone. */
#ifndef WS_SERVER_NET_SOCKETS_OPEN_H
#define WS_SERVER_NET_SOCKETS_OPEN_H

#include "server/net/sockets.h"

/* Opens all that the argument stands for, and adds it to the sockets and addresses with the last
 * ID. Returns 0, or a negative UV_E* code with a text; what was opened before is left. */
int sockets_open_one(struct sockets *sockets, const char *text, uv_loop_t *loop,
                     struct error *error);

/* How many sockets systemd passes on that are not taken yet: they are there from the start and only
 * then. Returns 0, or UV_EINVAL with a text if LISTEN_FDS is no number. */
int sockets_open_count_passed(const struct sockets *sockets, size_t *count, struct error *error);

/* Takes those, as sockets_open_one does. */
int sockets_open_passed(struct sockets *sockets, struct error *error);

#endif
