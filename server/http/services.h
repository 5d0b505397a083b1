/* What the handlers of a worker work with. The worker owns it, and all that it refers to is
 * borrowed. Handlers reach it through their request. */
#ifndef WS_SERVER_HTTP_SERVICES_H
#define WS_SERVER_HTTP_SERVICES_H

#include "server/auth/auth.h"
#include "server/broadcast/channels.h"
#include "server/broadcast/fanouts.h"
#include "server/config/server_options.h"
#include "server/http/request.h"
#include "server/journal/submit.h"
#include "server/net/limits.h"
#include "server/syntax/origin.h"
#include "server/thread/question.h"

struct config;
struct control;
struct counters;
struct peer_context;

struct services {
    const struct server_options *options;
    struct origin_policy origins;
    const struct auth *auth; /* NULL: there are no users */
    bool for_operator;       /* whose requests see all channels */
    struct channels *channels;
    struct fanouts *fanouts;
    const struct submit_context *publish;
    struct limits *limits;
    const struct memory *memory;
    struct question_desk *desk;
    struct counters *counters;             /* of this worker; NULL: nothing is counted */
    const struct counters *stdin_counters; /* of the thread that reads standard input */
    struct control *control;               /* NULL: there is nothing to ask of the server */
    /* For the operator's requests alone: */
    const struct config *config;
    const char *admin_token;    /* NULL: none is asked for */
    struct peer_context *peers; /* of this worker */
};

/* What holds for the channel of a request, whether there is one or not. */
static inline const struct channel_settings *services_settings(const struct request *request)
{
    return channels_settings(request->services->channels, request->channel.name);
}

#endif
