/* wsload: loads a WebSocket broadcast server and says what that cost. */
#include <stdio.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "tests/bench/load_options.h"
#include "tests/bench/modes.h"

/* As many files as this process may open. */
static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
    struct load_options options;
    struct error error;
    int status = 0;

    process_prepare();
    log_init("wsload", LOG_INFO);
    if (load_options_parse(&options, argc, argv, &error) != 0) {
        log_error("%s; 'wsload --help' lists the options", error.text);
        return 2;
    }
    if (options.help) {
        options_print_help(&load_options_table, stdout);
        return 0;
    }
    raise_limits();
    switch (options.mode) {
    case LOAD_FAN_OUT:
        status = fan_out_run(&options, &error);
        break;
    case LOAD_STORM:
        status = storm_run(&options, &error);
        break;
    case LOAD_IDLE:
        status = idle_run(&options, &error);
        break;
    }
    if (status != 0)
        log_error("%s", error.text);
    return status == 0 ? 0 : 1;
}
