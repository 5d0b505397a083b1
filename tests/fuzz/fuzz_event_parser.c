/* Event streams: what is heard does not depend on where the bytes are cut, and no data is longer
 * than it may be. The last byte says how long the pieces are. */
#include "client/connect/event_parser.h"

#include "tests/fuzz/fuzz.h"

enum { MAX = 100 }; /* bytes of an event's data */

/* What has been heard, each part behind its length. */
struct heard {
    struct buffer parts;
};

static void hear(struct heard *heard, const void *data, size_t len)
{
    fuzz_check(buffer_append(&heard->parts, &len, sizeof len) == 0 &&
                   buffer_append(&heard->parts, data, len) == 0,
               "out of memory");
}

static bool on_event(void *owner, const struct event *event)
{
    struct heard *heard = owner;
    const char *id = event->id != NULL ? event->id : "(none)";

    fuzz_check(event->len <= MAX, "%zu bytes", event->len);
    fuzz_check(event->has_data || event->len == 0, "data of no event");
    hear(heard, event->type, strlen(event->type));
    hear(heard, id, strlen(id));
    hear(heard, event->len > 0 ? (const void *) event->data : "", event->len);
    return true;
}

static void on_retry(void *owner, uint64_t milliseconds)
{
    hear(owner, &milliseconds, sizeof milliseconds);
}

static enum event_parser_result feed(struct heard *heard, const uint8_t *data, size_t size,
                                     size_t step)
{
    static const struct event_parser_ops ops = {.on_event = on_event, .on_retry = on_retry};
    enum event_parser_result result = EVENT_PARSER_MORE;
    struct event_parser parser;

    event_parser_init(&parser, MAX, &ops, heard);
    for (size_t at = 0; at < size && result == EVENT_PARSER_MORE; at += step)
        result = event_parser_feed(&parser, data + at, at + step < size ? step : size - at);
    event_parser_deinit(&parser);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard whole = {.parts = {0}};
    struct heard pieces = {.parts = {0}};
    enum event_parser_result result;

    if (size < 2)
        return 0;
    size--;
    result = feed(&whole, data, size, size);
    fuzz_check(result == EVENT_PARSER_MORE || result == EVENT_PARSER_TOO_LONG, "%d", (int) result);
    fuzz_check(feed(&pieces, data, size, data[size] % 16 + 1U) == result, "another result");
    fuzz_check(pieces.parts.len == whole.parts.len, "%zu bytes in pieces, %zu as a whole",
               pieces.parts.len, whole.parts.len);
    fuzz_check(whole.parts.len == 0 ||
                   memcmp(pieces.parts.data, whole.parts.data, whole.parts.len) == 0,
               "other events");
    buffer_deinit(&whole.parts);
    buffer_deinit(&pieces.parts);
    return 0;
}
