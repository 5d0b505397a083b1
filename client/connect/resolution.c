#include "client/connect/resolution.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"

enum { MAX_ADDRESSES = 32 }; /* of a host, that are tried */

struct resolution {
    uv_getaddrinfo_t request;
    void *owner;
    resolution_cb on_end; /* NULL: cancelled */
};

static size_t collect(const struct addrinfo *list, struct sockaddr_storage *addresses)
{
    size_t count = 0;

    for (; list != NULL && count < MAX_ADDRESSES; list = list->ai_next) {
        if (list->ai_addrlen > sizeof *addresses)
            continue;
        addresses[count] = (struct sockaddr_storage){0};
        memcpy(&addresses[count++], list->ai_addr, list->ai_addrlen);
    }
    return count;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct resolution *resolution = container_of(request, struct resolution, request);
    struct sockaddr_storage addresses[MAX_ADDRESSES];
    size_t count = status == 0 ? collect(list, addresses) : 0;
    void *owner = resolution->owner;
    resolution_cb on_end = resolution->on_end;

    uv_freeaddrinfo(list);
    free(resolution);
    if (status == 0 && count == 0)
        status = UV_EAI_NODATA;
    if (on_end != NULL)
        on_end(owner, status, addresses, count);
}

int resolution_start(struct resolution **resolution, uv_loop_t *loop,
                     const struct resolution_query *query, void *owner, resolution_cb on_end)
{
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV,
        .ai_family = query->family,
        .ai_socktype = SOCK_STREAM,
    };
    char service[6];
    int status;

    *resolution = calloc(1, sizeof **resolution);
    if (*resolution == NULL)
        return UV_ENOMEM;
    (*resolution)->owner = owner;
    (*resolution)->on_end = on_end;
    (void) snprintf(service, sizeof service, "%u", query->port);
    status =
        uv_getaddrinfo(loop, &(*resolution)->request, on_resolved, query->host, service, &hints);
    if (status != 0) {
        free(*resolution);
        *resolution = NULL;
    }
    return status;
}

bool resolution_cancel(struct resolution *resolution)
{
    resolution->on_end = NULL;
    return uv_cancel((uv_req_t *) &resolution->request) != UV_EBUSY;
}
