#include "client/until.h"

#include <limits.h>
#include <locale.h>
#include <regex.h>
#include <stdlib.h>
#include <uv.h>

struct until {
    regex_t regex;
    locale_t locale; /* (locale_t) 0: there is none with UTF-8, and characters are bytes */
};

static locale_t enter(const struct until *until)
{
    return until->locale != (locale_t) 0 ? uselocale(until->locale) : (locale_t) 0;
}

static void leave(locale_t before)
{
    if (before != (locale_t) 0)
        (void) uselocale(before);
}

int until_new(struct until **until, const char *expression, struct error *error)
{
    struct until *fresh = calloc(1, sizeof *fresh);
    char why[256];
    locale_t before;
    int status;

    if (fresh == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    fresh->locale = newlocale(LC_CTYPE_MASK | LC_COLLATE_MASK, "C.UTF-8", (locale_t) 0);
    before = enter(fresh);
    status = regcomp(&fresh->regex, expression, REG_EXTENDED | REG_NOSUB);
    leave(before);
    if (status == 0) {
        *until = fresh;
        return 0;
    }
    (void) regerror(status, &fresh->regex, why, sizeof why);
    if (fresh->locale != (locale_t) 0)
        freelocale(fresh->locale);
    free(fresh);
    return error_set(error, UV_EINVAL, "'%s' is no extended regular expression: %s", expression,
                     why);
}

void until_free(struct until *until)
{
    if (until == NULL)
        return;
    regfree(&until->regex);
    if (until->locale != (locale_t) 0)
        freelocale(until->locale);
    free(until);
}

/* The message is matched where it lies, by its length: REG_STARTEND, which POSIX has not, but glibc
 * and the BSDs have. */
bool until_matches(const struct until *until, const struct message *message)
{
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t) message->len};
    const char *text = message->data != NULL ? (const char *) message->data : "";
    locale_t before;
    int status;

    if (message->opcode != FRAME_TEXT || message->len > INT_MAX)
        return false;
    before = enter(until);
    status = regexec(&until->regex, text, 1, &range, REG_STARTEND);
    leave(before);
    return status == 0;
}
