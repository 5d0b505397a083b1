#include <stdlib.h>
#include <uv.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "server/auth/token_file.h"
#include "server/config/config.h"
#include "server/server.h"
#include "server/store/store.h"

enum { EXIT_USAGE = 2 };

/* Makes a token and its line. The line is in its file before anybody has the token. */
static int make_token(const struct server_options *options, struct error *error)
{
    char token[TOKEN_FILE_TOKEN + 1], line[TOKEN_FILE_LINE];
    int status = token_file_new_token(options->new_token, token, line);

    if (status == UV_EINVAL)
        return error_set(error, status,
                         "--new-token: this is not a user's name: it must be one word, without '#' "
                         "in front, ']' or control characters");
    if (status != 0)
        return error_set(error, status, "cannot make a token: %s", uv_strerror(status));
    if (options->token_file != NULL)
        status = token_file_append(options->token_file, line, error);
    if (status == 0)
        (void) printf("%s\n", token);
    if (status == 0 && options->token_file == NULL)
        (void) printf("%s\n", line);
    return status;
}

static void print_line(void *context, const char *line)
{
    (void) context;
    (void) puts(line);
}

/* --check-store */
static int check_store(const char *path)
{
    struct error error;
    int status = store_check(path, print_line, NULL, &error);

    if (status == 0 && puts("OK") >= 0 && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    if (status == UV_EILSEQ)
        log_error("%s is damaged: restore it from a backup (and see --new-epoch)", path);
    else if (status != 0)
        log_error("%s", error.text);
    else
        log_error("cannot write to standard output");
    return EXIT_FAILURE;
}

/* Does what --help, --version, --new-token, --check-config or --print-config asks for. */
static int answer(const struct config *config)
{
    const struct server_options *options = &config->options;
    struct error error;

    if (options->help || options->version) {
        if (options_answer(&server_options_table, options->help, &error) == 0)
            return EXIT_SUCCESS;
        log_error("%s", error.text);
        return EXIT_FAILURE;
    }
    if (options->check_store)
        return check_store(options->store);
    if (options->new_token != NULL) {
        if (make_token(options, &error) != 0) {
            log_error("%s", error.text);
            return EXIT_FAILURE;
        }
    } else if (options->print_config)
        config_print(config, stdout);
    else
        (void) puts("OK");
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return EXIT_SUCCESS;
    log_error("cannot write to standard output");
    return EXIT_FAILURE;
}

static int serve(struct config *config, const struct server_arguments *arguments)
{
    int files;

    log_init("wsbroadcastd", config->options.log_level);
    server_log_begin(&config->options);
    process_raise_files();
    files = process_check_files();
    if (files == 0)
        return server_run(config, arguments);
    log_error("cannot open files: %s; raise the limit ('ulimit -n', LimitNOFILE=)",
              uv_strerror(files));
    config_unref(config);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const struct server_arguments arguments = {argc, argv};
    const struct server_options *options;
    struct config *config;
    int status;

    process_prepare();
    log_init("wsbroadcastd", LOG_INFO);
    server_log_begin(NULL);
    config = server_load(&arguments);
    if (config == NULL)
        return EXIT_USAGE;
    options = &config->options;
    if (options->help || options->version || options->check_config || options->print_config ||
        options->new_token != NULL || options->check_store)
        status = answer(config);
    else
        return serve(config, &arguments);
    config_unref(config);
    return status;
}
