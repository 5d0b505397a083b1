/* How an attempt to connect, or a connection, has ended: what the user is told, and what follows
 * from it. */
#ifndef WS_OUTCOME_H
#define WS_OUTCOME_H

#include "client/client_options.h"
#include "common/error.h"

struct outcome {
    enum client_exit exit; /* of the program, if that was the last attempt */
    struct error error;    /* one line; empty when there is nothing to say */
};

#endif
