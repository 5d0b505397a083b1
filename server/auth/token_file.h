/* The file of --token-file: random tokens for machines and scripts, a line each:
 *
 *     NAME sha256:HEX subscribe=PATTERN,PATTERN publish=PATTERN
 *
 * HEX is the SHA-256 of the token, so that reading the file reveals no token. A token has 256
 * random bits: its hash cannot be guessed from, and needs no salt and no slow hash. Blank lines and
 * lines that begin with '#' are passed over. A line that names no rights leaves them to [user NAME]
 * of the configuration. Immutable once read; may be used from any thread. */
#ifndef WS_SERVER_AUTH_TOKEN_FILE_H
#define WS_SERVER_AUTH_TOKEN_FILE_H

#include <stddef.h>

#include "common/base/error.h"
#include "server/auth/principal.h"

enum {
    TOKEN_FILE_MAX = 16 * 1024 * 1024, /* bytes of the file */
    TOKEN_FILE_TOKEN = 43,             /* characters of a token: 32 bytes in base64url */
    TOKEN_FILE_LINE = 512,             /* room for a line that token_file_new_token makes */
};

struct token_file {
    struct principal **principals; /* each with the hash of its token as credential */
    size_t count;
    void *_hashes; /* tsearch(3)'s tree of these credentials */
};

/* Reads the file into `*file`, which begins as {0} and is to be deinitialized in any case. Returns
 * 0, or a negative UV_E* code. Each line that is wrong is told to `complain` with FILE:LINE:, what
 * is wrong and what it should be; all of them, not just the first. */
int token_file_read(struct token_file *file, const char *path,
                    void (*complain)(void *context, const char *text), void *context);

void token_file_deinit(struct token_file *file);

/* The principal of a token, with a reference for the caller; NULL if there is none. How long it
 * takes depends on the number of lines, not on the token. */
struct principal *token_file_find(const struct token_file *file, const char *token, size_t len);

/* The principal of the line with this hash (PRINCIPAL_CREDENTIAL bytes), borrowed; NULL if there is
 * none. Only for hashes that came from such a file: the time it takes tells how alike they are. */
struct principal *token_file_find_hash(const struct token_file *file, const unsigned char *hash);

/* Draws a token, and writes the line that goes into the file: with rights for every channel.
 * Returns 0, UV_EINVAL if the name is none that a line can have, or UV_EIO if the random number
 * generator fails. */
int token_file_new_token(const char *name, char token[TOKEN_FILE_TOKEN + 1],
                         char line[TOKEN_FILE_LINE]);

/* Appends a line to the file, which is made, for its owner alone, if there is none. Returns 0, or a
 * negative UV_E* code with a text. */
int token_file_append(const char *path, const char *line, struct error *error);

#endif
