#include "server/auth/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/base64.h"
#include "common/base/escape.h"
#include "common/base/list.h"
#include "common/base/utf8.h"
#include "server/config/small_file.h"

#define HASH_PREFIX "sha256:"

/* One line, while it is read. */
struct line {
    const char *path;
    size_t number;
    void (*complain)(void *context, const char *text);
    void *context;
};

static int complain(const struct line *line, int status, const char *what, const char *of)
{
    char text[512], shown[128];

    (void) snprintf(text, sizeof text, "%s:%zu: %s%s%s%s", line->path, line->number, what,
                    of != NULL ? " '" : "",
                    of != NULL ? escape_text(shown, sizeof shown, of, strlen(of)) : "",
                    of != NULL ? "'" : "");
    line->complain(line->context, text);
    return status;
}

/* A name that a line and [user NAME] can have: one word, no '#' in front. */
static bool name_is_valid(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if ((unsigned char) *c <= ' ' || *c == 0x7f || *c == ']')
            return false;
    }
    return *name != '\0' && *name != '#' && strlen(name) <= PRINCIPAL_MAX_USER &&
           utf8_valid((const uint8_t *) name, strlen(name));
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

    return found != NULL ? (int) (found - digits) : -1;
}

static bool parse_hash(const char *text, unsigned char hash[SHA256_DIGEST_LENGTH])
{
    if (strncmp(text, HASH_PREFIX, strlen(HASH_PREFIX)) != 0)
        return false;
    text += strlen(HASH_PREFIX);
    if (strlen(text) != 2 * SHA256_DIGEST_LENGTH)
        return false;
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        hash[i] = (unsigned char) (high << 4 | low);
    }
    return true;
}

static int parse_patterns(const struct line *line, struct principal *principal,
                          enum principal_right right, char *list)
{
    int result = 0;

    while (list != NULL) {
        char *comma = strchr(list, ',');
        int status;

        if (comma != NULL)
            *comma++ = '\0';
        status = *list != '\0' ? principal_allow(principal, right, list) : 0;
        if (status == UV_EINVAL)
            result = complain(line, status, "this is not a channel pattern:", list);
        else if (status != 0)
            return complain(line, status, uv_strerror(status), NULL);
        list = comma;
    }
    return result;
}

static int parse_rights(const struct line *line, struct principal *principal, char *words)
{
    static const char *const names[PRINCIPAL_RIGHTS] = {"subscribe=", "publish="};
    char *save, *word;
    int result = 0;

    for (word = strtok_r(words, " \t", &save); word != NULL; word = strtok_r(NULL, " \t", &save)) {
        size_t right = 0;
        int status;

        while (right < PRINCIPAL_RIGHTS && strncmp(word, names[right], strlen(names[right])) != 0)
            right++;
        if (right < PRINCIPAL_RIGHTS)
            status = parse_patterns(line, principal, (enum principal_right) right,
                                    word + strlen(names[right]));
        else
            status =
                complain(line, UV_EINVAL,
                         "only subscribe=PATTERN,… and publish=PATTERN,… may follow, not", word);
        principal->rights_given = true;
        result = result != 0 ? result : status;
    }
    return result;
}

static int compare_hashes(const void *left, const void *right)
{
    return memcmp(left, right, SHA256_DIGEST_LENGTH);
}

struct principal *token_file_find_hash(const struct token_file *file, const unsigned char *hash)
{
    unsigned char **found = (unsigned char **) tfind(hash, &file->_hashes, compare_hashes);

    return found != NULL ? container_of(*found, struct principal, credential[0]) : NULL;
}

static int add_principal(struct token_file *file, struct principal *principal)
{
    struct principal **larger =
        realloc(file->principals, (file->count + 1) * sizeof *file->principals);

    if (larger == NULL)
        return UV_ENOMEM;
    file->principals = larger;
    if (tsearch(principal->credential, &file->_hashes, compare_hashes) == NULL)
        return UV_ENOMEM;
    file->principals[file->count++] = principal;
    return 0;
}

static int parse_line(struct token_file *file, const struct line *line, char *text)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct principal *principal;
    char *save, *name = strtok_r(text, " \t", &save), *word = strtok_r(NULL, " \t", &save);
    int status;

    if (!name_is_valid(name))
        return complain(line, UV_EINVAL, "this is not a user's name:", name);
    if (word == NULL || !parse_hash(word, hash))
        return complain(line, UV_EINVAL,
                        "behind the name there must be sha256: and 64 hexadecimal digits in lower "
                        "case; 'wsbroadcastd --new-token NAME' makes such a line",
                        NULL);
    if (token_file_find_hash(file, hash) != NULL)
        return complain(line, UV_EINVAL, "the same token stands in an earlier line", NULL);
    status = principal_new(&principal, name, strlen(name));
    if (status != 0)
        return complain(line, status, "this is not a user's name:", name);
    memcpy(principal->credential, hash, sizeof hash);
    status = parse_rights(line, principal, save);
    if (status == 0)
        status = add_principal(file, principal);
    if (status != 0)
        principal_unref(principal);
    return status;
}

static int parse_text(struct token_file *file, struct line *line, char *text, size_t len)
{
    char *end = text + len;
    int result = 0;

    for (line->number = 1; text < end; line->number++) {
        char *stop = memchr(text, '\n', (size_t) (end - text));
        char *next = stop != NULL ? stop + 1 : end;
        int status = 0;

        *(stop != NULL ? stop : end) = '\0';
        text[strcspn(text, "\r")] = '\0';
        text += strspn(text, " \t");
        if (*text != '\0' && *text != '#')
            status = parse_line(file, line, text);
        result = result != 0 ? result : status;
        text = next;
    }
    return result;
}

int token_file_read(struct token_file *file, const char *path,
                    void (*complain_to)(void *context, const char *text), void *context)
{
    struct line line = {.path = path, .complain = complain_to, .context = context};
    struct error error;
    size_t len;
    char *text;
    int status = small_file_read(path, TOKEN_FILE_MAX, &text, &len, &error);

    if (status != 0) {
        complain_to(context, error.text);
        return status;
    }
    if (memchr(text, '\0', len) != NULL)
        status = complain(&line, UV_EINVAL, "it has NUL bytes: it is not a text file", NULL);
    else
        status = parse_text(file, &line, text, len);
    free(text);
    return status;
}

void token_file_deinit(struct token_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        (void) tdelete(file->principals[i]->credential, &file->_hashes, compare_hashes);
        principal_unref(file->principals[i]);
    }
    free(file->principals);
    *file = (struct token_file){.count = 0};
}

struct principal *token_file_find(const struct token_file *file, const char *token, size_t len)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    size_t found = 0;

    SHA256((const unsigned char *) token, len, hash);
    for (size_t i = 0; i < file->count; i++) {
        /* all ones where it is the one: no branch depends on the token */
        size_t same =
            (size_t) 0 - (CRYPTO_memcmp(file->principals[i]->credential, hash, sizeof hash) == 0);

        found |= same & (i + 1);
    }
    return found > 0 ? principal_ref(file->principals[found - 1]) : NULL;
}

static int append(int fd, const char *line)
{
    struct stat file;
    char last = '\n', text[TOKEN_FILE_LINE + 2];
    int len;

    if (fstat(fd, &file) != 0 || (file.st_size > 0 && pread(fd, &last, 1, file.st_size - 1) != 1))
        return -errno;
    len = snprintf(text, sizeof text, "%s%s\n", last != '\n' ? "\n" : "", line);
    if (write(fd, text, (size_t) len) != len)
        return errno != 0 ? -errno : UV_EIO;
    return fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
}

int token_file_append(const char *path, const char *line, struct error *error)
{
    int fd, status;

    errno = 0;
    fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    status = fd >= 0 ? append(fd, line) : -errno;
    if (fd >= 0 && close(fd) != 0 && status == 0)
        status = -errno;
    return status == 0
               ? 0
               : error_set(error, status, "cannot append to %s: %s", path, uv_strerror(status));
}

int token_file_new_token(const char *name, char token[TOKEN_FILE_TOKEN + 1],
                         char line[TOKEN_FILE_LINE])
{
    unsigned char secret[32], hash[SHA256_DIGEST_LENGTH];
    char *text, hex[2 * SHA256_DIGEST_LENGTH + 1];

    if (!name_is_valid(name))
        return UV_EINVAL;
    if (RAND_bytes(secret, sizeof secret) != 1)
        return UV_EIO;
    text = base64url_encode(secret, sizeof secret);
    if (text == NULL)
        return UV_ENOMEM;
    (void) snprintf(token, TOKEN_FILE_TOKEN + 1, "%s", text);
    SHA256((const unsigned char *) token, TOKEN_FILE_TOKEN, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        (void) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    (void) snprintf(line, TOKEN_FILE_LINE, "%s " HASH_PREFIX "%s subscribe==,** publish==,**", name,
                    hex);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(text, TOKEN_FILE_TOKEN);
    free(text);
    return 0;
}
