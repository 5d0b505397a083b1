/* What tests of channels publish with, and how they look back. */
#ifndef WS_TESTS_UNIT_PUBLISHING_H
#define WS_TESTS_UNIT_PUBLISHING_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/broadcast/channel.h"

/* False when out of memory. */
static inline bool publishing_init(struct channel_publisher *publisher)
{
    *publisher = (struct channel_publisher){.compression_min = 64};
    return frame_encoder_new(&publisher->encoder, false) == 0 &&
           deflater_new(&publisher->deflater, 1) == 0;
}

static inline void publishing_deinit(struct channel_publisher *publisher)
{
    frame_encoder_free(publisher->encoder);
    deflater_free(publisher->deflater);
}

/* The number is the text, filled up to `size` bytes. */
static inline int publishing_number(struct channel *channel,
                                    const struct channel_publisher *publisher, unsigned number,
                                    size_t size)
{
    char text[8192];
    size_t len = (size_t) snprintf(text, sizeof text, "%u ", number);
    struct frame_part part = {text, len > size ? len : size};

    if (part.len > len)
        memset(text + len, '.', part.len - len);
    return channel_publish(channel, publisher, FRAME_TEXT, &part, 1, NULL);
}

/* The number that a message is; UINT_MAX if it is none. */
static inline unsigned publishing_read(const struct channel_message *message)
{
    char text[16] = "";
    char *end;
    unsigned long number;

    memcpy(text, message->payload, message->len < sizeof text - 1 ? message->len : sizeof text - 1);
    number = strtoul(text, &end, 10);
    return end > text && *end == ' ' ? (unsigned) number : ~0u;
}

#endif
