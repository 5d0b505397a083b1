#include "client/output/render.h"

#include <inttypes.h>
#include <string.h>
#include <uv.h>

#include "common/base/base64.h"
#include "common/base/encode.h"
#include "common/base/json.h"

static const char received[] = "Received: ";

int render_init(struct render *render, const struct render_config *config, struct error *error)
{
    struct buffer *end = &render->_json_end;
    int status = 0;

    *render = (struct render){._config = *config};
    render->_view = (struct json_view){
        .pretty = config->pretty, .colour = config->colour, .escaped = config->escaped};
    render->_viewed = config->pretty || config->colour || config->escaped;
    render->_plain = config->mode <= RENDER_RAW && config->stamps == STAMP_NONE && !render->_viewed;
    if (config->mode == RENDER_FORMAT)
        return format_init(&render->_format, config->format, error);
    if (config->mode != RENDER_JSON)
        return 0;
    status = buffer_append(end, ",\"url\":", strlen(",\"url\":"));
    if (status == 0)
        status = json_append_string(end, config->url, strlen(config->url));
    if (status == 0)
        status = buffer_append(end, "}", 1);
    if (status != 0) {
        render_deinit(render);
        return error_set(error, status, "out of memory");
    }
    return 0;
}

void render_deinit(struct render *render)
{
    format_deinit(&render->_format);
    buffer_deinit(&render->_json_end);
    buffer_deinit(&render->_json);
}

bool render_wants_time(const struct render *render)
{
    const struct render_config *config = &render->_config;

    return config->stamps != STAMP_NONE || config->mode == RENDER_JSON ||
           (config->mode == RENDER_FORMAT && format_is_timed(&render->_format));
}

bool render_wants_id(const struct render *render)
{
    const struct render_config *config = &render->_config;

    return config->mode == RENDER_JSON ||
           (config->mode == RENDER_FORMAT && format_is_identified(&render->_format));
}

/* ---- JSON ---- */

/* {"time":"…","type":"text","data" or {"time":"…","type":"binary","base64" */
static int append_json_begin(struct render *render, struct buffer *out,
                             const struct message *message)
{
    static const char begin[] = "{\"time\":\"";
    static const char text[] = "\",\"type\":\"text\",\"data\":";
    static const char binary[] = "\",\"type\":\"binary\",\"base64\":";
    char stamp[STAMP_MAX];
    size_t len = stamp_iso(&render->_stamps, stamp, message->time);
    int status = buffer_append(out, begin, sizeof begin - 1);

    if (status == 0)
        status = buffer_append(out, stamp, len);
    if (status != 0)
        return status;
    return message->opcode == FRAME_TEXT ? buffer_append(out, text, sizeof text - 1)
                                         : buffer_append(out, binary, sizeof binary - 1);
}

static int append_json_payload(struct buffer *out, const struct message *message)
{
    int status;

    if (message->opcode == FRAME_TEXT)
        return json_append_string(out, message->data, message->len);
    status = buffer_append(out, "\"", 1);
    if (status == 0)
        status = base64_append(out, message->data, message->len);
    return status != 0 ? status : buffer_append(out, "\"", 1);
}

/* A number, or a text that is as true as a number in conditions, where null is not. */
static int append_json_gap(struct buffer *out, uint64_t gap)
{
    if (gap == POSITION_UNKNOWN)
        return buffer_printf(out, ",\"gap\":\"unknown\"");
    return gap > 0 ? buffer_printf(out, ",\"gap\":%" PRIu64, gap) : 0;
}

static int append_json(struct render *render, struct buffer *out, const struct message *message)
{
    static const char id[] = ",\"id\":";
    int status = append_json_begin(render, out, message);

    if (status == 0)
        status = append_json_payload(out, message);
    if (status == 0 && *message->id != '\0') {
        status = buffer_append(out, id, sizeof id - 1);
        if (status == 0)
            status = json_append_string(out, message->id, strlen(message->id));
    }
    if (status == 0)
        status = append_json_gap(out, message->gap);
    if (status == 0)
        status = buffer_append(out, render->_json_end.data, render->_json_end.len);
    return status;
}

/* The same for people. */
static int append_json_view(struct render *render, struct buffer *out,
                            const struct message *message)
{
    int status;

    if (!render->_config.pretty && !render->_config.colour)
        return append_json(render, out, message);
    render->_json.len = 0;
    status = append_json(render, &render->_json, message);
    if (status != 0)
        return status;
    if (!json_view_is_for(render->_json.data, render->_json.len))
        return buffer_append(out, render->_json.data, render->_json.len);
    return json_view_append(&render->_view, out, render->_json.data, render->_json.len);
}

/* ---- all of them ---- */

static int append_payload(const struct render *render, struct buffer *out,
                          const struct message *message)
{
    if (render->_viewed && message->opcode == FRAME_TEXT &&
        json_view_is_for(message->data, message->len))
        return json_view_append(&render->_view, out, message->data, message->len);
    return format_append_payload(out, message, render->_config.escaped);
}

/* The time, and a space. */
static int append_stamp(struct render *render, struct buffer *out, const struct message *message)
{
    char text[STAMP_MAX];
    size_t len;

    switch (render->_config.stamps) {
    case STAMP_ISO:
        len = stamp_iso(&render->_stamps, text, message->time);
        break;
    case STAMP_LOCAL:
        len = stamp_local(&render->_local_stamps, text, message->time);
        break;
    case STAMP_EPOCH:
        len = stamp_seconds(text, message->time, 6);
        break;
    case STAMP_REL:
        len = stamp_seconds(text, message->since_start, 6);
        break;
    default:
        return 0;
    }
    text[len++] = ' ';
    return buffer_append(out, text, len);
}

static int append_format(struct render *render, struct buffer *out, const struct message *message)
{
    struct format_context context = {
        .url = render->_config.url,
        .escaped = render->_config.escaped,
        .number = render->_number,
        .stamps = &render->_stamps,
    };

    return format_append(&render->_format, out, message, &context);
}

static int append_body(struct render *render, struct buffer *out, const struct message *message)
{
    int status = 0;

    switch (render->_config.mode) {
    case RENDER_RECEIVED:
        status = buffer_append(out, received, sizeof received - 1);
        break;
    case RENDER_RAW:
        break;
    case RENDER_JSON:
        return append_json_view(render, out, message);
    case RENDER_HEX:
        return encode_hex(out, message->data, message->len, false);
    case RENDER_BASE64:
        return base64_append(out, message->data, message->len);
    case RENDER_FORMAT:
        return append_format(render, out, message);
    case RENDER_BYTES:
        return buffer_append(out, message->data, message->len);
    }
    if (status == 0)
        status = append_payload(render, out, message);
    return status;
}

static bool has_end(const struct render *render)
{
    if (render->_config.mode == RENDER_FORMAT)
        return format_is_ended(&render->_format);
    return render->_config.mode != RENDER_BYTES;
}

/* What wsrecv does all day: a text as it is, and its end. */
static int append_line(const struct render *render, struct buffer *out,
                       const struct message *message)
{
    size_t mark = render->_config.mode == RENDER_RECEIVED ? sizeof received - 1 : 0;
    size_t len = message->len;
    int status = buffer_reserve(out, mark + len + 1);
    uint8_t *at;

    if (status != 0)
        return status;
    at = out->data + out->len;
    out->len += mark + len + 1;
    if (mark > 0)
        memcpy(at, received, sizeof received - 1);
    at += mark;
    if (len > 0)
        memcpy(at, message->data, len);
    at[len] = render->_config.null ? '\0' : '\n';
    return 0;
}

/* Any message in any mode. Out of line, so that append_line does not pay for its stack. */
static __attribute__((noinline)) int append_dressed(struct render *render, struct buffer *out,
                                                    const struct message *message)
{
    int status = append_stamp(render, out, message);

    if (status == 0)
        status = append_body(render, out, message);
    if (status == 0 && has_end(render))
        status = buffer_append(out, render->_config.null ? "" : "\n", 1);
    return status;
}

int render_append(struct render *render, struct buffer *out, const struct message *message)
{
    render->_number++;
    return render->_plain && message->opcode == FRAME_TEXT ? append_line(render, out, message)
                                                           : append_dressed(render, out, message);
}
