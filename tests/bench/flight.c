#include "tests/bench/flight.h"

#include <stdlib.h>
#include <uv.h>

int flight_init(struct flight *flight, uint32_t subscribers)
{
    *flight = (struct flight){.subscribers = subscribers};
    flight->messages = calloc(FLIGHT_MAX, sizeof *flight->messages);
    flight->done = calloc(FLIGHT_MAX, sizeof *flight->done);
    if (flight->messages != NULL && flight->done != NULL)
        return 0;
    flight_deinit(flight);
    return UV_ENOMEM;
}

void flight_deinit(struct flight *flight)
{
    free(flight->messages);
    free(flight->done);
    flight->messages = NULL;
    flight->done = NULL;
}

uint32_t flight_launch(struct flight *flight, uint32_t publisher, uint64_t due, uint32_t *previous)
{
    uint32_t sequence = flight->last + 1;
    struct flight_message *message = &flight->messages[sequence % FLIGHT_MAX];

    /* A number that wraps around to 0 would take weeks; runs last for seconds. */
    if (message->missing > 0 || flight->done_count + flight->under_way >= FLIGHT_MAX)
        return 0;
    *message = (struct flight_message){
        .due = due,
        .sequence = sequence,
        .missing = flight->subscribers,
        .publisher = publisher,
        .previous = *previous,
    };
    *previous = sequence;
    flight->last = sequence;
    flight->under_way++;
    return sequence;
}

void flight_settle(struct flight *flight)
{
    if (flight->_run > 0) {
        uint64_t latency =
            flight->_run_now > flight->_run_due ? flight->_run_now - flight->_run_due : 0;

        histogram_add(&flight->each, latency, flight->_run);
        flight->deliveries += flight->_run;
    }
    flight->_run = 0;
}
