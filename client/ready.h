/* Says once that the first connection is open, to whoever started us: --ready-fd, --ready-file, and
 * a service manager that asks for it (NOTIFY_SOCKET, sd_notify(3)). */
#ifndef WS_CLIENT_READY_H
#define WS_CLIENT_READY_H

#include <stdbool.h>

#include "client/options/client_options.h"
#include "common/base/error.h"

struct ready {
    const struct client_options *_options;
    bool _told;
};

/* Makes sure that it can be told: the descriptor is open, and inherited by no command; the file of
 * an earlier run is gone. `options` is borrowed. Returns 0, or a negative UV_E* code with a
 * text. */
int ready_init(struct ready *ready, const struct client_options *options, struct error *error);

/* A connection to `url` is open. What cannot be told is a warning. */
void ready_tell(struct ready *ready, const char *url);

#endif
