#include "tests/fuzz/server_verdict.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "client/connect/client_handshake.h"
#include "common/websocket/decoder.h"
#include "common/websocket/event_id.h"
#include "tests/fuzz/heads.h"

#define FNV_START 14695981039346656037U

static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 1099511628211U; /* FNV-1a */
}

static uint64_t hash_message(unsigned opcode, const void *data, size_t len)
{
    uint64_t hash = FNV_START + opcode;

    for (size_t i = 0; i < len; i++)
        hash = hash_byte(hash, ((const uint8_t *) data)[i]);
    return hash;
}

/* As an event has it: each line end of a text has become one newline. */
static uint64_t hash_as_event(unsigned opcode, const uint8_t *data, size_t len)
{
    uint64_t hash = FNV_START + opcode;

    for (size_t i = 0; i < len; i++) {
        if (opcode == FRAME_TEXT && data[i] == '\r' && i + 1 < len && data[i + 1] == '\n')
            continue;
        hash = hash_byte(hash, opcode == FRAME_TEXT && data[i] == '\r' ? '\n' : data[i]);
    }
    return hash;
}

/* ---- what was published ---- */

static const struct server_verdict_message *find_message(
    const struct server_verdict_channel *channel, uint64_t sequence)
{
    size_t at = (size_t) (sequence - 1) * sizeof(struct server_verdict_message);

    if (sequence == 0 || at >= channel->messages.len)
        return NULL;
    return (const struct server_verdict_message *) (const void *) (channel->messages.data + at);
}

/* NULL: nobody watched it. */
static const struct server_verdict_channel *find_channel(const struct server_verdict_rules *rules,
                                                         uint64_t epoch)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (rules->channels[i].epoch == epoch)
            return &rules->channels[i];
    }
    return NULL;
}

/* ---- WebSocket ---- */

/* One reader of a channel. */
struct reader {
    const struct server_verdict_rules *rules;
    const struct server_verdict_channel *channel; /* NULL: it is not known what was published */
    uint64_t sequence;                            /* of the message that it got last */
    unsigned count;
};

/* It got a message that is told by its hash: the next one, or a later one if some may be missed. */
static void got(struct reader *reader, uint64_t hash)
{
    const struct server_verdict_message *message;

    reader->count++;
    if (reader->channel == NULL)
        return;
    do {
        message = find_message(reader->channel, ++reader->sequence);
    } while (reader->rules->misses && message != NULL && message->hash != hash);
    fuzz_check(message != NULL && message->hash == hash,
               "its message number %u is not the next one in its channel", reader->count);
}

/* Decodes the frames of one direction, and has each message told. Answers the code of the Close, 0
 * if none came; `*goodbye` tells whether it was the server's own. */
static uint16_t decode_all(const struct extension_deflate *deflate, struct fuzz_input input,
                           bool whole, void (*tell)(void *to, const struct decoder_event *event),
                           void *to, bool *goodbye)
{
    struct decoder_pool *pool;
    struct decoder decoder = {0};
    struct decoder_event event;
    uint16_t code = 0;

    fuzz_check(decoder_pool_new(&pool, DECODER_CLIENT, 0) == 0, "out of memory");
    if (deflate->agreed)
        fuzz_check(decoder_allow_deflate(&decoder, deflate) == 0, "out of memory");
    fuzz_check(decoder_feed(&decoder, pool, input.data, input.len) == 0, "out of memory");
    do {
        decoder_next(&decoder, &event);
        fuzz_check(event.type != DECODER_FAULT, "the server sent: %s", event.why);
        if (event.type == DECODER_MESSAGE)
            tell(to, &event);
        if (event.type == DECODER_CLOSE) {
            code = event.code;
            *goodbye = event.code == CLOSE_GOING_AWAY && event.len > 0;
        }
    } while (event.type != DECODER_MORE && event.type != DECODER_CLOSE);
    if (event.type == DECODER_MORE)
        fuzz_check(!whole || decoder_pool_lent(pool) == 0, "it ends within a frame");
    decoder_deinit(&decoder);
    decoder_pool_free(pool);
    if (code != 0) { /* the Close is all that may stand at the end */
        size_t size = 2 + (code == CLOSE_NO_STATUS ? 0 : 2 + event.len);

        fuzz_check(input.len >= size && input.data[input.len - size] == 0x88,
                   "frames behind a Close");
    }
    return code;
}

static void learn(void *to, const struct decoder_event *event)
{
    struct server_verdict_channel *channel = to;
    struct server_verdict_message message = {
        .hash = hash_message(event->opcode, event->data, event->len),
        .event = hash_as_event(event->opcode, event->data, event->len),
    };

    fuzz_check(buffer_append(&channel->messages, &message, sizeof message) == 0, "out of memory");
}

void server_verdict_learn(struct server_verdict_channel *channel, const struct buffer *frames)
{
    struct extension_deflate none = {.agreed = false};
    bool goodbye;

    if (frames->len > 0)
        (void) decode_all(&none, (struct fuzz_input){frames->data, frames->len}, true, learn,
                          channel, &goodbye);
}

static void hear(void *to, const struct decoder_event *event)
{
    got(to, hash_message(event->opcode, event->data, event->len));
}

static void check_frames(struct reader *reader, const struct extension_deflate *deflate,
                         struct fuzz_input input, bool whole)
{
    bool goodbye = false;

    (void) decode_all(deflate, input, whole, hear, reader, &goodbye);
    if (goodbye && reader->channel != NULL && !reader->rules->misses && !reader->rules->replays &&
        !reader->rules->cut)
        fuzz_check(find_message(reader->channel, reader->sequence + 1) == NULL,
                   "it was told goodbye before it had the last message");
}

/* ---- events ---- */

static bool begins(struct fuzz_input input, const char *text)
{
    size_t len = strlen(text);

    return input.len >= len && memcmp(input.data, text, len) == 0;
}

/* Takes a line, without its newline. */
static struct fuzz_input take_line(struct fuzz_input *input)
{
    const uint8_t *end = memchr(input->data, '\n', input->len);
    struct fuzz_input line;

    fuzz_check(end != NULL, "a line without an end");
    line = fuzz_take(input, (size_t) (end - input->data));
    (void) fuzz_first(input);
    return line;
}

static uint64_t hash_base64(const void *text, size_t len)
{
    uint8_t *data = malloc(len / 4 * 3 + 1);
    int count = len > 0 ? EVP_DecodeBlock(data, text, (int) len) : 0;
    uint64_t hash;

    fuzz_check(count >= 0 && len % 4 == 0, "this is no base64");
    for (size_t i = len; i > 0 && ((const char *) text)[i - 1] == '='; i--)
        count--;
    hash = hash_message(FRAME_BINARY, data, (size_t) count);
    free(data);
    return hash;
}

/* What is behind the ID of an event, as hash_as_event has it. */
static uint64_t hash_event(struct fuzz_input event)
{
    uint64_t hash = FNV_START + FRAME_TEXT;
    bool binary = begins(event, "event: ");
    bool first = true;

    if (binary) {
        struct fuzz_input line = take_line(&event);

        fuzz_check(line.len == 13 && begins(line, "event: binary"), "an unknown type of event");
    }
    do {
        struct fuzz_input line = take_line(&event);

        fuzz_check(begins(line, "data:"), "an event without data");
        (void) fuzz_take(&line, begins(line, "data: ") ? 6 : 5);
        if (binary) {
            fuzz_check(event.len == 1, "base64 in several lines");
            return hash_base64(line.data, line.len);
        }
        if (!first)
            hash = hash_byte(hash, '\n');
        for (size_t i = 0; i < line.len; i++)
            hash = hash_byte(hash, line.data[i]);
        first = false;
    } while (event.len > 1);
    return hash;
}

/* Reads the first line of an event. */
static struct event_id take_id(struct fuzz_input *event)
{
    struct fuzz_input line = take_line(event);
    struct event_id id;

    fuzz_check(begins(line, "id: ") &&
                   event_id_parse((const char *) line.data + 4, line.len - 4, &id) == 0,
               "an event without an ID");
    return id;
}

/* What follows until the end are events, each with the ID behind that of the one before it, and
 * with its message. The first one is the place where it begins, and has no data. */
static void check_events(const struct server_verdict_rules *rules, struct fuzz_input input,
                         bool whole)
{
    const struct server_verdict_channel *channel = NULL;
    uint64_t last = 0;
    bool first = true;

    while (input.len > 0) {
        const uint8_t *end = memmem(input.data, input.len, "\n\n", 2);
        struct fuzz_input event;
        struct event_id id;

        if (end == NULL) {
            fuzz_check(!whole, "it ends within an event");
            return;
        }
        event = fuzz_take(&input, (size_t) (end - input.data) + 2);
        if (event.data[0] == ':')
            continue;
        id = take_id(&event);
        if (first)
            channel = find_channel(rules, id.epoch);
        else
            fuzz_check(rules->misses ? id.sequence > last : id.sequence == last + 1,
                       "an event is missing, or came twice");
        if (!first) {
            uint64_t hash = hash_event(event);
            const struct server_verdict_message *message =
                channel != NULL ? find_message(channel, id.sequence) : NULL;

            fuzz_check(channel == NULL || (message != NULL && message->event == hash),
                       "event %llu is not its message", (unsigned long long) id.sequence);
        }
        first = false;
        last = id.sequence;
    }
}

/* ---- pages ---- */

static bool parse_id(const json_t *object, const char *name, struct event_id *id)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL && event_id_parse(text, strlen(text), id) == 0;
}

static void check_page_message(const struct server_verdict_channel *channel, const json_t *entry,
                               const struct event_id *id)
{
    const struct server_verdict_message *message = find_message(channel, id->sequence);
    const json_t *text = json_object_get(entry, "data");
    const json_t *base64 = json_object_get(entry, "base64");
    uint64_t hash =
        text != NULL ? hash_message(FRAME_TEXT, json_string_value(text), json_string_length(text))
                     : hash_base64(json_string_value(base64), json_string_length(base64));

    fuzz_check(message != NULL && message->hash == hash, "a page has another message for %llu",
               (unsigned long long) id->sequence);
}

static void check_json(const struct server_verdict_rules *rules, struct fuzz_input body)
{
    json_error_t error;
    json_t *page = json_loadb((const char *) body.data, body.len, JSON_ALLOW_NUL, &error);
    const json_t *messages = json_object_get(page, "messages");
    const struct server_verdict_channel *channel;
    struct event_id start, id;

    fuzz_check(page != NULL, "this is no JSON: %s: %.*s", error.text, (int) body.len,
               (const char *) body.data);
    if (json_is_array(messages)) {
        fuzz_check(parse_id(page, "start", &start), "a page without its start");
        channel = find_channel(rules, start.epoch);
        for (size_t i = 0; i < json_array_size(messages); i++) {
            const json_t *entry = json_array_get(messages, i);

            fuzz_check(parse_id(entry, "id", &id) && id.epoch == start.epoch &&
                           id.sequence == start.sequence + i + 1,
                       "a page leaves a message out");
            if (channel != NULL)
                check_page_message(channel, entry, &id);
        }
    }
    json_decref(page);
}

/* ---- HTTP ---- */

static bool has_type(const struct http_head *head, const char *wanted)
{
    const char *type = http_head_get(head, "Content-Type");

    return type != NULL && strcmp(type, wanted) == 0;
}

static bool is_events(const struct http_head *head)
{
    return head->status == 200 && has_type(head, "text/event-stream");
}

/* Takes the chunks of a body off the front, and puts them together. False when it is cut. */
static bool take_chunks(struct fuzz_input *input, struct buffer *body)
{
    for (;;) {
        const uint8_t *end = memmem(input->data, input->len, "\r\n", 2);
        struct fuzz_input chunk;
        size_t size;

        if (end == NULL)
            return false;
        size = strtoul((const char *) input->data, NULL, 16);
        (void) fuzz_take(input, (size_t) (end - input->data) + 2);
        if (input->len < size + 2)
            return false;
        chunk = fuzz_take(input, size);
        fuzz_check(begins(*input, "\r\n"), "a chunk has no end");
        (void) fuzz_take(input, 2);
        fuzz_check(buffer_append(body, chunk.data, chunk.len) == 0, "out of memory");
        if (size == 0)
            return true;
    }
}

/* The answer to HEAD has no body: the next one follows, or nothing. */
static bool has_body(const struct fuzz_input *input)
{
    return input->len > 0 && memcmp(input->data, "HTTP/1.", input->len < 7 ? input->len : 7) != 0;
}

static void check_body(const struct server_verdict_rules *rules, const struct http_head *head,
                       struct fuzz_input *input, bool whole)
{
    const char *length = http_head_get(head, "Content-Length");
    struct fuzz_input body = {input->data, 0};
    struct buffer chunks = {0};
    bool chunked = http_head_get(head, "Transfer-Encoding") != NULL;
    bool complete = true;

    /* The answer to HEAD need not say how long a page would be. */
    fuzz_check(length != NULL || chunked || head->status <= 204 || !has_body(input),
               "no Content-Length");
    if (!has_body(input))
        return;
    if (chunked) {
        complete = take_chunks(input, &chunks);
        body = (struct fuzz_input){chunks.data, chunks.len};
    } else if (length != NULL) {
        size_t size = strtoul(length, NULL, 10);

        complete = input->len >= size;
        body = fuzz_take(input, size);
    }
    fuzz_check(complete || !whole, "it ends within a body");
    if (complete && body.len > 0 && has_type(head, "application/json"))
        check_json(rules, body);
    if (!complete)
        input->len = 0;
    buffer_deinit(&chunks);
}

/* Reads the head of one HTTP response off the front. False when it is cut. */
static bool take_head(struct fuzz_input *input, struct http_head *head, bool whole)
{
    size_t used;

    http_head_init(head, HTTP_HEAD_RESPONSE);
    if (http_head_feed(head, input->data, input->len, &used) == HTTP_HEAD_DONE) {
        (void) fuzz_take(input, used);
        return true;
    }
    fuzz_check(!whole, "it ends within a response: %.*s", (int) input->len,
               (const char *) input->data);
    fuzz_check(head->why == NULL, "the server sent as HTTP: %s", head->why);
    http_head_deinit(head);
    return false;
}

/* Our client takes the 101; the reader begins at the place that it names. */
static void check_upgrade(const struct http_head *head, struct reader *reader,
                          struct extension_deflate *deflate)
{
    const struct client_handshake_request request = {.compression = true};
    const char *accept = http_head_get(head, "Sec-WebSocket-Accept");
    const char *place = http_head_get(head, "Last-Event-ID");
    struct client_handshake client = {.accept = ""};
    struct error error;
    struct event_id id;

    fuzz_check(accept != NULL, "no Sec-WebSocket-Accept");
    (void) snprintf(client.accept, sizeof client.accept, "%s", accept);
    fuzz_check(client_handshake_check_response(&client, &request, head, deflate, &error) == 0,
               "our client refuses: %s", error.text);
    fuzz_check(place != NULL && event_id_parse(place, strlen(place), &id) == 0,
               "no Last-Event-ID in a 101");
    reader->channel = find_channel(reader->rules, id.epoch);
    reader->sequence = id.sequence;
}

void server_verdict_judge(const struct server_verdict_rules *rules, const struct memory_end *end)
{
    struct fuzz_input input = {end->written.data, end->written.len};

    while (input.len > 0) {
        struct reader reader = {.rules = rules};
        struct extension_deflate deflate;
        struct http_head head;

        if (!take_head(&input, &head, end->finished))
            return;
        if (head.status == 101) {
            check_upgrade(&head, &reader, &deflate);
            check_frames(&reader, &deflate, input, end->finished);
            input.len = 0;
        } else if (is_events(&head)) {
            check_events(rules, input, end->finished);
            input.len = 0;
        } else {
            fuzz_check(head.status >= 400 || head.status == 100 || head.status == 200 ||
                           head.status == 204,
                       "status %d", head.status);
            check_body(rules, &head, &input, end->finished);
        }
        http_head_deinit(&head);
    }
}
