#include "server/net/unix_socket.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "common/cli/options.h"

static int last_error(void)
{
    return uv_translate_sys_error(errno);
}

/* The path exists. Removes a socket that no process listens on; else returns why it stays. */
static int remove_stale(const struct sockaddr_un *address)
{
    const char *path = address->sun_path;
    struct stat file;
    int fd, status;

    if (lstat(path, &file) != 0)
        return last_error();
    if (!S_ISSOCK(file.st_mode))
        return UV_EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return last_error();
    status =
        connect(fd, (const struct sockaddr *) address, sizeof *address) == 0 ? 0 : last_error();
    (void) close(fd);
    if (status == UV_EACCES || status == UV_EPERM)
        return status;
    if (status != UV_ECONNREFUSED) /* it answers, or is too busy to */
        return UV_EADDRINUSE;
    return unlink(path) == 0 ? 0 : last_error();
}

/* Makes the file, with just this mode. No thread is there yet that would make another meanwhile. */
static int bind_unix(int fd, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(~mode & 0777);
    int status =
        bind(fd, (const struct sockaddr *) address, sizeof *address) == 0 ? 0 : last_error();

    (void) umask(before);
    return status;
}

/* Clients cannot connect before it listens: mode and group are set first. */
static int open_at(const struct sockaddr_un *address, const struct listen_address *where,
                   gid_t group, int backlog, int *fd)
{
    int status;

    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return last_error();
    status = bind_unix(*fd, address, where->mode);
    if (status == UV_EADDRINUSE) {
        status = remove_stale(address);
        if (status == 0)
            status = bind_unix(*fd, address, where->mode);
    }
    if (status != 0)
        goto fail_bind;
    if (where->group[0] != '\0' && lchown(where->path, (uid_t) -1, group) != 0)
        status = last_error();
    if (status == 0 && listen(*fd, backlog) != 0)
        status = last_error();
    if (status == 0)
        return 0;
    (void) unlink(where->path);
fail_bind:
    (void) close(*fd);
    return status;
}

/* The number of a group; 0 when none is named. Returns 0, or UV_ENOENT when there is no such. */
static int find_group(const char *name, gid_t *group)
{
    // cppcheck-suppress getgrnamCalled ; there is one thread at the start
    const struct group *found = name[0] != '\0' ? getgrnam(name) : NULL;
    struct error unused;
    uint64_t number = 0;

    if (found != NULL)
        number = found->gr_gid;
    else if (name[0] != '\0' && options_parse_count(name, 0, INT32_MAX, &number, &unused) != 0)
        return UV_ENOENT;
    *group = (gid_t) number;
    return 0;
}

static const char *advice(const struct listen_address *where, int status)
{
    if (status == UV_EPERM && where->group[0] != '\0')
        return "; this user is no member of the group that is to have it";
    switch (status) {
    case UV_EEXIST:
        return "; what is there is no socket: remove it, or choose another path";
    case UV_ENOENT:
    case UV_ENOTDIR:
        return "; make the directory first";
    case UV_EACCES:
    case UV_EPERM:
        return "; the directory, or the socket in it, is not this user's to write";
    case UV_EADDRINUSE:
        return "; stop the program that uses it, or listen elsewhere with --listen";
    default:
        return "";
    }
}

int unix_socket_open(const struct listen_address *where, int backlog, int *fd, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    gid_t group;
    int status;

    if (find_group(where->group, &group) != 0)
        return error_set(error, UV_EINVAL, "cannot listen on %s: there is no group '%s'",
                         where->text, where->group);
    memcpy(address.sun_path, where->path, sizeof address.sun_path);
    status = open_at(&address, where, group, backlog, fd);
    if (status == 0)
        return 0;
    return error_set(error, status, "cannot listen on %s: %s%s", where->text, uv_strerror(status),
                     advice(where, status));
}
