#include "server/metrics/counters.h"

const unsigned short counters_statuses[COUNTERS_STATUSES] = {101, 200, 202, 204, 400, 401, 403, 404,
                                                             405, 408, 411, 413, 415, 417, 421, 422,
                                                             426, 429, 431, 500, 501, 503, 504, 0};

void counters_add_response(struct counters *counters, unsigned status)
{
    size_t i = 0;

    while (i + 1 < COUNTERS_STATUSES && counters_statuses[i] != status)
        i++;
    counters_add(&counters->responses[i], 1);
}
