/* Strings of an option that may be given several times. */
#ifndef WS_CLIENT_OPTIONS_STRING_LIST_H
#define WS_CLIENT_OPTIONS_STRING_LIST_H

#include <stddef.h>

struct string_list {
    char **items; /* the list's own */
    size_t count;
};

/* Copies `len` bytes of text to the end. Returns 0 or UV_ENOMEM. */
int string_list_add(struct string_list *list, const char *text, size_t len);
void string_list_deinit(struct string_list *list);

#endif
