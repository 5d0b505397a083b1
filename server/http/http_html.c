#include "server/http/http_html.h"

#include <string.h>

const char http_html_fields[] = "Content-Security-Policy: default-src 'none'\r\n"
                                "X-Content-Type-Options: nosniff\r\n";

/* Appends text, with the characters that HTML gives a meaning escaped (WHATWG HTML, 13.1.4). */
static int append_text(struct buffer *out, const char *text)
{
    int status = 0;

    while (*text != '\0' && status == 0) {
        size_t plain = strcspn(text, "&<>\"'");

        status = buffer_append(out, text, plain);
        text += plain;
        if (*text != '\0' && status == 0)
            status = buffer_printf(out, "&#%d;", *text++);
    }
    return status;
}

/* Appends a template, in which each '%' stands for the path; "%/" never becomes two slashes. */
static int append_template(struct buffer *out, const char *template, const char *path)
{
    int status = 0;

    while (*template != '\0' && status == 0) {
        size_t plain = strcspn(template, "%");

        status = buffer_append(out, template, plain);
        template += plain;
        if (*template == '%' && status == 0) {
            status = append_text(out, path);
            template += template[1] == '/' && path[strlen(path) - 1] == '/' ? 2 : 1;
        }
    }
    return status;
}

static const char template[] =
    "<h1>A WebSocket broadcast server</h1>\n"
    "<p>This address is for programs:</p>\n"
    "<dl>\n"
    "<dt>WebSocket</dt><dd>connect to <code>%</code>, or to <code>%/NAME</code> for another "
    "channel: each message from a client goes to every client of the channel</dd>\n"
    "<dt>POST</dt><dd>publishes its body: <code>curl -d hello http://HOST%</code></dd>\n"
    "<dt>Event streams</dt><dd>a GET with <code>Accept: text/event-stream</code> subscribes: "
    "<code>new EventSource(&quot;%&quot;)</code></dd>\n"
    "<dt>JSON</dt><dd>a GET with <code>Accept: application/json</code> reads the history; "
    "<code>%?info</code> tells how many are subscribed</dd>\n"
    "</dl>\n";

int http_html_write(struct buffer *out, int status, const char *why, const char *path)
{
    int result =
        buffer_printf(out, "<!doctype html>\n<html lang=\"en\">\n<title>%swsbroadcastd</title>\n",
                      why != NULL ? "Refused: " : "");

    if (result == 0)
        result = append_template(out, template, path);
    if (why == NULL)
        return result;
    if (result == 0)
        result = buffer_printf(out, "<p>%d: ", status);
    if (result == 0)
        result = append_text(out, why);
    return result == 0 ? buffer_append(out, "</p>\n", 5) : result;
}
