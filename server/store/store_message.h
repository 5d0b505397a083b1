/* How messages lie in a row, one behind the other: a byte that is their type (for the server, the
 * opcode), the length in 4 bytes, little-endian, and the payload. */
#ifndef WS_SERVER_STORE_STORE_MESSAGE_H
#define WS_SERVER_STORE_STORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_MESSAGE_HEAD = 5,                /* bytes before the payload */
    STORE_MESSAGE_MOST = 512 * 1024 * 1024 /* bytes of a payload; SQLite takes 1e9 a row */
};

struct store_message {
    uint8_t type;
    const uint8_t *payload;
    size_t len;
};

/* Writes the head of a message of `len` bytes; returns where the payload goes. */
static inline uint8_t *store_message_begin(uint8_t *out, uint8_t type, size_t len)
{
    out[0] = type;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t) (len >> (8 * i));
    return out + STORE_MESSAGE_HEAD;
}

/* Takes the first message off the `*len` bytes at `*data`. False when there is none, or what is
 * there is cut off. */
static inline bool store_message_next(const uint8_t **data, size_t *len,
                                      struct store_message *message)
{
    size_t size = 0;

    if (*len < STORE_MESSAGE_HEAD)
        return false;
    for (int i = 0; i < 4; i++)
        size |= (size_t) (*data)[1 + i] << (8 * i);
    if (size > *len - STORE_MESSAGE_HEAD)
        return false;
    *message = (struct store_message){(*data)[0], *data + STORE_MESSAGE_HEAD, size};
    *data += STORE_MESSAGE_HEAD + size;
    *len -= STORE_MESSAGE_HEAD + size;
    return true;
}

#endif
