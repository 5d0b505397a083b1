#include "client/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "client/connect/request.h"
#include "common/base/escape.h"

static void forget(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

/* The user's URL with the parameters of --query; NULL when out of memory. */
static char *complete(const struct client_options *options)
{
    char *url = url_complete(options->url);

    if (options->sse && url != NULL && strncasecmp(url, "ws", 2) == 0) {
        char *other = NULL;

        if (asprintf(&other, "http%s", url + 2) < 0)
            other = NULL;
        free(url);
        url = other;
    }
    for (size_t i = 0; url != NULL && i < options->queries.count; i++) {
        char *longer = NULL;

        if (asprintf(&longer, "%s%c%s", url, strchr(url, '?') == NULL ? '?' : '&',
                     options->queries.items[i]) < 0)
            longer = NULL;
        free(url);
        url = longer;
    }
    return url;
}

int target_init(struct target *target, const struct client_options *options, struct error *error)
{
    char *url = complete(options);
    int status;

    *target = (struct target){._options = options};
    if (url == NULL)
        return error_set(error, UV_ENOMEM, "out of memory");
    status = url_init(&target->_home, url, error);
    free(url);
    if (status == 0 && target->_home.events &&
        (options->send || options->messages.count > 0 || options->echo))
        status = error_set(error, UV_EINVAL,
                           "%s is for an event stream, which sends nothing: write ws:// or wss:// "
                           "for -m, -s and --echo",
                           target->_home.text);
    if (status == 0 && !target->_home.events && options->events.count > 0)
        status = error_set(error, UV_EINVAL,
                           "option '--event' is for an event stream: --sse, or an http:// URL");
    if (status == 0)
        status = request_load_credentials(&target->_authorization, options, &target->_home, error);
    if (status == 0)
        status = header_fields_load(&target->_fields, &options->headers, error);
    target->_fresh = true;
    if (status != 0)
        target_deinit(target);
    return status;
}

void target_deinit(struct target *target)
{
    url_deinit(&target->_home);
    url_deinit(&target->_away);
    cookies_deinit(&target->_cookies);
    header_fields_deinit(&target->_fields);
    forget(&target->_refused);
    forget(&target->_authorization);
}

const struct url *target_url(const struct target *target)
{
    return target->_away.text != NULL ? &target->_away : &target->_home;
}

struct client_handshake_request target_request(struct target *target)
{
    const struct url *url = target_url(target);
    const struct request_secrets secrets = {
        .trusted = url_same_origin(url, &target->_home),
        .authorization = target->_authorization,
        .fields = &target->_fields,
        .cookies = cookies_for(&target->_cookies, url),
    };

    return request_for(target->_options, url, &secrets);
}

/* ---- credentials that change ---- */

static int reload(struct target *target, struct error *error)
{
    const struct client_options *options = target->_options;
    char *authorization = NULL;
    int status = request_reload_credentials(&authorization, options, error);

    if (status == 0)
        status = header_fields_load(&target->_fields, &options->headers, error);
    if (status == 0 && authorization != NULL) {
        forget(&target->_authorization);
        target->_authorization = authorization;
        return 0;
    }
    forget(&authorization);
    return status;
}

int target_refresh(struct target *target, struct error *error)
{
    bool fresh = target->_fresh;

    target->_fresh = false;
    return fresh ? 0 : reload(target, error);
}

int target_set_token(struct target *target, const char *token, struct error *error)
{
    char *authorization = NULL;
    int status =
        request_make_bearer(&authorization, token, "the command of --token-command", error);

    if (status != 0)
        return status;
    forget(&target->_authorization);
    target->_authorization = authorization;
    return 0;
}

static char *copy_of(const char *secret)
{
    return secret != NULL ? strdup(secret) : NULL;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The first time another token may be better; not when it was the same once more. */
static bool may_get_another(struct target *target)
{
    bool again = !same(target->_refused, target->_authorization);

    forget(&target->_refused);
    target->_refused = copy_of(target->_authorization);
    return again;
}

static bool have_changed(const struct string_list *before, const struct string_list *after)
{
    if (before->count != after->count)
        return true;
    for (size_t i = 0; i < after->count; i++) {
        if (strcmp(before->items[i], after->items[i]) != 0)
            return true;
    }
    return false;
}

bool target_may_differ(struct target *target)
{
    struct header_fields before = target->_fields;
    char *authorization;
    struct error error;
    bool changed = false;

    if (target->_options->token_command != NULL)
        return may_get_another(target);
    authorization = copy_of(target->_authorization);
    target->_fields = (struct header_fields){.host = NULL};
    if (reload(target, &error) == 0) {
        changed = !same(authorization, target->_authorization) ||
                  have_changed(&before.lines, &target->_fields.lines);
        header_fields_deinit(&before);
        target->_fresh = true;
    } else {
        header_fields_deinit(&target->_fields);
        target->_fields = before;
    }
    forget(&authorization);
    return changed;
}

const struct string_list *target_fields(const struct target *target)
{
    return &target->_fields.lines;
}

void target_keep_cookies(struct target *target, const struct http_head *head)
{
    cookies_keep(&target->_cookies, target_url(target), head);
}

int target_redirect(struct target *target, const char *location, struct error *error)
{
    const struct url *from = target_url(target);
    char visible[256], shown[256];
    struct error why;
    struct url url;
    char *text = NULL;
    int status;

    (void) url_show_invalid(visible, sizeof visible, location);
    escape_text(shown, sizeof shown, visible, strlen(visible));
    if (target->_redirections == target->_options->max_redirs)
        return error_set(error, UV_ELOOP,
                         "%s: the server redirects to '%s', and that is more than the %" PRIu64
                         " redirections of --max-redirs",
                         from->text, shown, target->_options->max_redirs);
    status = url_resolve(&text, from, location, &why);
    if (status == 0)
        status = url_init(&url, text, &why);
    free(text);
    if (status != 0)
        return error_set(error, status, "%s: the server redirects to '%s': %s", from->text, shown,
                         why.text);
    if (from->secure && !url.secure) {
        url_deinit(&url);
        return error_set(error, UV_EPROTO,
                         "%s: the server redirects to '%s', where there is no TLS: not followed",
                         from->text, shown);
    }
    url_deinit(&target->_away);
    target->_away = url;
    target->_redirections++;
    return 0;
}

void target_reset(struct target *target)
{
    url_deinit(&target->_away);
    target->_redirections = 0;
}
