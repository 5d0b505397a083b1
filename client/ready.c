#include "client/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#ifdef WS_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "common/base/log.h"

static int init_fd(const struct client_options *options, struct error *error)
{
    int fd = (int) options->ready_fd;
    int status = 0;

    if (fd == 0)
        return 0;
    if (fcntl(fd, F_GETFD) < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
        status = error_set(error, UV_EBADF,
                           "option '--ready-fd': descriptor %d is not open for writing", fd);
    else if (fd > STDERR_FILENO)
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
    return status;
}

static int init_file(const struct client_options *options, struct error *error)
{
    const char *name = options->ready_file;
    struct stat found;

    if (name == NULL || lstat(name, &found) != 0)
        return 0;
    if (S_ISREG(found.st_mode) && unlink(name) == 0)
        return 0;
    return error_set(error, UV_EEXIST,
                     "option '--ready-file': cannot remove '%s' of another run: %s", name,
                     S_ISREG(found.st_mode) ? strerror(errno) : "it is no regular file");
}

int ready_init(struct ready *ready, const struct client_options *options, struct error *error)
{
    int status = init_fd(options, error);

    *ready = (struct ready){._options = options};
    return status == 0 ? init_file(options, error) : status;
}

static void tell_fd(int fd)
{
    static const char line[] = "ready\n";

    if (write(fd, line, sizeof line - 1) < 0)
        log_warn("cannot write to descriptor %d of --ready-fd: %s", fd, strerror(errno));
    if (fd > STDERR_FILENO)
        (void) close(fd);
}

/* Exclusively: it is of this run. */
static void tell_file(const char *name, const char *url)
{
    FILE *file = fopen(name, "wxe");
    bool failed = file == NULL || fprintf(file, "%s\n", url) < 0;

    if (file != NULL && fclose(file) != 0)
        failed = true;
    if (failed)
        log_warn("cannot write '%s' of --ready-file: %s", name, strerror(errno));
}

static void tell_manager(void)
{
#ifdef WS_SYSTEMD
    int status = sd_notify(1, "READY=1"); /* commands are not to tell it */

    if (status < 0)
        log_warn("cannot notify the service manager (NOTIFY_SOCKET): %s", strerror(-status));
#endif
}

void ready_tell(struct ready *ready, const char *url)
{
    if (ready->_told)
        return;
    ready->_told = true;
    if (ready->_options->ready_fd != 0)
        tell_fd((int) ready->_options->ready_fd);
    if (ready->_options->ready_file != NULL)
        tell_file(ready->_options->ready_file, url);
    tell_manager();
}
