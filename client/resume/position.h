/* The position in the server's log that we have read up to: the ID of the last message, counted on
 * from what the server said when the connection was opened (Last-Event-ID of its response). What it
 * says later, in that field of the next connection or in the payload of a ping, shows whether
 * messages were lost. Pure. */
#ifndef WS_CLIENT_RESUME_PLACE_H
#define WS_CLIENT_RESUME_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/websocket/event_id.h"

/* So many messages were lost, and the server could not say how many. */
#define POSITION_UNKNOWN UINT64_MAX

struct position {
    struct event_id id; /* means nothing unless it is known */
    bool known;
};

/* Parses an ID. Returns 0; or UV_EINVAL, also for a number that cannot be reached. */
int position_parse(const char *text, size_t len, struct event_id *id);

/* A message has come. */
static inline void position_count(struct position *position)
{
    position->id.sequence++;
}

/* A connection is open, and the first message on it is the one behind `text`, its Last-Event-ID
 * (NULL: it has none; what is no ID is none either). Moves there. Returns how many messages were
 * lost since the position that was known before: 0, a number, or POSITION_UNKNOWN when it cannot be
 * told.
 * `*back` is true when messages that have come already will come again. */
uint64_t position_open(struct position *position, const char *text, bool *back);

/* A ping has come. If its payload is an ID that is further on, the server has left messages out:
 * moves there, and returns how many, as above. Else it is a ping like any other: returns 0. */
uint64_t position_ping(struct position *position, const uint8_t *payload, size_t len);

/* Two gaps in a row are one. */
uint64_t position_add_gaps(uint64_t first, uint64_t second);

#endif
