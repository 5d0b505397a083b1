#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "tests/bench/crowd.h"
#include "tests/bench/modes.h"
#include "tests/bench/span.h"

static const uint64_t second = 1000 * 1000 * 1000;
static const uint64_t ms = 1000 * 1000;

struct storm {
    struct crowd crowd;
    struct span span;
    struct histogram handshake; /* from connect() to the 101 */
    struct histogram quiet;     /* of all deliveries, before the storm */
    uint64_t *began;            /* by client: when it connected */
    struct client *storming;    /* the first of them: those before it are established */
    uint64_t started, opened, finished;
    uint64_t next_due; /* ns */
};

static const char close_1000[] = {0x03, (char) 0xe8}; /* RFC 6455, 7.4.1 */

/* The handshake is done: begin the closing one. */
static void on_opened(struct crowd *crowd, struct client *client)
{
    struct storm *storm = crowd->data;

    if (client < storm->storming)
        return;
    storm->opened++;
    histogram_add(&storm->handshake, crowd->now - storm->began[client - crowd->clients], 1);
    client->state = CLIENT_CLOSING;
    crowd->open--;
    crowd_send_control(crowd, client, 8, close_1000, sizeof close_1000);
}

static void on_closed(struct crowd *crowd, struct client *client)
{
    struct storm *storm = crowd->data;

    if (client >= storm->storming)
        storm->finished++;
}

/* Keeps the rate for the established, from the publisher that is the first of them. */
static void on_tick(struct crowd *crowd)
{
    struct storm *storm = crowd->data;
    uint64_t rate = crowd->options->rate;

    crowd->flight.done_count = 0;
    while (rate > 0 && crowd->now >= storm->next_due) {
        if (crowd->flight.under_way < 2 * rate + 100)
            (void) crowd_publish(crowd, 0, storm->next_due);
        storm->next_due += second / rate;
    }
}

static uint64_t patience(const struct storm *storm)
{
    uint64_t timeout = 10 * ms;

    if (storm->crowd.options->rate == 0 || storm->next_due >= storm->crowd.now + timeout)
        return timeout;
    return storm->next_due > storm->crowd.now ? storm->next_due - storm->crowd.now : 0;
}

/* Opens again whoever is closed, as long as some are to come. */
static int start_closed(struct storm *storm, struct error *error)
{
    struct crowd *crowd = &storm->crowd;
    const struct load_options *options = crowd->options;
    struct client *end = crowd->clients + crowd->count;
    int more = 64; /* in a turn, so that what is open is heard in between */

    for (struct client *client = storm->storming;
         client < end && storm->started < options->connections &&
         storm->started - storm->finished < options->concurrency && more > 0;
         client++) {
        int status;

        if (client->state != CLIENT_CLOSED)
            continue;
        storm->began[client - crowd->clients] = crowd_clock();
        status = crowd_connect(crowd, client, error);
        if (status != 0)
            return status;
        storm->started++;
        more--;
    }
    return 0;
}

static int rage(struct storm *storm, struct error *error)
{
    struct crowd *crowd = &storm->crowd;
    uint64_t finished = 0, deadline = crowd_clock() + 30 * second;

    while (storm->finished < crowd->options->connections) {
        int status = start_closed(storm, error);

        if (status != 0)
            return status;
        crowd_turn(crowd, patience(storm));
        if (storm->finished != finished)
            deadline = crowd->now + 30 * second;
        finished = storm->finished;
        if (crowd->lost + crowd->refused + crowd->faults > 0)
            return error_set(
                error, UV_ECONNREFUSED, "connection %" PRIu64 " failed: %s", storm->started,
                crowd->fault.text[0] != '\0' ? crowd->fault.text : "the server ended it");
        if (crowd->now > deadline)
            return error_set(error, UV_ETIMEDOUT,
                             "%" PRIu64 " of %" PRIu64 " connections were closed, and no more in "
                             "30 seconds",
                             finished, crowd->options->connections);
    }
    return 0;
}

/* What the established get while nothing else happens. */
static void listen_quietly(struct storm *storm)
{
    struct crowd *crowd = &storm->crowd;
    uint64_t end = crowd_clock() + crowd->options->duration * ms;

    storm->next_due = crowd_clock();
    while (crowd->options->rate > 0 && crowd->now < end)
        crowd_turn(crowd, patience(storm));
    flight_settle(&crowd->flight);
    storm->quiet = crowd->flight.each;
    histogram_reset(&crowd->flight.each);
}

static void print(const struct storm *storm, bool ok)
{
    const struct crowd *crowd = &storm->crowd;
    double cpu = (double) (storm->span.end.server.cpu - storm->span.begin.server.cpu);
    double wall = (double) (storm->span.end.time - storm->span.begin.time) / 1e9;

    printf("{\"mode\":\"storm\",\"ok\":%s,\"connections\":%" PRIu64 ",\"concurrency\":%" PRIu64
           ",\"tls\":%s,\"connections_per_second\":%.0f,\"server_us_per_connection\":%.2f",
           ok ? "true" : "false", storm->finished, crowd->options->concurrency,
           crowd->options->tls ? "true" : "false", (double) storm->finished / wall,
           storm->finished > 0 ? cpu / 1e3 / (double) storm->finished : 0);
    printf(",\"handshake_ms\":{\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f}",
           (double) histogram_quantile(&storm->handshake, 0.5) / 1e6,
           (double) histogram_quantile(&storm->handshake, 0.99) / 1e6,
           (double) storm->handshake.max / 1e6);
    if (crowd->options->rate > 0)
        printf(",\"established\":%" PRIu64 ",\"quiet_p99_ms\":%.4f,\"storm_p99_ms\":%.4f",
               crowd->options->subscribers, (double) histogram_quantile(&storm->quiet, 0.99) / 1e6,
               (double) histogram_quantile(&crowd->flight.each, 0.99) / 1e6);
    span_print(&storm->span, crowd, stdout);
    printf("}\n");
}

static int run(struct storm *storm, size_t established, struct error *error)
{
    struct crowd *crowd = &storm->crowd;
    int status = crowd_open(crowd, 0, established, error);

    if (status != 0)
        return status;
    crowd->opened_cb = on_opened;
    crowd->closed_cb = on_closed;
    crowd->tick_cb = on_tick;
    listen_quietly(storm);
    span_mark(&storm->span.begin, crowd);
    status = rage(storm, error);
    span_mark(&storm->span.end, crowd);
    print(storm, status == 0);
    return status;
}

int storm_run(const struct load_options *options, struct error *error)
{
    static struct storm storm;
    size_t established = options->rate > 0 ? options->subscribers : 0;
    size_t count = established + options->concurrency;
    int status = crowd_init(&storm.crowd, options, count, (uint32_t) established, error);

    if (status != 0)
        return status;
    storm.crowd.data = &storm;
    storm.storming = storm.crowd.clients + established;
    for (size_t i = established; i < count; i++)
        storm.crowd.clients[i].odd = true;
    storm.began = calloc(count + 1, sizeof *storm.began);
    status = storm.began != NULL ? run(&storm, established, error)
                                 : error_set(error, UV_ENOMEM, "out of memory");
    storm.crowd.closed_cb = NULL;
    crowd_deinit(&storm.crowd);
    free(storm.began);
    return status;
}
