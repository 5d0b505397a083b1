#include "client/resume/position.h"

#include <string.h>
#include <uv.h>

int position_parse(const char *text, size_t len, struct event_id *id)
{
    int status = event_id_parse(text, len, id);

    /* Counting on from there cannot overflow, whatever a server says. */
    return status == 0 && id->sequence > INT64_MAX ? UV_EINVAL : status;
}

uint64_t position_open(struct position *position, const char *text, bool *back)
{
    struct position before = *position;

    *back = false;
    position->known = text != NULL && position_parse(text, strlen(text), &position->id) == 0;
    if (!before.known)
        return 0;
    if (!position->known || position->id.epoch != before.id.epoch)
        return POSITION_UNKNOWN;
    *back = position->id.sequence < before.id.sequence;
    return *back ? 0 : position->id.sequence - before.id.sequence;
}

uint64_t position_ping(struct position *position, const uint8_t *payload, size_t len)
{
    struct event_id id;
    uint64_t lost;

    if (!position->known || position_parse((const char *) payload, len, &id) != 0)
        return 0;
    if (id.epoch != position->id.epoch)
        lost = POSITION_UNKNOWN;
    else if (id.sequence > position->id.sequence)
        lost = id.sequence - position->id.sequence;
    else
        return 0;
    position->id = id;
    return lost;
}

uint64_t position_add_gaps(uint64_t first, uint64_t second)
{
    return first > POSITION_UNKNOWN - second ? POSITION_UNKNOWN : first + second;
}
