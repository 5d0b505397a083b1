/* The message that is waited for (--until): a regular expression of PCRE2, searched in text
 * messages. Characters are UTF-8, whatever the locale; a message may have NULs and newlines in it,
 * which are characters as any other. An expression may need more time than there is for the
 * messages of a server that means ill, or well: each turn of the loop has 100 ms of CPU time for it
 * (and a little for each message, beyond), so that timers and signals are heard, and a match has
 * 32 MiB. What needs more is not matched. */
#ifndef WS_CLIENT_OUTPUT_UNTIL_H
#define WS_CLIENT_OUTPUT_UNTIL_H

#include <stdbool.h>
#include <stdint.h>

#include "client/output/message.h"
#include "common/base/error.h"

struct until;

/* Returns 0, UV_EINVAL with a text that says what is wrong with the expression, or UV_ENOMEM. */
int until_new(struct until **until, const char *expression, struct error *error);
void until_free(struct until *until);

/* Is this the message? A binary one never is. The text is valid UTF-8, as the decoder has seen to.
 * `turn` is the same for all messages of a turn of the loop, as uv_now is. The first one that needs
 * too much is told in a line on stderr. */
bool until_matches(struct until *until, const struct message *message, uint64_t turn);

#endif
