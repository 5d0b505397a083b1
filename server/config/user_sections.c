#include "server/config/user_sections.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char *const rights[PRINCIPAL_RIGHTS] = {"subscribe", "publish"};

static const struct user_section *find(const struct user_sections *sections, const char *name)
{
    for (size_t i = 0; i < sections->count; i++) {
        if (strcmp(sections->list[i].name, name) == 0)
            return &sections->list[i];
    }
    return NULL;
}

/* Makes room for one more. False when out of memory. */
static bool grow(struct user_sections *sections)
{
    size_t count = sections->count + 1;
    struct user_section *list = realloc(sections->list, count * sizeof *list);
    struct principal **principals;

    if (list == NULL)
        return false;
    sections->list = list;
    principals = realloc(sections->principals, count * sizeof(struct principal *));
    if (principals == NULL)
        return false;
    sections->principals = principals;
    return true;
}

void user_sections_begin(struct user_sections *sections, const char *name, size_t line,
                         const struct config_errors *errors)
{
    const struct user_section *before = find(sections, name);
    struct principal *principal;
    char what[64];
    int status;

    if (before != NULL) {
        (void) snprintf(what, sizeof what, " has a section in line %zu already", before->line);
        config_errors_word(errors, line, name, what);
    }
    if (sections->count == USER_SECTIONS_MAX)
        errors->complain(errors->context, line, "there are too many sections of users");
    status = sections->count < USER_SECTIONS_MAX && grow(sections)
                 ? principal_new(&principal, name, strlen(name))
                 : UV_ENOMEM;
    if (status == UV_EINVAL)
        config_errors_word(errors, line, name, " is not a user's name");
    else if (status != 0)
        config_errors_memory(errors, line);
    if (status != 0)
        return;
    sections->list[sections->count] = (struct user_section){.name = name, .line = line};
    sections->principals[sections->count++] = principal;
}

/* One pattern of a list, with what surrounds it. */
static void add_pattern(struct principal *principal, enum principal_right right, const char *text,
                        size_t len, size_t line, const struct config_errors *errors)
{
    char pattern[300];
    int status = UV_EINVAL;

    while (len > 0 && strchr(" \t", *text) != NULL) {
        text++;
        len--;
    }
    while (len > 0 && strchr(" \t", text[len - 1]) != NULL)
        len--;
    if (len == 0)
        return;
    (void) snprintf(pattern, sizeof pattern, "%.*s", (int) len, text);
    if (len < sizeof pattern)
        status = principal_allow(principal, right, pattern);
    if (status == UV_EINVAL)
        config_errors_word(errors, line, pattern, " is not a pattern of channels");
    else if (status == UV_E2BIG)
        errors->complain(errors->context, line, "at most 64 patterns can be given for a right");
    else if (status != 0)
        config_errors_memory(errors, line);
}

void user_sections_add(struct user_sections *sections, const char *name, const char *value,
                       size_t line, const struct config_errors *errors)
{
    struct user_section *section;
    size_t right = 0;
    char what[64];

    while (right < PRINCIPAL_RIGHTS && strcmp(name, rights[right]) != 0)
        right++;
    if (right == PRINCIPAL_RIGHTS) {
        config_errors_word(errors, line, name,
                           " is not a setting of a user: write subscribe = PATTERN, ... or publish "
                           "= PATTERN, ...");
        return;
    }
    if (sections->count == 0) /* the section was refused */
        return;
    section = &sections->list[sections->count - 1];
    if (section->rights[right] != NULL) {
        (void) snprintf(what, sizeof what, " stands in line %zu already", section->lines[right]);
        config_errors_word(errors, line, name, what);
        return;
    }
    section->rights[right] = value;
    section->lines[right] = line;
    while (*value != '\0') {
        size_t len = strcspn(value, ",");

        add_pattern(sections->principals[sections->count - 1], (enum principal_right) right, value,
                    len, line, errors);
        value += len;
        value += *value == ',' ? 1 : 0;
    }
}

void user_sections_deinit(struct user_sections *sections)
{
    for (size_t i = 0; i < sections->count; i++)
        principal_unref(sections->principals[i]);
    free(sections->principals);
    free(sections->list);
    *sections = (struct user_sections){.count = 0};
}
