/* The message that is waited for (--until): a POSIX extended regular expression, matched against
 * text messages. Characters are UTF-8, whatever the locale; a message may have NULs in it, which
 * are characters as any other. */
#ifndef WS_UNTIL_H
#define WS_UNTIL_H

#include <stdbool.h>

#include "client/message.h"
#include "common/error.h"

struct until;

/* Returns 0, UV_EINVAL with a text that says what is wrong with the expression, or UV_ENOMEM. */
int until_new(struct until **until, const char *expression, struct error *error);
void until_free(struct until *until);

/* Is this the message? A binary one never is. */
bool until_matches(const struct until *until, const struct message *message);

#endif
