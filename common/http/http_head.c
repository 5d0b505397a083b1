#include "common/http/http_head.h"

#include <string.h>
#include <strings.h>

#include "common/base/list.h"

/* Parser callbacks answer 0 to go on; any other answer stops llhttp with that error. */
enum { STOP = -1 };

enum { MAX_INTERIM = 16 }; /* responses before the final one */

static struct http_head *head_of(llhttp_t *parser)
{
    return container_of(parser, struct http_head, _parser);
}

static int reject(struct http_head *head, int status, const char *why)
{
    head->status = status;
    head->why = why;
    return STOP;
}

static int reject_for(struct http_head *head, const char *limit, int status, const char *why)
{
    head->limit = limit;
    return reject(head, status, why);
}

static struct http_field *field_at(const struct http_head *head, size_t i)
{
    return (struct http_field *) (void *) head->_fields.data + i;
}

static int append(struct http_head *head, const char *text, size_t len)
{
    if (buffer_append(&head->_text, text, len) != 0)
        return reject(head, 503, "out of memory");
    return 0;
}

/* Ends the string that is being collected: only now can it be asked for. */
static int end_string(llhttp_t *parser)
{
    struct http_head *head = head_of(parser);
    int status = append(head, "", 1);

    if (status == 0)
        head->_complete = head->_text.len;
    return status;
}

static uint32_t text_end(const struct http_head *head)
{
    return (uint32_t) head->_text.len;
}

static int on_method_complete(llhttp_t *parser)
{
    struct http_head *head = head_of(parser);
    const char *name = llhttp_method_name((llhttp_method_t) parser->method);

    head->_method = text_end(head);
    return append(head, name, strlen(name)) == 0 ? end_string(parser) : STOP;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = head_of(parser);

    if (head->_target == 0)
        head->_target = text_end(head);
    if (head->_text.len - head->_target + len > head->_max_bytes / 2)
        return reject_for(head, "max-header-bytes", 414, "the request target is too long");
    return append(head, at, len);
}

static int on_status(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = head_of(parser);

    if (head->_reason == 0)
        head->_reason = text_end(head);
    return append(head, at, len);
}

/* llhttp accepts other protocols if the method fits (RTSP, ICE): their name is before `at`. */
static int on_version(llhttp_t *parser, const char *at, size_t len)
{
    static const char name[5] = {'H', 'T', 'T', 'P', '/'};
    struct http_head *head = head_of(parser);
    size_t here = (size_t) (at - head->_input);
    char before[sizeof name];

    (void) len;
    if (head->_version_seen)
        return 0;
    head->_version_seen = true;
    if (here > sizeof name)
        here = sizeof name;
    memcpy(before, head->_before + here, sizeof name - here);
    memcpy(before + sizeof name - here, at - here, here);
    if (memcmp(before, name, sizeof name) != 0)
        return reject(head, 400, "this is not HTTP");
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = head_of(parser);

    if (head->_in_value || head->_count == 0) {
        struct http_field field = {._name = text_end(head)};

        if (head->_count == head->_max_fields)
            return reject_for(head, "max-header-count", 431, "too many header fields");
        if (buffer_append(&head->_fields, &field, sizeof field) != 0)
            return reject(head, 503, "out of memory");
        head->_in_value = false;
        head->_count++;
    }
    return append(head, at, len);
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct http_head *head = head_of(parser);

    if (head->_count == 0 || head->_in_value ||
        head->_text.len == field_at(head, head->_count - 1)->_name)
        return reject(head, 400, "a header field has no name");
    return end_string(parser);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = head_of(parser);

    if (!head->_in_value) {
        head->_in_value = true;
        field_at(head, head->_count - 1)->_value = text_end(head);
    } else if (at != head->_input || head->_before[sizeof head->_before - 1] == '\n') {
        /* A value goes on where it was cut, at the front of the input; or on a new line. */
        return reject(head, 400, "a header field is folded onto a second line");
    }
    return append(head, at, len);
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_head *head = head_of(parser);
    const uint8_t *text = head->_text.data;

    if (!head->_in_value) { /* an empty value may come without a span */
        head->_in_value = true;
        field_at(head, head->_count - 1)->_value = text_end(head);
    }
    while (head->_text.len > field_at(head, head->_count - 1)->_value &&
           (text[head->_text.len - 1] == ' ' || text[head->_text.len - 1] == '\t'))
        head->_text.len--; /* the value ends before its trailing white space */
    return end_string(parser);
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_head *head = head_of(parser);

    head->major = parser->http_major;
    head->minor = parser->http_minor;
    head->has_body = (parser->flags & F_CHUNKED) != 0 || parser->content_length > 0;
    head->keep_alive = llhttp_should_keep_alive(parser) != 0;
    if ((parser->flags & F_TRANSFER_ENCODING) != 0 && (parser->flags & F_CHUNKED) == 0)
        return reject(head, 400,
                      "the length of the body is unknown: send Content-Length"); /* RFC 9112, 6.3 */
    return HPE_PAUSED; /* the head ends here */
}

static const llhttp_settings_t http_head_settings = {
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_url_complete = end_string,
    .on_version = on_version,
    .on_status = on_status,
    .on_status_complete = end_string,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
};

void http_head_init(struct http_head *head, enum http_head_kind kind)
{
    *head = (struct http_head){
        ._max_bytes = HTTP_HEAD_MAX_BYTES,
        ._max_fields = HTTP_HEAD_MAX_FIELDS,
    };
    llhttp_init(&head->_parser, kind == HTTP_HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
                &http_head_settings);
}

void http_head_deinit(struct http_head *head)
{
    buffer_deinit(&head->_text);
    buffer_deinit(&head->_fields);
}

size_t http_head_held(const struct http_head *head)
{
    return head->_text._size + head->_fields._size;
}

void http_head_limit(struct http_head *head, uint64_t bytes, uint64_t fields)
{
    head->_max_bytes = bytes > 0 && bytes < UINT32_MAX ? (size_t) bytes : UINT32_MAX;
    head->_max_fields = fields > 0 && fields < UINT32_MAX ? (size_t) fields : UINT32_MAX;
}

/* Translates an error of llhttp for the sender of the head. */
static void explain(struct http_head *head, llhttp_errno_t error)
{
    const llhttp_t *parser = &head->_parser;

    if (head->why != NULL)
        return; /* a callback has set it */
    /* llhttp 9 calls it a bad version, too, if what follows "HTTP/1.1" is no CRLF. */
    if (error == HPE_PAUSED_H2_UPGRADE ||
        (error == HPE_INVALID_VERSION && !(parser->http_major == 1 && parser->http_minor <= 1)))
        (void) reject(head, 505, "only HTTP/1.1 is supported");
    else
        (void) reject(head, 400, "this is not a well-formed HTTP/1.1 message");
}

static enum http_head_result finish(struct http_head *head)
{
    if (head->major != 1) {
        (void) reject(head, 505, "only HTTP/1.1 is supported");
        return HTTP_HEAD_BAD;
    }
    if (head->_parser.type != HTTP_RESPONSE)
        return HTTP_HEAD_DONE;
    head->status = head->_parser.status_code;
    if (head->status < 100) { /* a status code has three digits: RFC 9112, 4 */
        (void) reject(head, 400, "the status code of the response is not valid");
        return HTTP_HEAD_BAD;
    }
    return HTTP_HEAD_DONE;
}

/* Keeps the last bytes of the input, for callbacks that look back across two feeds. */
static void remember(struct http_head *head, const uint8_t *data, size_t len)
{
    size_t size = sizeof head->_before;

    if (len > size) {
        data += len - size;
        len = size;
    }
    memmove(head->_before, head->_before + len, size - len);
    memcpy(head->_before + size - len, data, len);
}

/* Feeds one head. */
static enum http_head_result feed(struct http_head *head, const uint8_t *data, size_t len,
                                  size_t *used)
{
    size_t room = head->_max_bytes - head->_seen;
    size_t taken = len < room ? len : room;
    llhttp_errno_t error;

    /* The first byte of the text is a NUL, so that offset 0 is the empty string. */
    if (head->_text.len == 0 && end_string(&head->_parser) != 0)
        return HTTP_HEAD_BAD;
    head->_input = (const char *) data;
    error = llhttp_execute(&head->_parser, (const char *) data, taken);
    if (error == HPE_PAUSED) {
        const char *end = llhttp_get_error_pos(&head->_parser);

        *used = (size_t) (end - (const char *) data);
        head->_seen += *used;
        return finish(head);
    }
    *used = taken;
    head->_seen += taken;
    remember(head, data, taken);
    if (error != HPE_OK) {
        explain(head, error);
        return HTTP_HEAD_BAD;
    }
    if (taken < len) {
        (void) reject_for(head, "max-header-bytes", 431, "the head is too large");
        return HTTP_HEAD_BAD;
    }
    return HTTP_HEAD_MORE;
}

/* RFC 9110, 15.2: another response follows. 101 is the last one of HTTP. */
static bool is_interim(const struct http_head *head)
{
    return head->_parser.type == HTTP_RESPONSE && head->status < 200 && head->status != 101;
}

/* Drops a head; the bytes of the next one are added to its count. */
static void begin_anew(struct http_head *head)
{
    struct http_head fresh;

    http_head_init(&fresh, HTTP_HEAD_RESPONSE);
    fresh._max_bytes = head->_max_bytes;
    fresh._max_fields = head->_max_fields;
    fresh._seen = head->_seen;
    fresh._interim = head->_interim;
    fresh._text = head->_text;
    fresh._text.len = 0;
    fresh._fields = head->_fields;
    fresh._fields.len = 0;
    *head = fresh;
}

enum http_head_result http_head_feed(struct http_head *head, const uint8_t *data, size_t len,
                                     size_t *used)
{
    enum http_head_result result;
    size_t of_one = 0;

    *used = 0;
    do {
        *used += of_one;
        if (of_one > 0)
            begin_anew(head);
        result = feed(head, data + *used, len - *used, &of_one);
    } while (result == HTTP_HEAD_DONE && is_interim(head) && head->_interim++ < MAX_INTERIM);
    *used += of_one;
    if (result == HTTP_HEAD_DONE && is_interim(head)) {
        (void) reject(head, 400, "too many interim responses");
        return HTTP_HEAD_BAD;
    }
    return result;
}

static const char *string_at(const struct http_head *head, uint32_t offset)
{
    return offset < head->_complete ? (const char *) head->_text.data + offset : "";
}

const char *http_head_method(const struct http_head *head)
{
    return string_at(head, head->_method);
}

const char *http_head_target(const struct http_head *head)
{
    return string_at(head, head->_target);
}

const char *http_head_reason(const struct http_head *head)
{
    return string_at(head, head->_reason);
}

/* The index of the next field of this name, `from` on; the number of fields when there is none. */
static size_t next_field(const struct http_head *head, const char *name, size_t from)
{
    while (from < head->_count &&
           strcasecmp(string_at(head, field_at(head, from)->_name), name) != 0)
        from++;
    return from;
}

size_t http_head_count(const struct http_head *head, const char *name)
{
    size_t count = 0;

    for (size_t i = next_field(head, name, 0); i < head->_count; i = next_field(head, name, i + 1))
        count++;
    return count;
}

const char *http_head_next(const struct http_head *head, const char *name, size_t *cursor)
{
    size_t i = next_field(head, name, *cursor);

    *cursor = i + 1;
    return i < head->_count ? string_at(head, field_at(head, i)->_value) : NULL;
}

const char *http_head_get(const struct http_head *head, const char *name)
{
    size_t cursor = 0;

    return http_head_next(head, name, &cursor);
}

static bool list_has_token(const char *list, const char *token)
{
    size_t len = strlen(token);

    while (*list != '\0') {
        size_t member;

        list += strspn(list, ", \t");
        member = strcspn(list, ", \t");
        if (member == len && strncasecmp(list, token, len) == 0) {
            const char *after = list + member + strspn(list + member, " \t");

            if (*after == ',' || *after == '\0')
                return true;
        }
        list += strcspn(list, ",");
    }
    return false;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
    size_t cursor = 0;
    const char *list;

    while ((list = http_head_next(head, name, &cursor)) != NULL) {
        if (list_has_token(list, token))
            return true;
    }
    return false;
}

bool http_head_accepts(const struct http_head *head, const char *type)
{
    size_t len = strlen(type), cursor = 0;
    const char *list;

    while ((list = http_head_next(head, "Accept", &cursor)) != NULL) {
        while (*list != '\0') {
            list += strspn(list, ", \t");
            if (strncasecmp(list, type, len) == 0 && strchr("; \t,", list[len]) != NULL)
                return true; /* strchr finds the NUL as well */
            list += strcspn(list, ",");
        }
    }
    return false;
}
