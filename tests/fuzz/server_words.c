#include "tests/fuzz/server_words.h"

#include "common/websocket/frame.h"

__attribute__((format(printf, 2, 3))) static void send_text(struct memory_end *end,
                                                            const char *format, ...)
{
    char text[1024];
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fuzz_check(len > 0 && (size_t) len < sizeof text, "a request is too long");
    memory_end_send(end, text, (size_t) len);
}

/* ---- requests ---- */

void server_words_target(struct server_words_target *target, uint8_t flags, struct event_id last)
{
    unsigned back = flags >> 4;
    char id[EVENT_ID_SIZE];

    *target = (struct server_words_target){.path = (flags & 8) != 0 ? "/ws/a" : "/ws"};
    switch (flags & 7) {
    case 0:
        break;
    case 1:
        (void) snprintf(target->query, sizeof target->query, "?history=all");
        break;
    case 2:
        (void) snprintf(target->query, sizeof target->query, "?history=%u", back);
        break;
    case 3: /* a place that it has been told, */
        last.sequence = last.sequence > back ? last.sequence - back : 0;
        (void) snprintf(target->query, sizeof target->query, "?last_event_id=%s",
                        event_id_print(last, id));
        break;
    case 4: /* the same in a field, */
        last.sequence = last.sequence > back ? last.sequence - back : 0;
        (void) snprintf(target->field, sizeof target->field, "Last-Event-ID: %s\r\n",
                        event_id_print(last, id));
        break;
    case 5: /* the beginning, */
        last.sequence = 0;
        (void) snprintf(target->field, sizeof target->field, "Last-Event-ID: %s\r\n",
                        event_id_print(last, id));
        break;
    case 6: /* a place in another log, */
        last.epoch ^= 1;
        (void) snprintf(target->field, sizeof target->field, "Last-Event-ID: %s\r\n",
                        event_id_print(last, id));
        break;
    case 7: /* and one that is to come */
        last.sequence += 1 + back;
        (void) snprintf(target->query, sizeof target->query, "?last_event_id=%s",
                        event_id_print(last, id));
        break;
    }
}

void server_words_upgrade(struct memory_end *end, const struct server_words_target *target,
                          uint8_t offer)
{
    static const char *const offers[] = {
        "",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n",
        "Sec-WebSocket-Extensions: x, permessage-deflate; server_no_context_takeover\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=16\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n",
    };

    send_text(end,
              "GET %s%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s\r\n",
              target->path, target->query, target->field, offers[offer % 10]);
}

void server_words_listen(struct memory_end *end, const struct server_words_target *target)
{
    send_text(end, "GET %s%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s\r\n",
              target->path, target->query, target->field);
}

void server_words_pages(struct memory_end *end, const struct server_words_target *target,
                        uint8_t flags)
{
    static const unsigned limits[] = {100, 1, 3, 1000};

    for (unsigned i = 0; i <= (flags >> 1 & 7U); i++)
        send_text(end,
                  "%s %s%s%climit=%u HTTP/1.1\r\nHost: localhost\r\n"
                  "Accept: application/json\r\n%s\r\n",
                  (flags & 1) != 0 ? "HEAD" : "GET", target->path, target->query,
                  target->query[0] != '\0' ? '&' : '?', limits[flags >> 4 & 3], target->field);
}

void server_words_ask(struct memory_end *end, uint8_t flags)
{
    static const char *const asked[] = {
        "GET /ws?info",   "GET /ws/a?info",        "HEAD /ws?info", "GET /channels",
        "HEAD /channels", "GET /channels?limit=1", "OPTIONS /ws",   "GET /elsewhere",
    };

    for (unsigned i = 0; i <= (flags >> 3 & 15U); i++)
        send_text(end, "%s HTTP/1.1\r\nHost: localhost\r\n\r\n", asked[flags & 7]);
}

void server_words_post(struct memory_end *end, const char *path, uint8_t flags,
                       struct fuzz_input body)
{
    static const char *const types[] = {"text/plain", "application/octet-stream",
                                        "application/json", "application/x-ndjson"};

    for (unsigned i = 0; i <= (flags >> 4 & 7U); i++) {
        send_text(end, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n", path,
                  types[flags & 3]);
        if ((flags & 4) == 0) {
            send_text(end, "Content-Length: %zu\r\n\r\n", body.len);
            memory_end_send(end, body.data, body.len);
            continue;
        }
        send_text(end, "Transfer-Encoding: chunked\r\n\r\n");
        if (body.len > 0) {
            send_text(end, "%zx\r\n", body.len);
            memory_end_send(end, body.data, body.len);
            send_text(end, "\r\n");
        }
        send_text(end, "0\r\n\r\n");
    }
}

void server_words_lines(struct memory_end *end, const char *path, size_t lines, size_t len,
                        char filler)
{
    struct buffer line = {0};
    char safe = filler >= ' ' && filler != '"' && filler != '\\' && filler != 127 ? filler : 'x';

    fuzz_check(buffer_reserve(&line, len + 3) == 0 && line.data != NULL, "out of memory");
    line.data[0] = line.data[len + 1] = '"';
    memset(line.data + 1, safe, len);
    line.data[len + 2] = '\n';
    send_text(end,
              "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
              "Content-Length: %zu\r\n\r\n",
              path, lines * (len + 3));
    for (size_t i = 0; i < lines; i++)
        memory_end_send(end, line.data, len + 3);
    buffer_deinit(&line);
}

void server_words_unfinished(struct memory_end *end, const char *path, size_t len)
{
    uint8_t *body = malloc(len + 1);

    fuzz_check(body != NULL, "out of memory");
    memset(body, 'x', len);
    send_text(end, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", path,
              len + 1);
    memory_end_send(end, body, len);
    free(body);
}

/* ---- frames ---- */

void server_words_frame(struct memory_end *end, uint8_t first, const uint8_t *payload, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t head[FRAME_MAX_HEADER] = {first};
    size_t head_len = 2;
    uint8_t *masked = fuzz_copy(payload, len);

    if (len < 126) {
        head[1] = (uint8_t) (0x80 | len);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t) (len >> 8);
        head[3] = (uint8_t) len;
        head_len = 4;
    }
    memcpy(head + head_len, key, sizeof key);
    for (size_t i = 0; i < len; i++)
        masked[i] ^= key[i % sizeof key];
    memory_end_send(end, head, head_len + sizeof key);
    memory_end_send(end, masked, len);
    free(masked);
}

void server_words_long_frame(struct memory_end *end, uint8_t first, size_t len, uint8_t filler)
{
    uint8_t *payload = malloc(len + 1);

    fuzz_check(payload != NULL, "out of memory");
    memset(payload, filler, len);
    server_words_frame(end, first, payload, len);
    free(payload);
}

void server_words_deflated(struct memory_end *end, struct deflater *deflater, uint8_t opcode,
                           const void *text, size_t len)
{
    struct frame_part part = {text, len};
    struct frame_part small;

    if (deflater_deflate(deflater, 8, &part, 1, &small))
        server_words_frame(end, 0x80 | 0x40 | (opcode & 3), small.data, small.len);
    else if (len < 65536)
        server_words_frame(end, 0x80 | (opcode & 3), text, len);
}
