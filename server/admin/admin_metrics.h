/* GET /metrics: what is counted, for Prometheus (text format 0.0.4). No label names a channel, a
 * user or an address. */
#ifndef WS_SERVER_ADMIN_ADMIN_METRICS_H
#define WS_SERVER_ADMIN_ADMIN_METRICS_H

#include "server/http/request.h"

/* Asks all workers; scrapes that come meanwhile share the answer. */
enum request_outcome admin_metrics(struct request *request);

#endif
