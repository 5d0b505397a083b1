#include "server/net/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "server/net/sockets_open.h"

#define DEFAULT_LISTEN "127.0.0.1:8000"

/* ---- what is asked for ---- */

/* Marks it as wanted, if it is listened on already. */
static bool is_known(struct sockets *sockets, const char *text, bool admin)
{
    for (size_t i = 0; i < sockets->_argument_count; i++) {
        struct sockets_argument *argument = &sockets->_arguments[i];

        if (argument->wanted || argument->admin != admin || strcmp(argument->text, text) != 0)
            continue;
        argument->wanted = true;
        return true;
    }
    return false;
}

static int add_argument(struct sockets *sockets, const char *text, bool admin)
{
    size_t count = sockets->_argument_count + 1;
    struct sockets_argument *larger = realloc(sockets->_arguments, count * sizeof *larger);

    if (larger == NULL)
        return UV_ENOMEM;
    sockets->_arguments = larger;
    larger[count - 1] = (struct sockets_argument){++sockets->_last_id, admin, true, strdup(text)};
    if (larger[count - 1].text == NULL)
        return UV_ENOMEM;
    sockets->_argument_count = count;
    return 0;
}

static int want(struct sockets *sockets, const char *text, bool admin, uv_loop_t *loop,
                struct error *error)
{
    if (is_known(sockets, text, admin))
        return 0;
    if (add_argument(sockets, text, admin) != 0)
        return error_set(error, UV_ENOMEM, "out of memory");
    sockets->_admin = admin;
    return *text == '\0' ? sockets_open_passed(sockets, error)
                         : sockets_open_one(sockets, text, loop, error);
}

/* Without --listen: what systemd passes on, or else the default address, which is the same listener
 * as one that names it, so that a reload which begins to name it finds it open. */
static int want_default(struct sockets *sockets, uv_loop_t *loop, struct error *error)
{
    size_t passed;
    int status;

    if (is_known(sockets, "", false))
        return 0;
    status = sockets_open_count_passed(sockets, &passed, error);
    return status != 0 ? status
                       : want(sockets, passed > 0 ? "" : DEFAULT_LISTEN, false, loop, error);
}

static int want_all(struct sockets *sockets, const struct server_options *options, uv_loop_t *loop,
                    struct error *error)
{
    int status = 0;

    for (size_t i = 0; i < sockets->_argument_count; i++)
        sockets->_arguments[i].wanted = false;
    if (options->listen_count == 0)
        status = want_default(sockets, loop, error);
    for (size_t i = 0; i < options->listen_count && status == 0; i++)
        status = want(sockets, options->listens[i], false, loop, error);
    if (status == 0 && options->admin != NULL)
        status = want(sockets, options->admin, true, loop, error);
    return status;
}

int sockets_init(struct sockets *sockets, const struct server_options *options, size_t workers,
                 uv_loop_t *loop, struct error *error)
{
    *sockets = (struct sockets){
        ._workers = workers,
        ._has_certificate = options->tls_cert_count > 0,
    };
    return want_all(sockets, options, loop, error);
}

/* The number of a file that is gone is soon another's, but that one was made later. */
static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

/* Removes the file of a Unix socket; another server may have taken the path over meanwhile. */
static void remove_file(const struct sockets_address *known)
{
    struct stat file;

    if (known->path[0] != '\0' && lstat(known->path, &file) == 0 &&
        is_same_file(&file, &known->file))
        (void) unlink(known->path);
}

/* Forgets an argument, and closes what was opened for it and not taken. */
static void forget(struct sockets *sockets, unsigned id)
{
    size_t count = 0;

    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->list[i].id == id && sockets->list[i].fd >= 0)
            (void) close(sockets_take(&sockets->list[i]));
    }
    for (size_t i = 0; i < sockets->_address_count; i++) {
        if (sockets->_addresses[i].id == id)
            remove_file(&sockets->_addresses[i]);
        else
            sockets->_addresses[count++] = sockets->_addresses[i];
    }
    sockets->_address_count = count;
    count = 0;
    for (size_t i = 0; i < sockets->_argument_count; i++) {
        if (sockets->_arguments[i].id == id)
            // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed leaves the list below
            free(sockets->_arguments[i].text);
        else
            sockets->_arguments[count++] = sockets->_arguments[i];
    }
    sockets->_argument_count = count;
}

/* Undoes what was opened before one could not be. */
static void undo(struct sockets *sockets, unsigned last_id)
{
    for (unsigned id = last_id + 1; id <= sockets->_last_id; id++)
        forget(sockets, id);
}

int sockets_change(struct sockets *sockets, const struct server_options *options, uv_loop_t *loop,
                   struct sockets_change *change, struct error *error)
{
    unsigned last_id = sockets->_last_id;
    int status;

    sockets->count = 0; /* all of them are taken */
    status = want_all(sockets, options, loop, error);
    if (status != 0) {
        undo(sockets, last_id);
        return status;
    }
    *change = (struct sockets_change){.opened = sockets->list, .opened_count = sockets->count};
    for (size_t i = 0; i < sockets->_argument_count; i++) {
        if (!sockets->_arguments[i].wanted)
            change->closed[change->closed_count++] = sockets->_arguments[i].id;
    }
    for (size_t i = 0; i < change->closed_count; i++)
        forget(sockets, change->closed[i]);
    while (change->first_address < sockets->_address_count &&
           sockets->_addresses[change->first_address].id <= last_id)
        change->first_address++;
    return 0;
}

int sockets_take(struct sockets_socket *one)
{
    int fd = one->fd;

    one->fd = -1;
    return fd;
}

/* Over TLS a page of another name gets no further than the certificate; and where all pages may
 * come anyway, it does not matter. */
static bool can_be_rebound(const struct sockets *sockets, const struct server_options *options)
{
    bool all = false;

    for (size_t i = 0; i < options->origin_count; i++)
        all = all || strcmp(options->origins[i], "*") == 0;
    return sockets->_reachable && options->server_name_count == 0 && !all;
}

void sockets_announce(const struct sockets *sockets, const struct server_options *options,
                      size_t first)
{
    bool rebound = false;

    for (size_t i = first; i < sockets->_address_count; i++) {
        const struct sockets_address *address = &sockets->_addresses[i];

        rebound = rebound || !address->admin;
        if (address->admin)
            log_info("listening on %s for the operator%s", address->name,
                     address->tls ? " (TLS)" : "");
        else if (strncmp(address->name, "unix:", 5) == 0)
            log_info("listening on %s (path %s%s)", address->name, options->path,
                     address->tls ? ", TLS" : "");
        else
            log_info("listening on %s://%s%s", address->tls ? "wss" : "ws", address->name,
                     options->path);
    }
    if (rebound && can_be_rebound(sockets, options))
        log_warn("requests are served whatever Host they name, so pages of any site can get in by "
                 "DNS rebinding; start with --server-name NAME for each name of this server");
}

void sockets_deinit(struct sockets *sockets)
{
    while (sockets->_argument_count > 0)
        forget(sockets, sockets->_arguments[0].id);
    free(sockets->list);
    free(sockets->_addresses);
    free(sockets->_arguments);
}
