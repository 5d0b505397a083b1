#include "client/monitor/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/plural.h"

void stats_init(struct stats *stats, uint64_t now)
{
    *stats = (struct stats){._start = now};
}

void stats_connected(struct stats *stats)
{
    stats->_connections++;
    stats->_asked = 0;
}

void stats_gap(struct stats *stats)
{
    stats->_gaps++;
}

void stats_message(struct stats *stats, size_t len)
{
    stats->messages++;
    stats->bytes += len;
}

void stats_wire(struct stats *stats, size_t len)
{
    stats->_wire += len;
}

void stats_ping(struct stats *stats, uint64_t now)
{
    stats->_asked = now;
}

void stats_pong(struct stats *stats, uint64_t now)
{
    uint64_t trip = (now - stats->_asked) / 1000;

    if (stats->_asked == 0)
        return; /* no answer was expected */
    stats->_trips[stats->_pings++ % STATS_PINGS] = trip < UINT32_MAX ? (uint32_t) trip : UINT32_MAX;
    stats->_asked = 0;
}

static double seconds(const struct stats *stats, uint64_t now)
{
    return (double) (now - stats->_start + 1) / 1e9;
}

double stats_rate(const struct stats *stats, uint64_t now)
{
    return (double) stats->messages / seconds(stats, now);
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *) a, right = *(const uint32_t *) b;

    return (left > right) - (left < right);
}

/* Where, among `count` in order, the nearest-rank percentile stands. */
static size_t rank(size_t count, size_t percent)
{
    return (count * percent + 99) / 100 - 1;
}

/* The percentiles of the trips that are remembered, of which there is one at least. */
static void write_trips(const struct stats *stats, char *out, size_t size)
{
    size_t count = stats->_pings < STATS_PINGS ? (size_t) stats->_pings : STATS_PINGS;
    uint32_t sorted[STATS_PINGS];

    memcpy(sorted, stats->_trips, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    (void) snprintf(out, size, "p50 %.2f ms p99 %.2f ms of %" PRIu64,
                    sorted[rank(count, 50)] / 1000.0, sorted[rank(count, 99)] / 1000.0,
                    stats->_pings);
}

const char *stats_write(const struct stats *stats, uint64_t now, char *out, size_t size)
{
    uint64_t reconnects = stats->_connections > 0 ? stats->_connections - 1 : 0;
    double time = seconds(stats, now);
    char trips[80] = "none";

    if (stats->_pings > 0)
        write_trips(stats, trips, sizeof trips);
    (void) snprintf(out, size,
                    "%" PRIu64 " message%s (%.1f/s), %" PRIu64 " byte%s (%.0f/s) in %.1f s, "
                    "compression %.2f, pings %s, %" PRIu64 " reconnect%s, %" PRIu64 " gap%s",
                    stats->messages, plural(stats->messages), stats_rate(stats, now), stats->bytes,
                    plural(stats->bytes), (double) stats->bytes / time, time,
                    stats->_wire > 0 ? (double) stats->bytes / (double) stats->_wire : 1, trips,
                    reconnects, plural(reconnects), stats->_gaps, plural(stats->_gaps));
    return out;
}
