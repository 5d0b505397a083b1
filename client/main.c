#include <stdio.h>

#include "client/client_options.h"
#include "client/session.h"
#include "common/log.h"
#include "common/process.h"

int main(int argc, char **argv)
{
    struct client_options options;
    enum client_exit status = CLIENT_OK;
    struct error error;

    process_prepare();
    log_init("wsrecv", LOG_INFO);
    if (client_options_init(&options, argc, argv, &error) != 0) {
        log_error("%s; 'wsrecv --help' lists the options", error.text);
        return CLIENT_USAGE;
    }
    if (options.help)
        options_print_help(&client_options_table, stdout);
    else if (options.version)
        printf("wsrecv %s\n", WS_VERSION);
    else
        status = session_run(&options);
    client_options_deinit(&options);
    return (int) status;
}
