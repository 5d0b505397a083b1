/* When messages were published, in steps: a ring of marks, the oldest first. Each says how many
 * messages there were at a time; what followed up to the next mark is of about that time. */
#ifndef WS_SERVER_BROADCAST_TIME_MARKS_H
#define WS_SERVER_BROADCAST_TIME_MARKS_H

#include <stdbool.h>
#include <stdint.h>

struct time_mark {
    uint64_t time;     /* milliseconds */
    uint64_t sequence; /* of the last message before it */
};

struct time_marks;

/* Room for so many marks; freed by free(3). NULL when out of memory. */
struct time_marks *time_marks_new(unsigned capacity);

/* Adds a mark, unless the newest is not yet `step` milliseconds old, or the ring is full. */
void time_marks_add(struct time_marks *marks, struct time_mark mark, uint64_t step);

/* Takes the oldest mark, if it is `age` milliseconds old. False if there is none. */
bool time_marks_take(struct time_marks *marks, uint64_t now, uint64_t age, struct time_mark *taken);

/* NULL when there is none. */
const struct time_mark *time_marks_oldest(const struct time_marks *marks);

#endif
