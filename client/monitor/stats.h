/* What has come, how fast, and how far away the server is: numbers for --stats. */
#ifndef WS_CLIENT_MONITOR_STATS_H
#define WS_CLIENT_MONITOR_STATS_H

#include <stddef.h>
#include <stdint.h>

enum { STATS_PINGS = 512 }; /* round-trip times that are remembered: the last ones */

/* All times are in nanoseconds of one clock. */
struct stats {
    uint64_t messages;
    uint64_t bytes; /* of their payloads */

    uint64_t _start;
    uint64_t _wire; /* bytes of frames, as they came */
    uint64_t _connections;
    uint64_t _gaps;
    uint64_t _asked; /* when the ping that is out went; 0: none is */
    uint64_t _pings;
    uint32_t _trips[STATS_PINGS]; /* microseconds */
};

void stats_init(struct stats *stats, uint64_t now);
void stats_connected(struct stats *stats);
void stats_gap(struct stats *stats);
void stats_message(struct stats *stats, size_t len);
void stats_wire(struct stats *stats, size_t len);
void stats_ping(struct stats *stats, uint64_t now);
void stats_pong(struct stats *stats, uint64_t now);

/* Messages in a second, since the start. */
double stats_rate(const struct stats *stats, uint64_t now);

/* Writes one line, without its newline: messages and payload bytes with their rates, payload bytes
 * for each byte of the frames they came in (compression), round-trip times of pings, reconnects,
 * gaps. Returns `out`. */
const char *stats_write(const struct stats *stats, uint64_t now, char *out, size_t size);

#endif
