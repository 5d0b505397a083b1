#include <stdlib.h>
#include <uv.h>

#include "common/base/process.h"
#include "server/http/routes.h"
#include "server/server.h"

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv)
{
    struct server_options options;
    struct error error;
    int files;

    process_prepare();
    log_init("wsbroadcastd", LOG_INFO);
    if (server_options_parse(&options, argc, argv, &error) != 0 ||
        routes_check(&options, &error) != 0) {
        log_error("%s; 'wsbroadcastd --help' lists the options", error.text);
        return EXIT_USAGE;
    }
    if (options.help || options.version) {
        if (options_answer(&server_options_table, options.help, &error) == 0)
            return EXIT_SUCCESS;
        log_error("%s", error.text);
        return EXIT_FAILURE;
    }
    log_init("wsbroadcastd", options.log_level);
    process_raise_files();
    files = process_check_files();
    if (files != 0) {
        log_error("cannot open files: %s; raise the limit ('ulimit -n', LimitNOFILE=)",
                  uv_strerror(files));
        return EXIT_FAILURE;
    }
    return server_run(&options);
}
