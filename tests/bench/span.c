#include "tests/bench/span.h"

#include <inttypes.h>
#include <unistd.h>

void span_mark(struct span_mark *mark, struct crowd *crowd)
{
    const struct load_options *options = crowd->options;
    int self = getpid();

    flight_settle(&crowd->flight);
    mark->time = crowd_clock();
    mark->idle = crowd->idle;
    mark->deliveries = crowd->flight.deliveries;
    mark->messages = crowd->flight.last;
    probe_read(&mark->generator, &self, 1);
    probe_read(&mark->server, options->pids, options->pid_count);
}

/* Seconds between two times in ns. */
static double between(uint64_t begin, uint64_t end)
{
    return (double) (end - begin) / 1e9;
}

/* Who had no time left: waiting for a CPU that somebody else has is no leisure, either. */
static const char *bound_by(double server, double generator)
{
    if (server >= 0.9 && server >= generator - 0.05)
        return "server";
    return generator >= 0.9 ? "generator" : "neither";
}

static double busy_share(const struct probe *begin, const struct probe *end, double wall)
{
    return (between(begin->cpu, end->cpu) + between(begin->wait, end->wait)) / wall;
}

static void print_server(const struct span *span, double wall, double generator, FILE *out)
{
    const struct probe *before = &span->begin.server, *after = &span->end.server;
    double cpu = between(before->cpu, after->cpu);
    double user = between(before->user, after->user);
    double both = user + between(before->system, after->system);
    double share = busy_share(before, after, wall);

    fprintf(out, ",\"server_cpu_seconds\":%.4f,\"server_wait_seconds\":%.4f,\"server_share\":%.3f",
            cpu, between(before->wait, after->wait), share);
    fprintf(out, ",\"server_user_share\":%.3f,\"deliveries_per_cpu_second\":%.0f",
            both > 0 ? user / both : 0,
            cpu > 0 ? (double) (span->end.deliveries - span->begin.deliveries) / cpu : 0);
    fprintf(out,
            ",\"server_rss\":%" PRIu64 ",\"server_anon\":%" PRIu64
            ",\"server_anon_before\":%" PRIu64 ",\"server_peak\":%" PRIu64,
            after->rss, after->anon, before->anon, after->peak);
    fprintf(out, ",\"bound_by\":\"%s\"", bound_by(share, generator));
}

void span_print(const struct span *span, const struct crowd *crowd, FILE *out)
{
    uint64_t deliveries = span->end.deliveries - span->begin.deliveries;
    double wall = between(span->begin.time, span->end.time);
    double busy = busy_share(&span->begin.generator, &span->end.generator, wall);

    if (crowd->options->poll)
        busy = 1 - between(span->begin.idle, span->end.idle) / wall;
    fprintf(out, ",\"seconds\":%.4f,\"messages\":%" PRIu32 ",\"deliveries\":%" PRIu64, wall,
            span->end.messages - span->begin.messages, deliveries);
    fprintf(out,
            ",\"deliveries_per_second\":%.0f,\"generator_share\":%.3f"
            ",\"generator_cpu_seconds\":%.4f",
            (double) deliveries / wall, busy,
            between(span->begin.generator.cpu, span->end.generator.cpu));
    if (crowd->options->pid_count > 0)
        print_server(span, wall, busy, out);
}
