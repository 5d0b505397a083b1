#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <uv.h>

#include "common/base/log.h"
#include "tests/bench/crowd.h"
#include "tests/bench/modes.h"
#include "tests/bench/span.h"

static const uint64_t second = 1000 * 1000 * 1000;
static const uint64_t ms = 1000 * 1000;

/* What so many idle connections cost. */
struct sample {
    size_t connections;
    struct probe server;
    struct probe_kernel kernel;
    double idle_share;   /* of a core, for the server, while nothing happens */
    double delivery;     /* ms from sending one message to its last delivery */
    double delivery_cpu; /* ms of the server's CPU time for it */
};

static void rest(struct crowd *crowd, uint64_t duration)
{
    uint64_t end = crowd_clock() + duration;

    while (crowd->now < end && crowd->lost == 0)
        crowd_turn(crowd, 10 * ms);
}

static int deliver_one(struct crowd *crowd, struct sample *sample, struct error *error)
{
    struct span_mark begin, end;
    uint64_t deadline;

    span_mark(&begin, crowd);
    deadline = begin.time + 30 * second;
    crowd->flight.subscribers = (uint32_t) crowd->open;
    if (!crowd_publish(crowd, 0, begin.time))
        return error_set(error, UV_ENOMEM, "out of memory");
    while (crowd->flight.under_way > 0 && crowd->lost + crowd->faults == 0 && crowd->now < deadline)
        crowd_turn(crowd, 10 * ms);
    rest(crowd, 100 * ms); /* the server's work may end after the last delivery */
    span_mark(&end, crowd);
    if (crowd->lost + crowd->faults + crowd->flight.under_way + crowd->flight.unknown > 0)
        return error_set(error, UV_EPROTO,
                         "a message to %zu connections did not reach each once%s%s", crowd->open,
                         crowd->fault.text[0] != '\0' ? ": " : "", crowd->fault.text);
    crowd->flight.done_count = 0;
    sample->delivery = (double) crowd->flight.final.max / 1e6;
    sample->delivery_cpu = (double) (end.server.cpu - begin.server.cpu) / 1e6;
    histogram_reset(&crowd->flight.final);
    return 0;
}

static int take_sample(struct crowd *crowd, struct sample *sample, struct error *error)
{
    struct span_mark begin, end;

    rest(crowd, second / 2); /* what was borrowed for handshakes comes back */
    span_mark(&begin, crowd);
    rest(crowd, crowd->options->duration * ms);
    span_mark(&end, crowd);
    sample->connections = crowd->open;
    sample->server = end.server;
    probe_read_kernel(&sample->kernel);
    sample->idle_share =
        (double) (end.server.cpu - begin.server.cpu) / (double) (end.time - begin.time);
    return deliver_one(crowd, sample, error);
}

/* Bytes for each connection, from the first size to the last. */
static double slope(uint64_t first, uint64_t last, const struct sample *samples, size_t count)
{
    size_t more = samples[count - 1].connections - samples[0].connections;

    return more > 0 ? ((double) last - (double) first) / (double) more : 0;
}

static void print(const struct sample *samples, size_t count, bool ok)
{
    const struct sample *first = &samples[0], *last = &samples[count > 0 ? count - 1 : 0];

    printf("{\"mode\":\"idle\",\"ok\":%s,\"sizes\":[", ok ? "true" : "false");
    for (size_t i = 0; i < count; i++) {
        const struct sample *sample = &samples[i];

        printf("%s{\"connections\":%zu,\"server_rss\":%" PRIu64 ",\"server_anon\":%" PRIu64
               ",\"kernel_slab\":%" PRIu64 ",\"kernel_sockets\":%" PRIu64
               ",\"idle_share\":%.5f,\"delivery_ms\":%.3f,\"delivery_cpu_ms\":%.3f}",
               i > 0 ? "," : "", sample->connections, sample->server.rss, sample->server.anon,
               sample->kernel.slab, sample->kernel.socket, sample->idle_share, sample->delivery,
               sample->delivery_cpu);
    }
    printf("]");
    if (count > 1) {
        printf(",\"anon_per_connection\":%.1f,\"rss_per_connection\":%.1f",
               slope(first->server.anon, last->server.anon, samples, count),
               slope(first->server.rss, last->server.rss, samples, count));
        /* Both ends are on this machine, so half of it is the generator's. */
        printf(",\"kernel_per_connection_both_ends\":%.1f",
               slope(first->kernel.slab + first->kernel.socket,
                     last->kernel.slab + last->kernel.socket, samples, count));
    }
    printf("}\n");
}

/* The most connections that this process may open, once it has all else. */
static size_t most(void)
{
    struct rlimit files;

    return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 64
               ? (size_t) files.rlim_cur - 64
               : 0;
}

int idle_run(const struct load_options *options, struct error *error)
{
    struct sample samples[LOAD_OPTIONS_MAX_SIZES];
    struct crowd crowd;
    size_t count = 0, limit = most(), largest = 0;
    int status;

    for (size_t i = 0; i < options->size_count; i++)
        largest = options->sizes[i] > largest ? options->sizes[i] : largest;
    if (largest > limit) {
        log_warn("%zu connections are too many: this process may open %zu; raise 'ulimit -Hn' for "
                 "more",
                 largest, limit);
        largest = limit;
    }
    status = crowd_init(&crowd, options, largest, (uint32_t) largest, error);
    if (status != 0)
        return status;
    for (size_t i = 0; i < options->size_count && status == 0; i++) {
        size_t size = options->sizes[i] < largest ? options->sizes[i] : largest;

        if (size < crowd.open || (size == crowd.open && i > 0))
            continue;
        status = crowd_open(&crowd, crowd.open, size, error);
        if (status == 0)
            status = take_sample(&crowd, &samples[count], error);
        if (status == 0)
            count++;
    }
    print(samples, count, status == 0);
    crowd_deinit(&crowd);
    return status;
}
