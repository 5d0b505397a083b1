#include "client/target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "client/connect/request.h"
#include "common/base/escape.h"

int target_init(struct target *target, const struct client_options *options, struct error *error)
{
    char *url = url_complete(options->url);
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
    free(target->_authorization);
    target->_authorization = NULL;
}

const struct url *target_url(const struct target *target)
{
    return target->_away.text != NULL ? &target->_away : &target->_home;
}

struct client_handshake_request target_request(const struct target *target)
{
    const struct url *url = target_url(target);

    return request_for(target->_options, url, target->_authorization,
                       url_same_origin(url, &target->_home));
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
