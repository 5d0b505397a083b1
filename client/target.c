#include "client/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "client/connect/request.h"
#include "common/base/escape.h"

/* The user's URL with the parameters of --query; NULL when out of memory. */
static char *complete(const struct client_options *options)
{
    char *url = url_complete(options->url);

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
    if (status == 0)
        status = request_load_credentials(&target->_authorization, options, &target->_home, error);
    if (status != 0)
        target_deinit(target);
    return status;
}

void target_deinit(struct target *target)
{
    url_deinit(&target->_home);
    url_deinit(&target->_away);
    if (target->_authorization != NULL)
        explicit_bzero(target->_authorization, strlen(target->_authorization));
    cookies_deinit(&target->_cookies);
    free(target->_authorization);
    target->_authorization = NULL;
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
        .fields = &target->_options->fields,
        .cookies = cookies_for(&target->_cookies, url),
    };

    return request_for(target->_options, url, &secrets);
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
