/* How an attempt to connect, or a connection, has ended: what the user is told, and what follows
 * from it. */
#ifndef WS_CLIENT_CONNECT_OUTCOME_H
#define WS_CLIENT_CONNECT_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "client/options/client_options.h"
#include "common/base/error.h"
#include "common/http/http_head.h"

struct outcome {
    enum client_exit exit; /* of the program, if that was the last attempt */
    bool lasting;          /* trying again would end the same way */
    uint64_t asked;        /* milliseconds for which the server wants to be left alone */
    const char *location;  /* where the server redirects to (borrowed for the call), or NULL; */
    const struct http_head *head; /* then the response */
    bool unauthorized;            /* that was a 401 */
    const char *said; /* lines of the server's about it, escaped (borrowed for the call), or NULL */
    struct error error; /* why, in one line */
};

#endif
