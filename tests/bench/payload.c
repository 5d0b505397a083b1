#include "tests/bench/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static const uint8_t masking_key[4] = {0x5a, 0xc3, 0x17, 0x88};

static void write_stamp(uint8_t *at, uint32_t sequence)
{
    for (int i = 0; i < PAYLOAD_STAMP; i++)
        at[i] = (uint8_t) ('@' + (sequence >> (4 * i) & 15));
}

/* Rows of numbers until the body is full; what cannot hold a row any more is padding. */
static void write_json(char *body, size_t size, unsigned seed)
{
    static const char head[] = "{\"id\":\"@@@@@@@@\",\"rows\":[";
    static const char tail[] = "{}],\"pad\":\"";
    size_t at = sizeof head - 1;
    uint64_t random = 0x9e3779b97f4a7c15 * (seed + 1);

    memcpy(body, head, at);
    for (;;) {
        char row[80];
        int len;

        random = random * 6364136223846793005 + 1442695040888963407;
        len = snprintf(row, sizeof row, "{\"sensor\":%u,\"value\":%u.%02u,\"unit\":\"kPa\"},",
                       (unsigned) (random >> 33) % 100, (unsigned) (random >> 40) % 1000,
                       (unsigned) (random >> 50) % 100);
        if (at + (size_t) len + sizeof tail + 2 > size)
            break;
        memcpy(body + at, row, (size_t) len);
        at += (size_t) len;
    }
    memcpy(body + at, tail, sizeof tail - 1);
    at += sizeof tail - 1;
    memset(body + at, 'x', size - at);
    memcpy(body + size - 2, "\"}", 2);
}

int payload_init(struct payload *payload, size_t size, bool json)
{
    json = json && size >= 128;
    *payload = (struct payload){.size = size, .stamp_at = json ? 7 : 0};
    for (unsigned i = 0; i < PAYLOAD_TEMPLATES; i++) {
        payload->_bodies[i] = malloc(size);
        if (payload->_bodies[i] == NULL)
            return UV_ENOMEM;
        if (json) {
            write_json((char *) payload->_bodies[i], size, i);
            continue;
        }
        for (size_t j = 0; j < size; j++)
            payload->_bodies[i][j] = (uint8_t) ('a' + (i + j) % 26);
    }
    return 0;
}

void payload_deinit(struct payload *payload)
{
    for (unsigned i = 0; i < PAYLOAD_TEMPLATES; i++)
        free(payload->_bodies[i]);
}

/* Appends a masked frame's header; the payload is still to be masked. */
static int append_header(uint8_t opcode, size_t len, struct buffer *out)
{
    uint8_t header[14] = {(uint8_t) (0x80 | opcode)};
    size_t bytes = 2;

    if (len < 126) {
        header[1] = (uint8_t) (0x80 | len);
    } else {
        int wide = len < 65536 ? 2 : 8;

        header[1] = wide == 2 ? 0xfe : 0xff;
        for (int i = 0; i < wide; i++)
            header[bytes++] = (uint8_t) (len >> (8 * (wide - 1 - i)));
    }
    memcpy(header + bytes, masking_key, sizeof masking_key);
    return buffer_append(out, header, bytes + sizeof masking_key);
}

static void mask(uint8_t *data, size_t len)
{
    uint64_t wide = 0;
    size_t i = 0;

    memcpy(&wide, masking_key, 4);
    wide |= wide << 32;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;

        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < len; i++)
        data[i] ^= masking_key[i % 4];
}

int payload_append_control(uint8_t opcode, const void *data, size_t len, struct buffer *out)
{
    int status = append_header(opcode, len, out);

    if (status == 0)
        status = buffer_append(out, data, len);
    if (status == 0)
        mask(out->data + out->len - len, len);
    return status;
}

int payload_append_frame(const struct payload *payload, uint32_t sequence, struct buffer *out)
{
    int status = append_header(1, payload->size, out);
    uint8_t *body;

    if (status == 0)
        status = buffer_append(out, payload->_bodies[sequence % PAYLOAD_TEMPLATES], payload->size);
    if (status != 0)
        return status;
    body = out->data + out->len - payload->size;
    write_stamp(body + payload->stamp_at, sequence);
    mask(body, payload->size);
    return 0;
}

bool payload_is(const struct payload *payload, uint32_t sequence, const uint8_t *data)
{
    const uint8_t *body = payload->_bodies[sequence % PAYLOAD_TEMPLATES];
    size_t behind = payload->stamp_at + PAYLOAD_STAMP;
    uint32_t stamped;

    return memcmp(data, body, payload->stamp_at) == 0 &&
           payload_read_stamp(data + payload->stamp_at, &stamped) && stamped == sequence &&
           memcmp(data + behind, body + behind, payload->size - behind) == 0;
}
