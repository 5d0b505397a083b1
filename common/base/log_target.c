#include "common/base/log_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

bool log_target_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char *end;
    unsigned long long device, inode;

    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    errno = 0;
    device = strtoull(stream, &end, 10);
    if (*end != ':' || end == stream)
        return false;
    stream = end + 1;
    inode = strtoull(stream, &end, 10);
    return errno == 0 && end != stream && *end == '\0' && device == status.st_dev &&
           inode == status.st_ino;
}

enum log_prefix log_target_prefix(void)
{
    struct stat status;

    if (log_target_is_journal())
        return LOG_PREFIX_JOURNAL;
    if (isatty(STDERR_FILENO) || (fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode)))
        return LOG_PREFIX_TIME;
    return LOG_PREFIX_PROGRAM;
}

int log_target_open(const char *path)
{
    int fd;

    do
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : uv_translate_sys_error(errno);
}
