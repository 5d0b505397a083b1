#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "client/client_options.h"
#include "client/session.h"
#include "common/log.h"
#include "common/process.h"

/* Help, or the version; whoever reads only the beginning of it ends us, as any filter. */
static enum client_exit print(const struct client_options *options)
{
    (void) signal(SIGPIPE, SIG_DFL);
    if (options->help)
        options_print_help(&client_options_table, stdout);
    else
        (void) printf("wsrecv %s\n", WS_VERSION);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return CLIENT_OK;
    log_error("cannot write to standard output: %s", strerror(errno));
    return CLIENT_OUTPUT;
}

int main(int argc, char **argv)
{
    struct client_options options;
    enum client_exit status;
    struct error error;
    int files;

    process_prepare();
    log_init("wsrecv", LOG_INFO);
    files = process_check_files();
    if (files != 0) {
        log_error("cannot open files: %s; wsrecv needs a dozen of them ('ulimit -n')",
                  uv_strerror(files));
        return CLIENT_OUTPUT;
    }
    if (client_options_init(&options, argc, argv, &error) != 0) {
        log_error("%s; 'wsrecv --help' lists the options", error.text);
        return CLIENT_USAGE;
    }
    status = options.help || options.version ? print(&options) : session_run(&options);
    client_options_deinit(&options);
    return (int) status;
}
