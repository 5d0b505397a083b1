/* JSON for people to read: on one line or indented, with or without colour. Nothing of it is
 * changed but its white space: numbers keep their digits, members their order. Pure. */
#ifndef WS_CLIENT_OUTPUT_JSON_VIEW_H
#define WS_CLIENT_OUTPUT_JSON_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"

struct json_view {
    bool pretty;  /* a member a line, indented by two spaces; else all on one line */
    bool colour;  /* with escape sequences of ANSI terminals */
    bool escaped; /* strings are shown without what would act on a terminal */
};

/* True for an object or an array of at most 1 MiB, and nothing but white space around it. */
bool json_view_is_for(const void *text, size_t len);

/* Appends such a text. Returns 0 or UV_ENOMEM. */
int json_view_append(const struct json_view *view, struct buffer *out, const void *text,
                     size_t len);

/* True where colour is wanted on a terminal: not with NO_COLOR or CLICOLOR=0, or where TERM is
 * dumb; always with CLICOLOR_FORCE. `terminal` is true if there is one. */
bool json_view_wants_colour(bool terminal);

#endif
