#include "common/http/http_response.h"

#include <string.h>
#include <time.h>

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "Refused";
}

/* RFC 9110, 5.6.7; strftime(3) would use the language of the locale. */
static int write_date(struct buffer *out)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm at;

    if (gmtime_r(&now, &at) == NULL)
        return 0; /* the clock is centuries off: omit the date (RFC 9110, 6.6.1) */
    return buffer_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[at.tm_wday],
                         at.tm_mday, months[at.tm_mon], at.tm_year + 1900, at.tm_hour, at.tm_min,
                         at.tm_sec);
}

int http_response_write(struct buffer *out, const struct http_response *answer)
{
    int status =
        buffer_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, reason_phrase(answer->status));

    if (status == 0)
        status = write_date(out);
    if (status == 0)
        status = buffer_printf(out, "%sConnection: %s\r\nVary: Origin, Accept\r\n",
                               answer->fields != NULL ? answer->fields : "", answer->connection);
    if (status == 0 && answer->origin != NULL)
        status = buffer_printf(
            out,
            "Access-Control-Allow-Origin: %s\r\n"
            "Access-Control-Expose-Headers: Last-Event-ID, Live-Event-ID, Retry-After\r\n",
            answer->origin);
    if (status == 0 && answer->origin != NULL && answer->credentials &&
        strcmp(answer->origin, "*") != 0)
        status = buffer_printf(out, "Access-Control-Allow-Credentials: true\r\n");
    if (status == 0 && answer->type != NULL)
        status = buffer_printf(out, "Content-Type: %s\r\n", answer->type);
    if (status == 0 && answer->chunked)
        status = buffer_printf(out, "Transfer-Encoding: chunked\r\n");
    else if (status == 0 && answer->body != NULL)
        status = buffer_printf(out, "Content-Length: %zu\r\n", answer->len);
    if (status == 0)
        status = buffer_append(out, "\r\n", 2);
    if (status == 0 && answer->body != NULL && !answer->head_only)
        status = buffer_append(out, answer->body, answer->len);
    return status;
}
