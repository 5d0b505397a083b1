#include "server/http/assets.h"

#include <string.h>

#include "common/http/http_response.h"
#include "server/http/services.h"
#include "server/page/page_asset.h"

bool assets_is_served_to(const struct request *request)
{
    const struct server_options *options = request->services->options;

    return !options->no_page && (options->page != NULL || request->local_only) &&
           !request->is_handshake;
}

bool assets_page_is_wanted(const struct request *request)
{
    return assets_is_served_to(request) && request_accepts(request, "text/html");
}

/* If-None-Match (RFC 9110, 13.1.2): a proxy that compresses may have weakened what it passed on. */
static bool is_known(const struct request *request, const struct page_asset *asset)
{
    const char *field;
    size_t cursor = 0;

    while ((field = http_head_next(request->head, "If-None-Match", &cursor)) != NULL) {
        if (strstr(field, asset->etag) != NULL)
            return true;
    }
    return false;
}

static enum request_outcome show(struct request *request, const struct page_asset *asset)
{
    const struct page_asset_form *form =
        http_head_has_token(request->head, "Accept-Encoding", "gzip") ? &asset->gzip
                                                                      : &asset->plain;
    struct response *response = &request->response;

    response->fields = form->fields;
    response->revalidates = true;
    if (is_known(request, asset)) {
        response->status = 304;
        return REQUEST_ANSWERED;
    }
    response->type = asset->type;
    response->work = form->len;
    if (buffer_append(&response->body, form->data, form->len) != 0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return REQUEST_ANSWERED;
}

enum request_outcome assets_page(struct request *request)
{
    request->response.endpoint = request->services->options->path;
    return show(request, page_asset_find("/", 1));
}

enum request_outcome assets_dashboard(struct request *request)
{
    static const char path[] = "/dashboard";

    return show(request, page_asset_find(path, sizeof path - 1));
}

enum request_outcome assets_file(struct request *request)
{
    const struct page_asset *asset =
        page_asset_find(request->target.path, request->target.path_len);

    if (asset == NULL) /* the path is spelled with %XX */
        return request_refuse(request, 404, "nothing is served at this path");
    return show(request, asset);
}
