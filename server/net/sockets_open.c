#include "server/net/sockets_open.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/address.h"
#include "server/net/unix_socket.h"
#include "server/syntax/listen_address.h"

enum {
    BACKLOG = 4096,    /* connections that may wait for accept; the kernel caps it (somaxconn) */
    FIRST_PASSED = 3,  /* sd_listen_fds(3): the first descriptor that is passed on */
    MOST_PASSED = 256, /* of them */
};

/* An address of any family, as the socket functions want it. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
    socklen_t len;
};

static int last_error(void)
{
    return uv_translate_sys_error(errno);
}

/* ---- names ---- */

static void address_of(int fd, struct address *address)
{
    memset(address, 0, sizeof *address);
    address->len = sizeof address->storage;
    (void) getsockname(fd, &address->any, &address->len);
}

/* As it stands in a URL: "127.0.0.1:8000" or "[::1]:8000". */
static void address_name(const struct address *address, char *out, size_t size)
{
    bool v6 = address->any.sa_family == AF_INET6;
    char text[INET6_ADDRSTRLEN] = "?";

    (void) uv_ip_name(&address->any, text, sizeof text);
    (void) snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", text,
                    ntohs(v6 ? address->v6.sin6_port : address->v4.sin_port));
}

static const char *advice(int status)
{
    switch (status) {
    case UV_EADDRINUSE:
        return "; stop the program that uses it, or listen elsewhere with --listen";
    case UV_EADDRNOTAVAIL:
        return "; this machine does not have that address";
    case UV_EMFILE:
        return "; raise 'ulimit -n' (LimitNOFILE= in a systemd unit), or start fewer --workers";
    default:
        return "";
    }
}

static int complain(struct error *error, int status, const char *name, const char *what)
{
    return error_set(error, status, "cannot listen on %s: %s%s", name, uv_strerror(status), what);
}

/* ---- the lists ---- */

static int add_socket(struct sockets *sockets, int fd, size_t worker, bool shared)
{
    struct address address;

    if (sockets->count == sockets->_capacity) {
        size_t capacity = sockets->_capacity > 0 ? 2 * sockets->_capacity : 16;
        struct sockets_socket *larger = realloc(sockets->list, capacity * sizeof *larger);

        if (larger == NULL) {
            (void) close(fd);
            return UV_ENOMEM;
        }
        sockets->list = larger;
        sockets->_capacity = capacity;
    }
    sockets->list[sockets->count++] = (struct sockets_socket){
        fd, sockets->_last_id, worker, shared, sockets->_tls, sockets->_proxy, sockets->_admin};
    address_of(fd, &address);
    if (!address_is_loopback(&address.any) && !sockets->_tls && !sockets->_admin)
        sockets->_reachable = true;
    return 0;
}

/* Room for what one more address is called; NULL when out of memory. */
static struct sockets_address *add_address(struct sockets *sockets)
{
    size_t count = sockets->_address_count + 1;
    struct sockets_address *larger = realloc(sockets->_addresses, count * sizeof *larger);

    if (larger == NULL)
        return NULL;
    sockets->_addresses = larger;
    sockets->_address_count = count;
    larger[count - 1] = (struct sockets_address){
        .id = sockets->_last_id, .tls = sockets->_tls, .admin = sockets->_admin};
    return &larger[count - 1];
}

/* ---- TCP ---- */

static int set_option(int fd, int level, int name)
{
    int on = 1;

    return setsockopt(fd, level, name, &on, sizeof on);
}

/* Opens the first socket of an address, or one beside it. The first is bound and listens without
 * SO_REUSEPORT, so that a port in use is an error even if its user would share it. */
static int open_tcp(const struct address *address, bool first, bool alone, int *fd)
{
    *fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return last_error();
    /* A server that restarts need not wait for the last one's connections to be forgotten. */
    if (set_option(*fd, SOL_SOCKET, SO_REUSEADDR) != 0 ||
        /* [::] and 0.0.0.0 are two addresses: --listen has to name both. */
        (address->any.sa_family == AF_INET6 && set_option(*fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0) ||
        /* Connections inherit this from the socket that they are accepted from. */
        set_option(*fd, IPPROTO_TCP, TCP_NODELAY) != 0 ||
        (!first && set_option(*fd, SOL_SOCKET, SO_REUSEPORT) != 0) ||
        bind(*fd, &address->any, address->len) != 0 || listen(*fd, BACKLOG) != 0 ||
        (first && !alone && set_option(*fd, SOL_SOCKET, SO_REUSEPORT) != 0)) {
        int status = last_error();

        (void) close(*fd);
        return status;
    }
    return 0;
}

/* One address, a socket for each worker. */
static int listen_tcp(struct sockets *sockets, struct address *address, struct error *error)
{
    struct sockets_address *known = NULL;
    size_t workers = sockets->_admin ? 1 : sockets->_workers; /* the first one serves operators */
    char name[64];
    int status = 0;

    address_name(address, name, sizeof name);
    for (size_t i = 0; i < workers && status == 0; i++) {
        int fd;

        status = open_tcp(address, i == 0, workers == 1, &fd);
        if (status == UV_EACCES)
            return complain(error, status, name, "; ports below 1024 want privileges");
        if (status != 0)
            return complain(error, status, name, advice(status));
        if (i == 0)
            address_of(fd, address); /* with the port that 0 stood for */
        status = add_socket(sockets, fd, i, false);
    }
    known = status == 0 ? add_address(sockets) : NULL;
    if (known == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    address_name(address, known->name, sizeof known->name);
    return 0;
}

/* One more of the addresses that a name stands for. Where port 0 stands for a free one, all have
 * the same, `*port`, if it is free there. */
static int listen_next(struct sockets *sockets, const struct sockaddr *name, socklen_t len,
                       in_port_t *port, struct error *error)
{
    struct address address = {.len = len};
    in_port_t *own = name->sa_family == AF_INET6 ? &address.v6.sin6_port : &address.v4.sin_port;
    int status;

    memcpy(&address.storage, name, len);
    if (*own == 0 && *port != 0) {
        *own = *port;
        status = listen_tcp(sockets, &address, error);
        if (status != UV_EADDRINUSE)
            return status;
        *own = 0;
    }
    status = listen_tcp(sockets, &address, error);
    if (status == 0 && *port == 0)
        *port = *own;
    return status;
}

/* A name may stand for an address that this machine has no use for: one will do. */
static bool is_of_no_use(int status)
{
    return status == UV_EADDRNOTAVAIL || status == UV_EAFNOSUPPORT;
}

/* localhost is this machine, whatever a resolver says, over IPv4 and IPv6 (RFC 6761, 6.3). */
static int listen_loopback(struct sockets *sockets, const struct listen_address *where,
                           struct error *error)
{
    int number = (int) strtol(where->port, NULL, 10), v4_status, v6_status;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    in_port_t port = 0;

    (void) uv_ip4_addr("127.0.0.1", number, &v4); /* they are addresses */
    (void) uv_ip6_addr("::1", number, &v6);
    v4_status = listen_next(sockets, (struct sockaddr *) &v4, sizeof v4, &port, error);
    if (v4_status != 0 && !is_of_no_use(v4_status))
        return v4_status;
    v6_status = listen_next(sockets, (struct sockaddr *) &v6, sizeof v6, &port, error);
    return is_of_no_use(v6_status) ? v4_status : v6_status;
}

/* Every address that one HOST:PORT stands for. */
static int listen_host(struct sockets *sockets, const struct listen_address *where, uv_loop_t *loop,
                       struct error *error)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    uv_getaddrinfo_t request;
    in_port_t port = 0;
    int status;

    if (strcasecmp(where->host, "localhost") == 0)
        return listen_loopback(sockets, where, error);
    status = uv_getaddrinfo(loop, &request, NULL, where->host, where->port, &hints);
    if (status != 0)
        return complain(error, status, where->text, "");
    status = UV_EADDRNOTAVAIL;
    for (const struct addrinfo *info = request.addrinfo; info != NULL; info = info->ai_next) {
        int result = listen_next(sockets, info->ai_addr, info->ai_addrlen, &port, error);

        if (!is_of_no_use(result))
            status = result;
        if (status != 0 && status != UV_EADDRNOTAVAIL)
            break;
    }
    uv_freeaddrinfo(request.addrinfo);
    return status;
}

/* ---- Unix sockets ---- */

static int listen_unix(struct sockets *sockets, const struct listen_address *where,
                       struct error *error)
{
    struct sockets_address *known;
    int fd, status = unix_socket_open(where, BACKLOG, &fd, error);

    if (status != 0)
        return status;
    status = add_socket(sockets, fd, 0, !sockets->_admin);
    known = status == 0 ? add_address(sockets) : NULL;
    if (known == NULL) {
        (void) unlink(where->path);
        return error_set(error, UV_ENOMEM, "out of memory");
    }
    (void) snprintf(known->name, sizeof known->name, "unix:%s", where->path);
    if (lstat(where->path, &known->file) == 0) /* else it is gone: not ours to remove */
        memcpy(known->path, where->path, sizeof known->path);
    return 0;
}

/* ---- inherited ---- */

static int int_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* Why the descriptor is of no use, or NULL. */
static const char *unfit(const struct sockets *sockets, int fd)
{
    int family = int_option(fd, SO_DOMAIN);

    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->list[i].fd == fd)
            return "it is given twice, or is not inherited";
    }
    if (family < 0) /* also when the number has meanwhile become one of our own */
        return "no socket was inherited under that number";
    if ((family != AF_INET && family != AF_INET6 && family != AF_UNIX) ||
        int_option(fd, SO_TYPE) != SOCK_STREAM)
        return "that descriptor is no stream socket of TCP or Unix";
    if (int_option(fd, SO_ACCEPTCONN) != 1)
        return "that socket does not listen; call listen() before passing it on";
    return NULL;
}

static int listen_inherited(struct sockets *sockets, int fd, struct error *error)
{
    const char *why = unfit(sockets, fd);
    struct sockets_address *known;
    struct address address;

    if (why != NULL)
        return error_set(error, UV_EINVAL, "cannot listen on fd:%d: %s", fd, why);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return error_set(error, last_error(), "cannot listen on fd:%d: %s", fd, strerror(errno));
    (void) set_option(fd, IPPROTO_TCP, TCP_NODELAY); /* a Unix socket has no such thing */
    if (add_socket(sockets, fd, 0, !sockets->_admin) != 0 || (known = add_address(sockets)) == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    address_of(fd, &address);
    if (address.any.sa_family == AF_UNIX)
        (void) snprintf(known->name, sizeof known->name, "unix:%s", address.local.sun_path);
    else
        address_name(&address, known->name, sizeof known->name);
    return 0;
}

/* How many sockets systemd passes on to this very process: sd_listen_fds(3). */
static int count_passed(size_t *count, struct error *error)
{
    const char *pid = getenv("LISTEN_PID"), *text = getenv("LISTEN_FDS");
    uint64_t number;
    struct error why;

    *count = 0;
    if (pid == NULL || text == NULL || options_parse_count(pid, 1, INT32_MAX, &number, &why) != 0 ||
        (pid_t) number != getpid())
        return 0;
    if (options_parse_count(text, 0, MOST_PASSED, &number, &why) != 0)
        return error_set(error, UV_EINVAL,
                         "cannot listen on what systemd passes on: LISTEN_FDS is no number from 0 "
                         "to %d",
                         MOST_PASSED);
    *count = (size_t) number;
    return 0;
}

/* ---- all of them ---- */

int sockets_open_one(struct sockets *sockets, const char *text, uv_loop_t *loop,
                     struct error *error)
{
    struct listen_address where;
    int status = listen_address_parse(text, &where, error);

    if (status != 0)
        return status;
    sockets->_tls = where.tls == LISTEN_ADDRESS_TLS_DEFAULT
                        ? sockets->_has_certificate && !sockets->_admin
                        : where.tls == LISTEN_ADDRESS_TLS_ON;
    sockets->_proxy = where.proxy;
    switch (where.kind) {
    case LISTEN_ADDRESS_UNIX:
        return listen_unix(sockets, &where, error);
    case LISTEN_ADDRESS_INHERITED:
        return listen_inherited(sockets, where.fd, error);
    case LISTEN_ADDRESS_TCP:
        break;
    }
    return listen_host(sockets, &where, loop, error);
}

int sockets_open_count_passed(const struct sockets *sockets, size_t *count, struct error *error)
{
    *count = 0;
    return sockets->_has_passed ? 0 : count_passed(count, error);
}

int sockets_open_passed(struct sockets *sockets, struct error *error)
{
    size_t passed;
    int status = sockets_open_count_passed(sockets, &passed, error);

    sockets->_has_passed = true;
    sockets->_tls = sockets->_has_certificate;
    sockets->_proxy = false;
    for (size_t i = 0; i < passed && status == 0; i++)
        status = listen_inherited(sockets, FIRST_PASSED + (int) i, error);
    return status;
}
