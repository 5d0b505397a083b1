#include "client/options/string_list.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

int string_list_add(struct string_list *list, const char *text, size_t len)
{
    char **items = realloc((void *) list->items, (list->count + 1) * sizeof *items);

    if (items == NULL)
        return UV_ENOMEM;
    list->items = items;
    items[list->count] = strndup(text, len);
    if (items[list->count] == NULL)
        return UV_ENOMEM;
    list->count++;
    return 0;
}

void string_list_deinit(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free((void *) list->items);
    *list = (struct string_list){0};
}
