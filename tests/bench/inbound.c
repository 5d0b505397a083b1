#include "tests/bench/inbound.h"

#include <string.h>
#include <strings.h>

#include "tests/bench/check.h"

enum {
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
    FIN_TEXT = 0x81,
    FIN_RSV1_TEXT = 0xc1,
};

/* A whole text message came. */
static inline void take_text(struct crowd *crowd, struct client *client, const uint8_t *text,
                             size_t len)
{
    const uint8_t *payload = text + len - crowd->payload.size;
    uint32_t sequence;

    client->received++;
    if (__builtin_expect(client->odd, 0) && client->check == NULL)
        return;
    if (len < crowd->payload.size ||
        !payload_read_stamp(payload + crowd->payload.stamp_at, &sequence)) {
        crowd_fault(crowd, "a message of %zu bytes came that nobody sent", len);
        return;
    }
    if (__builtin_expect(client->odd, 0))
        check_delivery(client->check, crowd, sequence, text, len);
    if (__builtin_expect(sequence != client->expected, 0) && crowd->options->publishers == 1)
        crowd_fault(crowd, "message %u came where %u was due", sequence, client->expected);
    client->expected = sequence + 1;
    flight_deliver(&crowd->flight, sequence, crowd->now);
}

static int take_compressed(struct crowd *crowd, struct client *client, const uint8_t *data,
                           size_t len)
{
    size_t plain_len = 0;
    const uint8_t *plain = NULL;

    if (client->deflate)
        plain = inflated_find(crowd->_cache, data, len, &plain_len);
    if (plain == NULL) {
        crowd_fault(crowd, "a compressed message came that cannot be inflated");
        return -1;
    }
    crowd->inflated++;
    take_text(crowd, client, plain, plain_len);
    return 0;
}

/* Anything but an uncompressed text in one frame. Returns 0, or -1 to end the connection. */
static int take_other(struct crowd *crowd, struct client *client, uint8_t first,
                      const uint8_t *data, size_t len)
{
    switch (first & 0x8f) {
    case 0x80 | OPCODE_PING:
        crowd_send_control(crowd, client, OPCODE_PONG, data, len);
        return 0;
    case 0x80 | OPCODE_PONG:
        return 0;
    case 0x80 | OPCODE_CLOSE:
        client->close_code = 1005; /* no status received: RFC 6455, 7.1.5 */
        if (len >= 2)
            client->close_code = (uint16_t) (data[0] << 8 | data[1]);
        return -1;
    default:
        break;
    }
    if (first == FIN_RSV1_TEXT)
        return take_compressed(crowd, client, data, len);
    crowd_fault(crowd, "a frame came that begins with byte %02x: only whole texts are known here",
                first);
    return -1;
}

/* The lengths beyond 125 (RFC 6455, 5.2). */
static uint64_t read_length(const uint8_t *data, size_t bytes)
{
    uint64_t len = 0;

    for (size_t i = 0; i < bytes; i++)
        len = len << 8 | data[i];
    return len;
}

ssize_t inbound_frames(struct crowd *crowd, struct client *client, const uint8_t *data, size_t len)
{
    const uint8_t *at = data, *end = data + len;

    while (end - at >= 2) {
        uint8_t first = at[0];
        uint64_t payload = at[1];
        size_t header = 2;

        if (payload >= 126) {
            header = payload == 126 ? 4 : 10;
            if (payload > 127) {
                crowd_fault(crowd, "a frame from the server is masked");
                return -1;
            }
            if ((size_t) (end - at) < header)
                break;
            payload = read_length(at + 2, header - 2);
        }
        if ((uint64_t) (end - at) - header < payload || (size_t) (end - at) < header)
            break;
        if (first == FIN_TEXT)
            take_text(crowd, client, at + header, payload);
        else if (take_other(crowd, client, first, at + header, payload) != 0)
            return -1;
        at += header + payload;
    }
    return at - data;
}

/* The value of a field of the head, up to the end of its line; NULL when it has none. */
static const char *field(const char *head, const char *name)
{
    const char *line = strcasestr(head, name);

    return line != NULL ? line + strlen(name) : NULL;
}

ssize_t inbound_head(struct crowd *crowd, struct client *client, const uint8_t *data, size_t len)
{
    static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; /* of the key in RFC 6455, 1.3 */
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    char head[2048] = {0};
    size_t head_len;
    const char *extensions, *value;

    if (end == NULL)
        return 0;
    head_len = (size_t) (end - data) + 4;
    memcpy(head, data, head_len < sizeof head ? head_len : sizeof head - 1);
    value = field(head, "\r\nsec-websocket-accept:");
    if (strncmp(head, "HTTP/1.1 101", 12) != 0 || value == NULL ||
        strncmp(value + strspn(value, " "), accept, sizeof accept - 1) != 0) {
        head[strcspn(head, "\r\n")] = '\0';
        crowd_fault(crowd, "the server answered '%s', and not with a WebSocket", head);
        return -1;
    }
    extensions = field(head, "\r\nsec-websocket-extensions:");
    client->deflate = extensions != NULL && strstr(extensions, "permessage-deflate") != NULL;
    if (client->deflate && strstr(extensions, "server_no_context_takeover") == NULL) {
        crowd_fault(crowd, "the server agreed to compress, but not without context takeover");
        return -1;
    }
    return (ssize_t) head_len;
}
