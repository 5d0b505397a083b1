#include "client/resume/place.h"

#include <string.h>
#include <uv.h>

int place_parse(const char *text, size_t len, struct event_id *id)
{
    int status = event_id_parse(text, len, id);

    /* Counting on from there cannot overflow, whatever a server says. */
    return status == 0 && id->sequence > INT64_MAX ? UV_EINVAL : status;
}

uint64_t place_open(struct place *place, const char *text, bool *back)
{
    struct place before = *place;

    *back = false;
    place->known = text != NULL && place_parse(text, strlen(text), &place->id) == 0;
    if (!before.known)
        return 0;
    if (!place->known || place->id.epoch != before.id.epoch)
        return PLACE_UNKNOWN;
    *back = place->id.sequence < before.id.sequence;
    return *back ? 0 : place->id.sequence - before.id.sequence;
}

uint64_t place_ping(struct place *place, const uint8_t *payload, size_t len)
{
    struct event_id id;
    uint64_t lost;

    if (!place->known || place_parse((const char *) payload, len, &id) != 0)
        return 0;
    if (id.epoch != place->id.epoch)
        lost = PLACE_UNKNOWN;
    else if (id.sequence > place->id.sequence)
        lost = id.sequence - place->id.sequence;
    else
        return 0;
    place->id = id;
    return lost;
}

uint64_t place_add_gaps(uint64_t first, uint64_t second)
{
    return first > PLACE_UNKNOWN - second ? PLACE_UNKNOWN : first + second;
}
