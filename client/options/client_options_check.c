#include <string.h>

#include "client/options/client_options.h"
#include "client/options/client_options_private.h"
#include "client/output/until.h"

/* Options that make sense only with, or without, others. */
static int check_together(const struct client_options *options, struct error *error)
{
    int users = (options->user != NULL) + (options->user_file != NULL) +
                (options->bearer_file != NULL) + (options->token_command != NULL);

    if (options->key != NULL && options->cert == NULL)
        return error_set(error, UV_EINVAL, "option '--key' is for a certificate: --cert FILE");
    if (options->cert == NULL && (options->key_pass_file != NULL || options->cert_type != 0))
        return error_set(error, UV_EINVAL, "option '--%s' is for a certificate: --cert FILE",
                         options->cert_type != 0 ? "cert-type" : "key-pass-file");
    if (users > 1)
        return error_set(error, UV_EINVAL,
                         "of '--user', '--user-file', '--bearer-file' and '--token-command' one is "
                         "enough");
    if (users > 0 && header_fields_have(&options->fields, "Authorization"))
        return error_set(error, UV_EINVAL,
                         "option '--header' has an Authorization beside '--user', '--user-file', "
                         "'--bearer-file' or '--token-command': give one of them");
    if (!options->reconnect && (options->retries > 0 || options->retry_all_errors))
        return error_set(error, UV_EINVAL, "option '%s' is for '--reconnect'",
                         options->retries > 0 ? "--retries" : "--retry-all-errors");
    return 0;
}

/* ---- what does not go together ---- */

/* Which output option was given, and that it is the only one. */
static int choose_mode(struct client_options *options, struct error *error)
{
    const struct {
        const char *name;
        bool given;
        enum render_mode mode;
    } modes[] = {
        {"raw", options->raw, RENDER_RAW},
        {"json", options->json, RENDER_JSON},
        {"hex", options->hex, RENDER_HEX},
        {"base64", options->base64, RENDER_BASE64},
        {"format", options->format != NULL, RENDER_FORMAT},
        {"binary-out", options->bytes, RENDER_BYTES},
    };
    const char *chosen = NULL;

    options->mode = options->null              ? RENDER_RAW
                    : options->command != NULL ? RENDER_BYTES
                                               : RENDER_RECEIVED;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!modes[i].given)
            continue;
        if (chosen != NULL)
            return error_set(error, UV_EINVAL,
                             "options '--%s' and '--%s' exclude each other: choose one", chosen,
                             modes[i].name);
        chosen = modes[i].name;
        options->mode = modes[i].mode;
    }
    return 0;
}

static int check_output(const struct client_options *options, struct error *error)
{
    if (options->pretty && (options->mode > RENDER_JSON || options->command != NULL))
        return error_set(
            error, UV_EINVAL,
            "option '--pretty' is for text and --json, and for no other output option");
    if (options->stamps != STAMP_NONE && options->mode == RENDER_JSON)
        return error_set(error, UV_EINVAL,
                         "options '--timestamps' and '--json' exclude each other: an object has "
                         "its time");
    if (options->stamps != STAMP_NONE && options->mode == RENDER_FORMAT)
        return error_set(error, UV_EINVAL,
                         "options '--timestamps' and '--format' exclude each other: write %%I, %%U "
                         "or %%r in the format");
    if (options->mode == RENDER_BYTES && (options->stamps != STAMP_NONE || options->null))
        return error_set(error, UV_EINVAL,
                         "option '--%s' has no place among bare bytes (%s): choose an output "
                         "option",
                         options->null ? "null" : "timestamps",
                         options->bytes ? "--binary-out" : "--exec");
    return 0;
}

/* Formats and expressions are compiled where they are used; here only to hear what is wrong. */
static int check_texts(const struct client_options *options, struct error *error)
{
    struct error why = {""};
    struct until *until = NULL;
    struct format format;
    int status;

    if (options->format != NULL) {
        status = format_init(&format, options->format, &why);
        if (status != 0)
            return error_set(error, status, "option '--format': %s", why.text);
        format_deinit(&format);
    }
    if (options->until != NULL) {
        status = until_new(&until, options->until, &why);
        if (status != 0)
            return error_set(error, status, "option '--until': %s", why.text);
        until_free(until);
    }
    return 0;
}

static int check_acting(const struct client_options *options, struct error *error)
{
    bool execs = options->command != NULL;

    if (!execs && (options->jobs > 0 || options->exec_timeout > 0 ||
                   options->exec_fail != CLIENT_EXEC_IGNORE))
        return error_set(error, UV_EINVAL, "option '--exec-%s' is for a command: --exec COMMAND",
                         options->jobs > 0           ? "jobs"
                         : options->exec_timeout > 0 ? "timeout"
                                                     : "fail");
    if (execs && options->command[strspn(options->command, " \t\n")] == '\0')
        return error_set(error, UV_EINVAL, "option '--exec': the command is empty");
    if (execs && options->echo)
        return error_set(error, UV_EINVAL,
                         "options '--exec' and '--echo' exclude each other: choose one");
    if (options->state_file != NULL && options->echo)
        return error_set(error, UV_EINVAL,
                         "options '--state-file' and '--echo' exclude each other: nothing is "
                         "printed");
    if (options->input_eof == CLIENT_EOF_CLOSE && !options->send)
        return error_set(error, UV_EINVAL,
                         "option '--input-eof' is for what is sent: --send or --send-binary");
    return 0;
}

static int settle_sending(struct client_options *options, struct error *error)
{
    options->send = options->send || options->send_binary;
    if (options->send && options->stdin_for != NULL)
        return error_set(error, UV_EINVAL, "option '--send': standard input is for '%s' already",
                         options->stdin_for);
    if (options->message_binary && options->messages.count == 0)
        return error_set(error, UV_EINVAL,
                         "option '--message-binary' is for --message or --message-file");
    return options->message_binary ? 0 : message_list_settle_text(&options->messages, error);
}

int client_options_settle(struct client_options *options, struct error *error)
{
    int status = check_together(options, error);

    if (status == 0)
        status = choose_mode(options, error);
    if (status == 0)
        status = settle_sending(options, error);
    if (status == 0)
        status = check_output(options, error);
    if (status == 0)
        status = check_texts(options, error);
    if (status == 0)
        status = check_acting(options, error);
    if (options->jobs == 0)
        options->jobs = 1;
    if (options->until_live && options->since.kind == CLIENT_SINCE_NOW)
        options->since = (struct client_since){.kind = CLIENT_SINCE_ALL, .implied = true};
    return status;
}
