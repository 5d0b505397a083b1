/* The messages that are sent on each connect. */
#ifndef WS_CLIENT_OPTIONS_MESSAGE_LIST_H
#define WS_CLIENT_OPTIONS_MESSAGE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

struct message_item {
    struct buffer content; /* the list's own */
    bool of_file;          /* and has the newline at its end, if any */
};

struct message_list {
    struct message_item *items;
    size_t count;
};

/* Copies a text to the end. Returns 0, or UV_ENOMEM with a text. */
int message_list_add(struct message_list *list, const char *text, struct error *error);

/* Reads a file, "-" for standard input, of 16 MiB at the most, to the end of the list. Returns 0,
 * UV_EINVAL or another UV_E* code, with a text. */
int message_list_add_file(struct message_list *list, const char *name, struct error *error);

/* Checks that they are texts (UTF-8), and takes the newline at the end of files off. Returns 0, or
 * UV_EINVAL with a text. */
int message_list_settle_text(struct message_list *list, struct error *error);
void message_list_deinit(struct message_list *list);

#endif
