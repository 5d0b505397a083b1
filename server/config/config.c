#include "server/config/config.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server/config/config_errors.h"
#include "server/config/ini.h"
#include "server/config/small_file.h"

enum {
    MAX_SPECS = 128,
    MAX_TOKEN_FILE = 4096, /* bytes */
    MIN_TOKEN = 16,
};

/* While it is loaded. */
struct loading {
    struct config *config;
    struct config_errors errors; /* told to complain */
    const char *path;            /* of the file */
    bool given[MAX_SPECS];       /* by the command line */
    size_t lines[MAX_SPECS];     /* of the file, which gave the option first; 0: none */
    enum { IN_NONE, IN_SERVER, IN_CHANNEL, IN_USER } in; /* the section that is read */
    int status;                                          /* of the first error; 0: none so far */
    void (*complain)(void *context, const char *text);
    void *context;
};

/* ---- errors ---- */

static void complain(void *context, size_t line, const char *what)
{
    struct loading *loading = context;
    char text[1024];

    if (line > 0)
        (void) snprintf(text, sizeof text, "%s:%zu: %s", loading->path, line, what);
    else
        (void) snprintf(text, sizeof text, "%s", what);
    loading->complain(loading->context, text);
    loading->status = loading->status != 0 ? loading->status : UV_EINVAL;
}

/* Of the command line, or of what all options mean together. */
static void complain_of_usage(struct loading *loading, const struct error *why)
{
    char text[640];

    (void) snprintf(text, sizeof text, "%s; 'wsbroadcastd --help' lists the options", why->text);
    complain(loading, 0, text);
}

/* ---- values ---- */

static int add_value(struct config *config, size_t spec, size_t line, const char *text)
{
    struct config_value *larger =
        realloc(config->_values, (config->_value_count + 1) * sizeof *larger);

    if (larger == NULL)
        return UV_ENOMEM;
    config->_values = larger;
    config->_values[config->_value_count++] = (struct config_value){spec, line, text};
    return 0;
}

bool config_has(const struct option_spec *spec)
{
    static const char *const others[] = {"help",         "version",   "config",      "check-config",
                                         "print-config", "new-token", "check-store", "new-epoch"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (spec->name == NULL || strcmp(spec->name, others[i]) == 0)
            return false;
    }
    return true;
}

/* Stores what a line says, unless the command line says it. */
static void store(struct loading *loading, size_t line, size_t index, const char *value)
{
    const struct option_spec *spec = &server_options_table.specs[index];

    if (loading->lines[index] != 0 && !spec->repeatable) {
        config_errors_twice(&loading->errors, line, spec, loading->lines[index]);
        return;
    }
    loading->lines[index] = line;
    if (loading->given[index])
        return;
    if (config_errors_store(&loading->errors, line, spec, value, &loading->config->options) &&
        add_value(loading->config, index, line, value) != 0)
        config_errors_memory(&loading->errors, line);
}

/* ---- the file ---- */

static void on_section(void *context, size_t line, const char *name, const char *argument)
{
    struct loading *loading = context;

    loading->in = IN_NONE;
    if (strcmp(name, "channel") == 0 && *argument != '\0') {
        loading->in = IN_CHANNEL;
        channel_sections_begin(&loading->config->_sections, argument, line, &loading->errors);
    } else if (strcmp(name, "user") == 0 && *argument != '\0') {
        loading->in = IN_USER;
        user_sections_begin(&loading->config->_users, argument, line, &loading->errors);
    } else if (strcmp(name, "server") == 0 && *argument == '\0') {
        loading->in = IN_SERVER;
    } else {
        config_errors_word(
            &loading->errors, line, name,
            " is not a section: options stand in [server], those of single channels in "
            "[channel PATTERN], and rights in [user NAME]");
    }
}

static void on_setting(void *context, size_t line, const char *name, const char *value)
{
    struct loading *loading = context;
    size_t index = options_find(&server_options_table, name);
    const struct channel_sections_value entry = {index, line, value};

    if (loading->in == IN_USER) {
        user_sections_add(&loading->config->_users, name, value, line, &loading->errors);
        return;
    }
    if (index == server_options_table.count)
        config_errors_word(
            &loading->errors, line, name,
            " is not an option: 'wsbroadcastd --help' lists them, and here they have no "
            "dashes in front");
    else if (!config_has(&server_options_table.specs[index]))
        config_errors_word(&loading->errors, line, name, " belongs on the command line");
    else if (loading->in == IN_CHANNEL)
        channel_sections_add(&loading->config->_sections, &entry, &loading->errors);
    else if (loading->in == IN_NONE)
        config_errors_word(&loading->errors, line, name, " must stand behind a line with [server]");
    else
        store(loading, line, index, value);
}

static void read_file(struct loading *loading, const char *path)
{
    const struct ini_handler handler = {loading, on_section, on_setting, complain};
    struct error why;
    size_t len;
    int status = small_file_read(path, INI_MAX_FILE, &loading->config->_file, &len, &why);

    loading->path = path;
    if (status == 0)
        ini_read(loading->config->_file, len, &handler);
    else
        complain(loading, 0, why.text);
}

/* ---- the command line ---- */

static void on_seen(void *context, size_t index, const char *argument)
{
    struct loading *loading = context;

    (void) argument;
    loading->given[index] = true;
}

static void on_given(void *context, size_t index, const char *argument)
{
    struct loading *loading = context;

    if (add_value(loading->config, index, CONFIG_COMMAND_LINE, argument) != 0)
        complain(loading, 0, "out of memory");
}

static void parse(struct loading *loading, int argc, char **argv, struct server_options *options,
                  void (*on_option)(void *context, size_t index, const char *argument))
{
    struct options_observer observer = {on_option, loading, 0};
    struct error why;

    if (options_parse_observed(&server_options_table, argc, argv, options, &observer, &why) != 0) {
        complain_of_usage(loading, &why);
    } else if (observer.operands < argc) {
        (void) error_set(&why, UV_EINVAL, "'%s' is not an option, and nothing else is expected",
                         argv[observer.operands]);
        complain_of_usage(loading, &why);
    }
}

/* ---- what the options name ---- */

/* The first line is the token. */
static void read_admin_token(struct loading *loading)
{
    const char *path = loading->config->options.admin_token_file;
    struct error why;
    char *text;
    size_t len;

    if (loading->status != 0 || path == NULL)
        return;
    if (small_file_read(path, MAX_TOKEN_FILE, &text, &len, &why) != 0) {
        complain(loading, 0, why.text);
        return;
    }
    text[strcspn(text, "\r\n")] = '\0';
    loading->config->admin_token = text;
    if (strlen(text) >= MIN_TOKEN)
        return;
    (void) error_set(&why, UV_EINVAL,
                     "the token in the first line of %s is shorter than %d characters: 'openssl "
                     "rand -hex 32' makes a good one",
                     path, MIN_TOKEN);
    complain(loading, 0, why.text);
}

static void complain_of_auth(void *context, const char *text)
{
    complain(context, 0, text);
}

/* The tokens and keys. Not where the program only makes a token, for a file that may not exist. */
static void read_auth(struct loading *loading)
{
    struct server_options *options = &loading->config->options;
    const struct auth_sources sources = {
        .token_file = options->token_file,
        .jwt_keys = options->jwt_keys,
        .jwt_key_count = options->jwt_key_count,
        .jwt_issuer = options->jwt_issuer,
        .jwt_audience = options->jwt_audience,
        .jwt_leeway = options->jwt_leeway,
        .jwt_allow_no_expiry = options->jwt_allow_no_expiry,
        .cookie = options->auth_cookie,
        .users = loading->config->_users.principals,
        .user_count = loading->config->_users.count,
    };

    if (loading->status == 0 && options->new_token == NULL && !options->help && !options->version)
        (void) auth_load(&loading->config->auth, &sources, complain_of_auth, loading);
}

/* Sections may ask for users where there are none, or give rights that nobody could have. */
static void check_sections(struct loading *loading)
{
    const struct config *config = loading->config;

    if (server_options_authenticate(&config->options))
        return;
    for (size_t i = 0; i < config->rules.count; i++) {
        const struct channel_settings *settings = &config->rules.list[i].settings;

        if (settings->may_subscribe == CHANNEL_AUTHORIZED ||
            settings->may_publish == CHANNEL_AUTHORIZED)
            complain(loading, config->_sections.list[i].line,
                     "'authorized' needs a source of users: token-file or jwt-key in [server]");
    }
    for (size_t i = 0; i < config->_users.count; i++)
        complain(loading, config->_users.list[i].line,
                 "[user NAME] needs a source of users: give token-file or jwt-key in [server], or "
                 "remove the section");
}

/* ---- all of it ---- */

int config_load(struct config **config, int argc, char **argv,
                void (*complain_to)(void *context, const char *text), void *context)
{
    struct config *fresh = calloc(1, sizeof *fresh);
    struct loading loading = {.config = fresh,
                              .errors = {&loading, complain},
                              .complain = complain_to,
                              .context = context};

    struct server_options seen;
    struct error why;

    if (fresh == NULL) {
        complain(&loading, 0, "out of memory");
        return UV_ENOMEM;
    }
    atomic_init(&fresh->_refs, 1);
    server_options_init(&fresh->options);
    server_options_init(&seen);
    parse(&loading, argc, argv, &seen, on_seen);
    if (loading.status == 0 && seen.config_file != NULL && !seen.help && !seen.version)
        read_file(&loading, seen.config_file);
    if (loading.status == 0)
        parse(&loading, argc, argv, &fresh->options, on_given);
    if (loading.status == 0 && server_options_settle(&fresh->options, &why) != 0)
        complain_of_usage(&loading, &why);
    if (!seen.help && !seen.version) /* all that is wrong is told */
        channel_sections_settle(&fresh->_sections, &fresh->options, &fresh->rules, &loading.errors);
    check_sections(&loading);
    read_admin_token(&loading);
    read_auth(&loading);
    if (loading.status != 0) {
        config_unref(fresh);
        return loading.status;
    }
    *config = fresh;
    return 0;
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->_refs, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (atomic_fetch_sub_explicit(&config->_refs, 1, memory_order_acq_rel) > 1)
        return;
    channel_sections_deinit(&config->_sections);
    free((void *) config->rules.list);
    free(config->admin_token);
    auth_free(config->auth);
    user_sections_deinit(&config->_users);
    free(config->_values);
    free(config->_file);
    free(config);
}
