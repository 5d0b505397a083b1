#include "server/auth/principal.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/base/utf8.h"
#include "server/syntax/pattern.h"

static bool user_valid(const char *user, size_t len)
{
    if (len > PRINCIPAL_MAX_USER)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char) user[i] < ' ' || user[i] == 0x7f)
            return false;
    }
    return utf8_valid((const uint8_t *) user, len);
}

int principal_new(struct principal **principal, const char *user, size_t user_len)
{
    struct principal *fresh;

    if (!user_valid(user, user_len))
        return UV_EINVAL;
    fresh = calloc(1, sizeof *fresh + user_len + 1);
    if (fresh == NULL)
        return UV_ENOMEM;
    atomic_init(&fresh->_refs, 1);
    memcpy(fresh->user, user, user_len);
    *principal = fresh;
    return 0;
}

int principal_allow(struct principal *principal, enum principal_right right, const char *pattern)
{
    char **list = principal->patterns[right], **larger;
    size_t count = 0;

    if (!pattern_is_valid(pattern))
        return UV_EINVAL;
    while (list != NULL && list[count] != NULL)
        count++;
    if (count == PRINCIPAL_MAX_PATTERNS)
        return UV_E2BIG;
    larger = realloc(list, (count + 2) * sizeof *larger);
    if (larger == NULL)
        return UV_ENOMEM;
    principal->patterns[right] = larger;
    larger[count] = strdup(pattern);
    larger[count + 1] = NULL;
    return larger[count] != NULL ? 0 : UV_ENOMEM;
}

struct principal *principal_ref(struct principal *principal)
{
    if (principal != NULL)
        atomic_fetch_add_explicit(&principal->_refs, 1, memory_order_relaxed);
    return principal;
}

void principal_unref(struct principal *principal)
{
    if (principal == NULL ||
        atomic_fetch_sub_explicit(&principal->_refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t right = 0; right < PRINCIPAL_RIGHTS; right++) {
        for (char **pattern = principal->patterns[right]; pattern != NULL && *pattern != NULL;
             pattern++)
            free(*pattern);
        free(principal->patterns[right]);
    }
    free(principal);
}

bool principal_may(const struct principal *principal, enum principal_right right,
                   const char *channel)
{
    if (principal == NULL)
        return false;
    for (char **pattern = principal->patterns[right]; pattern != NULL && *pattern != NULL;
         pattern++) {
        if (pattern_matches(*pattern, channel))
            return true;
    }
    return false;
}

static int compare_patterns(char **left, char **right)
{
    int order = 0;

    if (left == NULL || right == NULL)
        return (left != NULL) - (right != NULL);
    for (; order == 0 && *left != NULL && *right != NULL; left++, right++)
        order = strcmp(*left, *right);
    return order != 0 ? order : (*left != NULL) - (*right != NULL);
}

int principal_compare(const struct principal *left, const struct principal *right)
{
    int order = strcmp(left->user, right->user);

    if (order == 0)
        order = memcmp(left->credential, right->credential, sizeof left->credential);
    if (order == 0)
        order = (int) left->origin - (int) right->origin;
    if (order == 0)
        order = (int) left->rights_given - (int) right->rights_given;
    for (size_t i = 0; order == 0 && i < PRINCIPAL_RIGHTS; i++)
        order = compare_patterns(left->patterns[i], right->patterns[i]);
    return order;
}
