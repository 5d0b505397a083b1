#include "server/syntax/pattern.h"

#include <stddef.h>
#include <string.h>

#include "common/base/utf8.h"

static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-._~!$&'()+:@*/";

/* The end of the part of a name or pattern that begins here. */
static const char *part_end(const char *part)
{
    return part + strcspn(part, "/");
}

static bool is_rest(const char *part)
{
    return strcmp(part, "**") == 0;
}

static bool part_is_valid(const char *part, size_t len)
{
    if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (part[i] == '*' && i + 1 < len && part[i + 1] == '*')
            return false;
        if ((unsigned char) part[i] < 0x80 && strchr(allowed, part[i]) == NULL)
            return false;
    }
    return true;
}

bool pattern_is_valid(const char *pattern)
{
    size_t len = strlen(pattern);

    if (strcmp(pattern, "=") == 0)
        return true;
    if (len > PATTERN_MAX || !utf8_valid((const uint8_t *) pattern, len))
        return false;
    for (;;) {
        const char *end = part_end(pattern);

        if (is_rest(pattern))
            return true;
        if (!part_is_valid(pattern, (size_t) (end - pattern)))
            return false;
        if (*end == '\0')
            return true;
        pattern = end + 1;
    }
}

/* One part of a pattern against one of a name: a mismatch goes back to the last star only, as what
 * an earlier one could match the last one can, too. */
static bool part_matches(const char *pattern, const char *pattern_end, const char *name,
                         const char *name_end)
{
    const char *star = NULL, *again = NULL;

    while (name < name_end) {
        if (pattern < pattern_end && *pattern == '*') {
            star = pattern++;
            again = name;
        } else if (pattern < pattern_end && *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star + 1;
            name = ++again;
        } else {
            return false;
        }
    }
    while (pattern < pattern_end && *pattern == '*')
        pattern++;
    return pattern == pattern_end;
}

bool pattern_matches(const char *pattern, const char *name)
{
    if (*name == '\0' || strcmp(pattern, "=") == 0)
        return *name == '\0' && strcmp(pattern, "=") == 0;
    for (;;) {
        const char *pattern_stop = part_end(pattern), *name_stop = part_end(name);

        if (is_rest(pattern))
            return true;
        if (!part_matches(pattern, pattern_stop, name, name_stop))
            return false;
        if (*pattern_stop == '\0' || *name_stop == '\0')
            return *pattern_stop == *name_stop;
        pattern = pattern_stop + 1;
        name = name_stop + 1;
    }
}

/* A star of the narrow pattern is matched as if it were a byte of a name: only a star of the wide
 * one matches that. */
bool pattern_covers(const char *wide, const char *narrow)
{
    size_t len = strlen(narrow);

    if (strcmp(narrow, "=") == 0 || strcmp(wide, "=") == 0)
        return strcmp(narrow, wide) == 0;
    if (len >= 2 && is_rest(narrow + len - 2) &&
        !(strlen(wide) >= 2 && is_rest(wide + strlen(wide) - 2)))
        return false;
    return pattern_matches(wide, narrow);
}
