/* What a message becomes on standard output, by the options that say so. Pure: a message in, bytes
 * out. */
#ifndef WS_CLIENT_OUTPUT_RENDER_H
#define WS_CLIENT_OUTPUT_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/output/format.h"
#include "client/output/json_view.h"
#include "client/output/message.h"
#include "client/output/stamp.h"
#include "common/base/buffer.h"
#include "common/base/error.h"

enum render_mode {
    RENDER_RECEIVED, /* Received: TEXT */
    RENDER_RAW,      /* TEXT */
    RENDER_JSON,     /* an object a line */
    RENDER_HEX,      /* any payload in hexadecimal */
    RENDER_BASE64,   /* any payload in base64 */
    RENDER_FORMAT,   /* as -F has it */
    RENDER_BYTES,    /* the payload and nothing else */
};

struct render_config {
    enum render_mode mode;
    enum stamp_kind stamps; /* before each message; not for JSON, a format or bytes */
    bool null;              /* a NUL in place of the newline */
    bool escaped;           /* a terminal reads: text is shown without what would act on it */
    bool pretty;            /* JSON is indented */
    bool colour;            /* and coloured */
    const char *format;     /* of RENDER_FORMAT */
    const char *url;        /* for JSON and formats; borrowed for the life of the renderer */
};

struct render {
    struct render_config _config;
    struct format _format;
    struct buffer _json_end; /* the members that are the same in each object */
    struct stamp_cache _stamps;
    struct stamp_cache _local_stamps;
    uint64_t _number; /* of messages so far */
    bool _plain;      /* text is printed as it is */
    struct json_view _view;
    bool _viewed;        /* JSON goes through _view */
    struct buffer _json; /* an object of RENDER_JSON before that */
};

/* Returns 0, UV_EINVAL with a text that says what is wrong with the format, or UV_ENOMEM. */
int render_init(struct render *render, const struct render_config *config, struct error *error);
void render_deinit(struct render *render);

/* True when messages must have their times set. */
bool render_wants_time(const struct render *render);

/* True when messages must have their IDs, and gaps, set. */
bool render_wants_id(const struct render *render);

/* Appends what the message becomes, with its end. Returns 0, or UV_ENOMEM with part of it. */
int render_append(struct render *render, struct buffer *out, const struct message *message);

#endif
