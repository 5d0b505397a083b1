#include "server/admin/admin_control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/http_response.h"
#include "server/config/config.h"
#include "server/http/control.h"
#include "server/http/services.h"

/* ---- reload and drain ---- */

static void on_answered(void *asker, int status, const char *text)
{
    struct request *request = asker;
    struct response *response = &request->response;

    (void) snprintf(response->text, sizeof response->text, "%s", text);
    response->type = HTTP_RESPONSE_TEXT;
    response->status = 200;
    if (status != 0)
        response_refuse(response, 409, response->text);
    else if (buffer_printf(&response->body, "%s\n", text) != 0)
        response_refuse(response, 503, RESPONSE_OUT_OF_MEMORY);
    request_resume(request, REQUEST_ANSWERED);
}

static void forget(void *context)
{
    control_forget(context);
}

static enum request_outcome ask(struct request *request, enum control_wish wish)
{
    const struct services *services = request->services;
    struct control_ask *asked;

    if (control_ask(services->control, wish, services->desk->inbox, request, on_answered, &asked) !=
        0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return request_wait(request, forget, asked);
}

enum request_outcome admin_reload(struct request *request)
{
    return ask(request, CONTROL_RELOAD);
}

enum request_outcome admin_drain(struct request *request)
{
    return ask(request, CONTROL_DRAIN);
}

/* ---- the configuration ---- */

enum request_outcome admin_config(struct request *request)
{
    struct response *response = &request->response;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int status = UV_ENOMEM;

    if (out != NULL) {
        config_print(request->services->config, out);
        if (fclose(out) == 0)
            status = buffer_append(&response->body, text, len);
    }
    free(text);
    response->type = HTTP_RESPONSE_TEXT;
    response->status = 200;
    return status == 0 ? REQUEST_ANSWERED : request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
}

/* ---- history ---- */

enum request_outcome admin_forget_history(struct request *request)
{
    static const char before[] = "/channels/", behind[] = "/history", alone[] = "/channels/history";
    const struct request_target *target = &request->target;
    struct channels *channels = request->services->channels;
    struct request_target_channel name = {.len = 0};
    struct request_target_text text;
    struct channel *channel;

    if (target->path_len < sizeof alone - 1 ||
        memcmp(target->path + target->path_len - (sizeof behind - 1), behind, sizeof behind - 1) !=
            0)
        return request_refuse(request, 404,
                              "write DELETE /channels/NAME/history, or /channels/history for the "
                              "default channel");
    if (target->path_len > sizeof alone - 1) {
        text.data = target->path + sizeof before - 1;
        text.len = target->path_len - (sizeof before - 1) - (sizeof behind - 1);
        if (request_target_parse_channel(text, &name) != 0)
            return request_refuse(request, 404, "this is not a valid channel name");
    }
    if (channels_find(channels, name.name, name.len, &channel) != 0)
        return request_refuse(request, 404, "this channel does not exist now");
    channel_forget_history(channel);
    channels_unref(channels, channel);
    request->response.status = 200;
    request->response.type = HTTP_RESPONSE_TEXT;
    return buffer_printf(&request->response.body, "forgotten\n") == 0
               ? REQUEST_ANSWERED
               : request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
}
