#include "client/resume/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <zlib.h>

#include "client/resume/position.h"
#include "common/http/secret.h"

enum {
    RECORD = 64,       /* bytes: */
    ID_WIDTH = 37,     /*   the ID and spaces, a space, */
    NUMBER_WIDTH = 16, /*   the number of the record, in hexadecimal, a space, */
    CHECKED = 54,      /*   all of which is what */
    CRC_WIDTH = 8,     /*   the CRC-32 is of; and a newline */
    HEAD = 3 * RECORD, /* the first line, which has as many bytes, and both records */
    MODE = 0600,
    HASH = 16,          /* bytes of SHA-256 that tell URLs apart */
    CHECK_INTERVAL = 5, /* milliseconds between two looks at the name: each takes as a store */
    MAX_OPENINGS = 3,   /* while others remove the file at the same moment */
};

static const char title[] = "wsrecv --state-file: two records, the newer whole one counts   \n";

_Static_assert(sizeof title == RECORD + 1, "the first line is as long as a record");
_Static_assert(ID_WIDTH == EVENT_ID_SIZE - 1, "every ID fits in");

/* ---- records ---- */

static uint32_t checksum(const char *record)
{
    return (uint32_t) crc32(0, (const Bytef *) record, CHECKED);
}

static void write_record(char out[RECORD + 1], struct event_id id, uint64_t number)
{
    char text[EVENT_ID_SIZE];

    (void) snprintf(out, RECORD + 1, "%-*s %0*" PRIx64, ID_WIDTH, event_id_print(id, text),
                    NUMBER_WIDTH, number);
    (void) snprintf(out + CHECKED, RECORD + 1 - CHECKED, " %0*" PRIx32 "\n", CRC_WIDTH,
                    checksum(out));
}

/* No position is known yet. */
static bool is_blank(const char *record)
{
    return strspn(record, " ") >= RECORD - 1 && record[RECORD - 1] == '\n';
}

/* False for one that is not whole. */
static bool read_record(const char *record, struct event_id *id, uint64_t *number)
{
    char whole[RECORD + 1];
    char digits[NUMBER_WIDTH + 1] = "";

    memcpy(digits, record + ID_WIDTH + 1, NUMBER_WIDTH);
    *number = strtoull(digits, NULL, 16);
    if (position_parse(record, strcspn(record, " "), id) != 0)
        return false;
    write_record(whole, *id, *number);
    return memcmp(whole, record, RECORD) == 0;
}

/* Finds the newest whole record of both. Returns 0, or UV_EINVAL when none is whole and one at
 * least has been written. */
static int read_records(struct state_file *file, const char *head, struct event_id *id, bool *known)
{
    bool blank = true;

    for (size_t at = RECORD; at < HEAD; at += RECORD) {
        struct event_id found;
        uint64_t number;

        blank = blank && is_blank(head + at);
        if (!read_record(head + at, &found, &number) || (*known && number < file->_records))
            continue;
        *id = found;
        file->_records = number;
        *known = true;
    }
    return *known || blank ? 0 : UV_EINVAL;
}

/* ---- the file ---- */

static int failure(const struct state_file *file, const char *what, int code, struct error *error)
{
    int status = uv_translate_sys_error(code);

    return error_set(error, status, "cannot %s the state file '%s': %s", what, file->_name,
                     uv_strerror(status));
}

/* What is called by the name now is the file that is open, and locked. Returns 0, UV_ENOENT when it
 * was removed, or UV_EEXIST when another one stands there. */
static int check_name(const struct state_file *file)
{
    struct stat now;

    if (lstat(file->_name, &now) != 0)
        return UV_ENOENT;
    return now.st_dev == file->_device && now.st_ino == file->_inode ? 0 : UV_EEXIST;
}

/* The same, now and then. */
static int check_name_in_time(struct state_file *file)
{
    struct timespec time = {0};
    int64_t now;
    int status;

    (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &time); /* no system call */
    now = (int64_t) time.tv_sec * 1000 + time.tv_nsec / 1000000;
    if (file->_checked > 0 && now - file->_checked < CHECK_INTERVAL)
        return 0;
    status = check_name(file);
    file->_checked = status == 0 ? now : 0;
    return status;
}

static int lock_file(const struct state_file *file, struct error *error)
{
    if (flock(file->_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return failure(file, "lock", errno, error);
    return error_set(error, UV_EBUSY,
                     "the state file '%s' is in use by another wsrecv: give each its own",
                     file->_name);
}

static int open_once(struct state_file *file, struct error *error)
{
    struct stat stat;

    /* Opening a FIFO must not block; a symbolic link must not choose the file. */
    file->_fd =
        open(file->_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, MODE);
    if (file->_fd < 0 && errno == ELOOP)
        return error_set(error, UV_ELOOP,
                         "the state file '%s' is a symbolic link: name the file itself",
                         file->_name);
    if (file->_fd < 0 || fstat(file->_fd, &stat) != 0)
        return failure(file, "open", errno, error);
    if (!S_ISREG(stat.st_mode))
        return error_set(error, UV_EINVAL, "the state file '%s' is not a regular file",
                         file->_name);
    file->_device = stat.st_dev;
    file->_inode = stat.st_ino;
    if ((stat.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        (void) fchmod(file->_fd, MODE); /* else it stays what its owner has made it */
    return lock_file(file, error);
}

/* Between opening and locking it may be removed: then no other process would meet our lock. */
static int open_file(struct state_file *file, struct error *error)
{
    for (int i = 0; i < MAX_OPENINGS; i++) {
        int status = open_once(file, error);

        if (status != 0 || check_name(file) == 0)
            return status;
        (void) close(file->_fd);
    }
    file->_fd = -1;
    return error_set(error, UV_EBUSY, "the state file '%s' is removed again and again",
                     file->_name);
}

/* A part of the beginning would be no state file. */
static void cut_to_nothing(const struct state_file *file)
{
    if (ftruncate(file->_fd, 0) != 0)
        return; /* the next run says what it is */
}

/* An empty file becomes one without a position. */
static int begin_file(struct state_file *file, struct error *error)
{
    char *text = NULL;
    int len =
        asprintf(&text, "%s%*s\n%*s\n%s\n", title, RECORD - 1, "", RECORD - 1, "", file->_key);
    ssize_t written;
    int status = 0;

    if (len < 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    written = pwrite(file->_fd, text, (size_t) len, 0);
    if (written != len)
        status = failure(file, "write", written < 0 ? errno : ENOSPC, error);
    free(text);
    if (status != 0)
        cut_to_nothing(file);
    return status;
}

/* What is behind the records, and a newline: the URL; or, where people may not see all of it, what
 * they may, and a hash of the whole. */
static char *key_of(const char *url)
{
    size_t size = SECRET_MASKED_SIZE(strlen(url));
    char *shown = malloc(size + sizeof " sha256:" + 2 * HASH);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t len;

    if (shown == NULL || strcmp(secret_mask(shown, size, url, strlen(url)), url) == 0)
        return shown;
    (void) SHA256((const unsigned char *) url, strlen(url), digest);
    len = strlen(shown);
    len += (size_t) snprintf(shown + len, sizeof " sha256:", " sha256:");
    for (size_t i = 0; i < HASH; i++, len += 2)
        (void) snprintf(shown + len, 3, "%02x", digest[i]);
    return shown;
}

static int check_url(const struct state_file *file, const char *found, struct error *error)
{
    const char *key = file->_key;
    size_t len = strcspn(found, "\n");

    if (found[len] == '\n' && strlen(key) == len && memcmp(found, key, len) == 0)
        return 0;
    return error_set(error, UV_EINVAL,
                     "the state file '%s' is that of another URL than %.*s: give each its own",
                     file->_name, (int) strcspn(key, " "), key);
}

/* `text`, NUL-terminated, is the file, or more of it than it should have. */
static int read_file(struct state_file *file, const char *text, size_t len, struct event_id *id,
                     bool *known, struct error *error)
{
    if (len <= HEAD || memcmp(text, title, RECORD) != 0)
        return error_set(error, UV_EINVAL,
                         "'%s' is not a state file of wsrecv: choose another name", file->_name);
    if (check_url(file, text + HEAD, error) != 0)
        return UV_EINVAL;
    if (read_records(file, text, id, known) != 0)
        return error_set(error, UV_EINVAL,
                         "the state file '%s' is damaged: remove it to begin anew, or see --since",
                         file->_name);
    return 0;
}

static int load_file(struct state_file *file, struct event_id *id, bool *known, struct error *error)
{
    size_t size = HEAD + strlen(file->_key) + 1;
    char *text = calloc(1, size + 1);
    ssize_t len;
    int status;

    if (text == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    len = pread(file->_fd, text, size, 0);
    if (len < 0)
        status = failure(file, "read", errno, error);
    else if (len == 0)
        status = begin_file(file, error);
    else
        status = read_file(file, text, (size_t) len, id, known, error);
    free(text);
    return status;
}

int state_file_open(struct state_file *file, const char *name, const char *url, struct event_id *id,
                    bool *known, struct error *error)
{
    int status;

    *file = (struct state_file){._fd = -1, ._name = name, ._key = key_of(url)};
    *known = false;
    if (file->_key == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    status = open_file(file, error);
    if (status == 0)
        status = load_file(file, id, known, error);
    if (status != 0)
        state_file_close(file);
    return status;
}

int state_file_store(struct state_file *file, struct event_id id)
{
    char record[RECORD + 1];
    uint64_t number = file->_records + 1;
    off_t at = (off_t) (RECORD + RECORD * (number % 2));
    int status = check_name_in_time(file);
    ssize_t n;

    if (status != 0)
        return status;
    write_record(record, id, number);
    do {
        n = pwrite(file->_fd, record, RECORD, at);
    } while (n < 0 && errno == EINTR);
    if (n != RECORD)
        return n < 0 ? uv_translate_sys_error(errno) : UV_ENOSPC;
    file->_records = number;
    return 0;
}

const char *state_file_strerror(int status)
{
    switch (status) {
    case UV_ENOENT:
        return "it was removed while in use";
    case UV_EEXIST:
        return "it was replaced while in use";
    default:
        return uv_strerror(status);
    }
}

bool state_file_is_full(int status)
{
    return status == UV_ENOSPC || status == UV_EFBIG || status == uv_translate_sys_error(EDQUOT);
}

void state_file_close(struct state_file *file)
{
    if (file->_fd >= 0)
        (void) close(file->_fd);
    free(file->_key);
    file->_fd = -1;
    file->_key = NULL;
}
