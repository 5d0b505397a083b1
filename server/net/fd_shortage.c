#include "server/net/fd_shortage.h"

#include "common/base/log.h"
#include "common/base/process.h"

enum { QUIET = 10 * 1000 }; /* milliseconds between two lines about the same */

int fd_shortage_init(struct fd_shortage *shortage)
{
    *shortage = (struct fd_shortage){._waiting = 0};
    return uv_mutex_init(&shortage->_lock);
}

void fd_shortage_deinit(struct fd_shortage *shortage)
{
    uv_mutex_destroy(&shortage->_lock);
}

static void tell(int status)
{
    static const char rest[] = "new connections wait, open ones go on";

    switch (status) {
    case UV_EMFILE:
        log_warn("cannot accept connections: all %llu files that the process may open are open "
                 "(RLIMIT_NOFILE); %s; raise it with 'ulimit -n', or LimitNOFILE= in a systemd "
                 "unit",
                 process_max_files(), rest);
        break;
    case UV_ENFILE:
        log_warn("cannot accept connections: all files that the system may open are open; %s; "
                 "raise /proc/sys/fs/file-max",
                 rest);
        break;
    case UV_ENOMEM:
    case UV_ENOBUFS:
        log_warn("cannot accept connections: out of memory; %s; raise what bounds it (ulimit -v, "
                 "MemoryMax= in a systemd unit, net.ipv4.tcp_mem)",
                 rest);
        break;
    default:
        log_warn("cannot accept connections: %s; trying again", uv_strerror(status));
    }
}

void fd_shortage_begin(struct fd_shortage *shortage, int status, uint64_t now)
{
    uv_mutex_lock(&shortage->_lock);
    shortage->_waiting++;
    if (now >= shortage->_quiet_until) {
        shortage->_quiet_until = now + QUIET;
        shortage->_told = true;
        tell(status);
    }
    uv_mutex_unlock(&shortage->_lock);
}

void fd_shortage_end(struct fd_shortage *shortage)
{
    uv_mutex_lock(&shortage->_lock);
    shortage->_waiting--;
    if (shortage->_waiting == 0 && shortage->_told) {
        shortage->_told = false;
        log_info("accepting connections again: none waits any more");
    }
    uv_mutex_unlock(&shortage->_lock);
}
