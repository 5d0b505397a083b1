#include "server/auth/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static int cannot_read(const char *path, int status, struct error *error)
{
    return error_set(error, status, "cannot read %s: %s", path, uv_strerror(status));
}

/* Reads up to `most` + 1 bytes, so that one too many is noticed however the file grows. */
static int read_all(int fd, char *text, size_t most, size_t *len)
{
    *len = 0;
    while (*len <= most) {
        ssize_t got = read(fd, text + *len, most + 1 - *len);

        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return uv_translate_sys_error(errno);
        *len += got > 0 ? (size_t) got : 0;
    }
    return UV_EFBIG;
}

int small_file_read(const char *path, size_t most, char **text, size_t *len, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is not waited for */
    struct stat info;
    int status = 0;

    if (fd < 0)
        return cannot_read(path, uv_translate_sys_error(errno), error);
    *text = NULL;
    if (fstat(fd, &info) != 0)
        status = uv_translate_sys_error(errno);
    else if (!S_ISREG(info.st_mode))
        status = S_ISDIR(info.st_mode) ? UV_EISDIR : UV_EINVAL;
    if (status == 0) {
        *text = malloc(most + 2);
        status = *text != NULL ? read_all(fd, *text, most, len) : UV_ENOMEM;
    }
    (void) close(fd);
    if (status == 0) {
        (*text)[*len] = '\0';
        return 0;
    }
    free(*text);
    if (status == UV_EFBIG)
        return error_set(error, status, "%s has more than %zu bytes", path, most);
    return cannot_read(path, status, error);
}
