#include "client/options/message_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/utf8.h"

enum { MAX_FILE = 16 * 1024 * 1024 };

static struct message_item *append(struct message_list *list)
{
    struct message_item *items = realloc(list->items, (list->count + 1) * sizeof *items);

    if (items == NULL)
        return NULL;
    list->items = items;
    items[list->count] = (struct message_item){.of_file = false};
    if (buffer_reserve(&items[list->count].content, 1) != 0) /* data is not NULL */
        return NULL;
    return &items[list->count++];
}

int message_list_add(struct message_list *list, const char *text, struct error *error)
{
    struct message_item *item = append(list);

    if (item == NULL || buffer_append(&item->content, text, strlen(text)) != 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    return 0;
}

/* Returns 0, or a negative UV_E* code: UV_EFBIG for what is too long. */
static int read_all(struct buffer *content, FILE *file)
{
    char chunk[16 * 1024];
    size_t len;

    while ((len = fread(chunk, 1, sizeof chunk, file)) > 0) {
        if (content->len + len > MAX_FILE)
            return UV_EFBIG;
        if (buffer_append(content, chunk, len) != 0)
            return UV_ENOMEM;
    }
    return ferror(file) != 0 ? uv_translate_sys_error(errno) : 0;
}

int message_list_add_file(struct message_list *list, const char *name, struct error *error)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "re");
    int status = file != NULL ? 0 : uv_translate_sys_error(errno);
    struct message_item *item = status == 0 ? append(list) : NULL;

    if (status == 0)
        status = item != NULL ? read_all(&item->content, file) : UV_ENOMEM;
    if (item != NULL)
        item->of_file = true;
    if (!standard && file != NULL)
        (void) fclose(file);
    if (status == UV_EFBIG)
        return error_set(error, status, "'%s' has more than the 16 MiB of a message", name);
    return status == 0
               ? 0
               : error_set(error, status, "cannot read '%s': %s", name, uv_strerror(status));
}

int message_list_settle_text(struct message_list *list, struct error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        struct buffer *content = &list->items[i].content;
        const char *option = list->items[i].of_file ? "--message-file" : "--message";

        if (!utf8_valid(content->data, content->len))
            return error_set(error, UV_EINVAL,
                             "option '%s': a text message must be UTF-8; for other bytes there is "
                             "--message-binary",
                             option);
        if (list->items[i].of_file && content->len > 0 && content->data[content->len - 1] == '\n')
            content->len--;
    }
    return 0;
}

void message_list_deinit(struct message_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buffer_deinit(&list->items[i].content);
    free(list->items);
    *list = (struct message_list){.count = 0};
}
