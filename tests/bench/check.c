#include "tests/bench/check.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

int check_new(struct check **check, size_t publishers)
{
    *check = calloc(1, sizeof **check);
    if (*check == NULL)
        return UV_ENOMEM;
    (*check)->last = calloc(publishers, sizeof *(*check)->last);
    if ((*check)->last != NULL)
        return 0;
    free(*check);
    *check = NULL;
    return UV_ENOMEM;
}

void check_free(struct check *check)
{
    if (check == NULL)
        return;
    buffer_deinit(&check->prefix);
    free(check->last);
    free(check);
}

void check_delivery(struct check *check, struct crowd *crowd, uint32_t sequence,
                    const uint8_t *data, size_t len)
{
    const struct flight_message *message = flight_find(&crowd->flight, sequence);
    size_t prefix = len - crowd->payload.size;

    if (message == NULL) {
        crowd_fault(crowd, "message %u came, which is not under way", sequence);
        return;
    }
    if (!check->begun && buffer_append(&check->prefix, data, prefix) == 0)
        check->begun = true;
    if (prefix != check->prefix.len ||
        (prefix > 0 && memcmp(data, check->prefix.data, prefix) != 0) ||
        !payload_is(&crowd->payload, sequence, data + prefix))
        crowd_fault(crowd, "message %u came with other bytes than it was sent with", sequence);
    if (check->last[message->publisher] != message->previous)
        crowd_fault(crowd, "message %u of publisher %u came after %u, and not after %u", sequence,
                    message->publisher, check->last[message->publisher], message->previous);
    check->last[message->publisher] = sequence;
    check->order = (check->order ^ sequence) * 0x100000001b3;
}
