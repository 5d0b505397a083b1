#include "server/broadcast/time_marks.h"

#include <stdlib.h>

struct time_marks {
    unsigned capacity;
    unsigned first;
    unsigned count;
    struct time_mark ring[];
};

struct time_marks *time_marks_new(unsigned capacity)
{
    struct time_marks *marks = calloc(1, sizeof *marks + capacity * sizeof *marks->ring);

    if (marks != NULL)
        marks->capacity = capacity;
    return marks;
}

static unsigned index_of(const struct time_marks *marks, unsigned nth)
{
    return (marks->first + nth) % marks->capacity;
}

void time_marks_add(struct time_marks *marks, struct time_mark mark, uint64_t step)
{
    if (marks->count == marks->capacity ||
        (marks->count > 0 &&
         mark.time < marks->ring[index_of(marks, marks->count - 1)].time + step))
        return;
    marks->ring[index_of(marks, marks->count++)] = mark;
}

const struct time_mark *time_marks_oldest(const struct time_marks *marks)
{
    return marks->count > 0 ? &marks->ring[marks->first] : NULL;
}

bool time_marks_take(struct time_marks *marks, uint64_t now, uint64_t age, struct time_mark *taken)
{
    const struct time_mark *oldest = time_marks_oldest(marks);

    if (oldest == NULL || oldest->time + age > now)
        return false;
    *taken = *oldest;
    marks->first = index_of(marks, 1);
    marks->count--;
    return true;
}
