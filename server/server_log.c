/* The log of the server: where it goes, in which form, and how its file is reopened. */
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/log_target.h"
#include "server/server_private.h"

static struct log_form form_of(const struct server_options *options)
{
    return (struct log_form){
        .json = options->log_json,
        .prefix = options->log_file != NULL ? LOG_PREFIX_TIME : log_target_prefix(),
    };
}

static int open_file(const char *path, int *fd, struct error *error)
{
    *fd = log_target_open(path);
    if (*fd >= 0)
        return 0;
    return error_set(error, *fd,
                     "--log-file: cannot open '%s' for writing: %s; name a file that the server's "
                     "user may write to, in a directory that is there",
                     path, uv_strerror(*fd));
}

void server_log_begin(const struct server_options *options)
{
    log_set_form((struct log_form){
        .json = options != NULL && options->log_json,
        .prefix = log_target_is_journal() ? LOG_PREFIX_JOURNAL : LOG_PREFIX_PROGRAM,
    });
}

int server_log_start(struct server *server, struct error *error)
{
    const struct server_options *options = &server->config->options;
    int fd = -1, status = 0;

    if (options->log_file != NULL)
        status = open_file(options->log_file, &fd, error);
    if (status != 0)
        return status;
    status = log_queue_start(&server->log);
    if (status != 0) {
        if (fd != -1)
            (void) close(fd);
        return error_set(error, status, "cannot start the thread of the log: %s",
                         uv_strerror(status));
    }
    if (fd != -1)
        log_queue_redirect(server->log, fd);
    log_set_form(form_of(options));
    return 0;
}

void server_log_stop(struct server *server, uint64_t milliseconds, const char *why)
{
    const struct server_options *options = &server->config->options;

    if (why != NULL && server->log != NULL && options->log_file != NULL)
        log_error("%s", why);
    log_queue_stop(server->log, milliseconds);
    server_log_begin(options);
    if (why != NULL)
        log_error("%s", why);
}

void server_log_reopen(struct server *server)
{
    const char *path = server->config->options.log_file;
    struct error error;
    int fd;

    if (path == NULL)
        return;
    if (open_file(path, &fd, &error) != 0) {
        log_error("%s; the log goes on where it went before", error.text);
        return;
    }
    log_queue_redirect(server->log, fd);
    log_info("reopened the log file '%s'", path);
}

int server_log_prepare(const struct server *server, const struct server_options *next, int *fd,
                       struct error *error)
{
    const char *now = server->config->options.log_file;

    *fd = -1;
    if (next->log_file == NULL || (now != NULL && strcmp(now, next->log_file) == 0))
        return 0;
    return open_file(next->log_file, fd, error);
}

void server_log_change(struct server *server, const struct server_options *next, int fd)
{
    const char *now = server->config->options.log_file;

    if (fd != -1 || (now != NULL && next->log_file == NULL)) {
        log_info("from here on the log goes to %s",
                 next->log_file != NULL ? next->log_file : "standard error");
        log_queue_redirect(server->log, fd);
    }
    log_set_form(form_of(next));
}
