#include "client/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include <zlib.h>

#include "client/place.h"

enum {
    RECORD = 64,       /* bytes: */
    ID_WIDTH = 37,     /*   the ID and spaces, a space, */
    NUMBER_WIDTH = 16, /*   the number of the record, in hexadecimal, a space, */
    CHECKED = 54,      /*   all of which is what */
    CRC_WIDTH = 8,     /*   the CRC-32 is of; and a newline */
    HEAD = 3 * RECORD, /* the first line, which has as many bytes, and both records */
    MODE = 0666,       /* less the umask */
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

/* No place is known yet. */
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
    if (place_parse(record, strcspn(record, " "), id) != 0)
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

static int open_file(struct state_file *file, struct error *error)
{
    struct stat stat;

    /* Opening a FIFO is not to wait for somebody. */
    file->_fd = open(file->_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, MODE);
    if (file->_fd < 0 || fstat(file->_fd, &stat) != 0)
        return failure(file, "open", errno, error);
    if (!S_ISREG(stat.st_mode))
        return error_set(error, UV_EINVAL, "the state file '%s' is not a regular file",
                         file->_name);
    if (flock(file->_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return failure(file, "lock", errno, error);
    return error_set(error, UV_EBUSY,
                     "the state file '%s' is in use by another wsrecv: give each its own",
                     file->_name);
}

/* An empty file becomes one without a place. */
static int begin_file(struct state_file *file, struct error *error)
{
    char *text = NULL;
    int len =
        asprintf(&text, "%s%*s\n%*s\n%s\n", title, RECORD - 1, "", RECORD - 1, "", file->_url);
    ssize_t written;

    if (len < 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    written = pwrite(file->_fd, text, (size_t) len, 0);
    free(text);
    if (written == len)
        return 0;
    return failure(file, "write", written < 0 ? errno : ENOSPC, error);
}

/* What is behind the records: the URL and a newline. */
static int check_url(const struct state_file *file, const char *found, struct error *error)
{
    const char *url = file->_url;
    size_t len = strcspn(found, "\n");

    if (found[len] == '\n' && strlen(url) == len && memcmp(found, url, len) == 0)
        return 0;
    return error_set(error, UV_EINVAL,
                     "the state file '%s' is that of another URL than %s: give each its own",
                     file->_name, url);
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
    size_t size = HEAD + strlen(file->_url) + 1;
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

    *file = (struct state_file){._fd = -1, ._name = name, ._url = url};
    *known = false;
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
    ssize_t n;

    write_record(record, id, number);
    do {
        n = pwrite(file->_fd, record, RECORD, at);
    } while (n < 0 && errno == EINTR);
    if (n != RECORD)
        return n < 0 ? uv_translate_sys_error(errno) : UV_ENOSPC;
    file->_records = number;
    return 0;
}

void state_file_close(struct state_file *file)
{
    if (file->_fd >= 0)
        (void) close(file->_fd);
    file->_fd = -1;
}
