#include <uv.h>

#include "client/options/client_options.h"
#include "client/session.h"
#include "common/base/log.h"
#include "common/base/process.h"

static enum client_exit answer(const struct client_options *options)
{
    struct error error;

    if (options_answer(&client_options_table, options->help, &error) == 0)
        return CLIENT_OK;
    log_error("%s", error.text);
    return CLIENT_OUTPUT;
}

int main(int argc, char **argv)
{
    struct client_options options;
    struct session_end end = {.signal = 0};
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
    if (options.help || options.version)
        end.exit = answer(&options);
    else
        end = session_run(&options);
    client_options_deinit(&options);
    if (end.signal != 0)
        process_die_of(end.signal);
    return (int) end.exit;
}
