#include "client/connect/event_parser.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What was heard: "TYPE|ID|DATA;" for each event, "TYPE|ID;" without data. */
struct heard {
    struct buffer text;
    uint64_t retry;
    bool stops;
};

static bool on_event(void *owner, const struct event *event)
{
    struct heard *heard = owner;

    assert_int_equal(
        buffer_printf(&heard->text, "%s|%s", event->type, event->id != NULL ? event->id : "-"), 0);
    if (event->has_data) {
        assert_int_equal(buffer_append(&heard->text, "|", 1), 0);
        assert_int_equal(buffer_append(&heard->text, event->data, event->len), 0);
    }
    assert_int_equal(buffer_append(&heard->text, ";", 1), 0);
    return !heard->stops;
}

static void on_retry(void *owner, uint64_t milliseconds)
{
    ((struct heard *) owner)->retry = milliseconds;
}

static const struct event_parser_ops ops = {.on_event = on_event, .on_retry = on_retry};

/* Fed in pieces of `step` bytes. */
static enum event_parser_result feed(struct heard *heard, const char *text, size_t step)
{
    struct event_parser parser;
    enum event_parser_result result = EVENT_PARSER_MORE;
    size_t len = strlen(text);

    event_parser_init(&parser, 100, &ops, heard);
    for (size_t at = 0; at < len && result == EVENT_PARSER_MORE; at += step)
        result = event_parser_feed(&parser, (const uint8_t *) text + at,
                                   at + step < len ? step : len - at);
    event_parser_deinit(&parser);
    return result;
}

static void assert_heard(const char *text, const char *expected)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        struct heard heard = {.retry = 0};

        assert_int_equal(feed(&heard, text, step), EVENT_PARSER_MORE);
        if (heard.text.len != strlen(expected) ||
            (heard.text.len > 0 && memcmp(heard.text.data, expected, heard.text.len) != 0))
            fail_msg("in steps of %zu '%s' is '%.*s'", step, text, (int) heard.text.len,
                     (const char *) heard.text.data);
        buffer_deinit(&heard.text);
    }
}

static void events_are_as_the_standard_has_them(void **state)
{
    (void) state;
    assert_heard("data: a\n\ndata:b\r\n\r\ndata:  c\r\r", "message|-|a;message|-|b;message|-| c;");
    assert_heard("\xef\xbb\xbf"
                 "data: bom\n\n",
                 "message|-|bom;");
    assert_heard("data: a\ndata\ndata: b\n\n", "message|-|a\n\nb;");
    assert_heard("event: t\nid: 7\ndata: a\n\ndata: b\n\n", "t|7|a;message|-|b;");
    assert_heard("id: 7\n\nid\n\nevent: t\n\n: c\n\nother: x\n\n", "message|7;message|;");
    assert_heard("data: not ended\n", "");
}

static void retry_is_a_number(void **state)
{
    struct heard heard = {.retry = 7};

    (void) state;
    assert_int_equal(feed(&heard, "retry: 1x\nretry: -1\n\n", 3), EVENT_PARSER_MORE);
    assert_int_equal(heard.retry, 7);
    assert_int_equal(feed(&heard, "retry: 250\n\n", 3), EVENT_PARSER_MORE);
    assert_int_equal(heard.retry, 250);
}

static void it_stops_when_it_is_told_to(void **state)
{
    struct heard heard = {.stops = true};

    (void) state;
    assert_int_equal(feed(&heard, "data: a\n\ndata: b\n\n", 100), EVENT_PARSER_STOPPED);
    assert_int_equal(heard.text.len, strlen("message|-|a;"));
    buffer_deinit(&heard.text);
}

static void what_is_too_long_is_refused_also_without_an_end(void **state)
{
    static char text[8192];
    struct heard heard = {.retry = 0};

    (void) state;
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(feed(&heard, text, 100), EVENT_PARSER_TOO_LONG);
    memcpy(text, "data:", 5);
    text[200] = '\n';
    assert_int_equal(feed(&heard, text, sizeof text), EVENT_PARSER_TOO_LONG);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_as_the_standard_has_them),
        cmocka_unit_test(retry_is_a_number),
        cmocka_unit_test(it_stops_when_it_is_told_to),
        cmocka_unit_test(what_is_too_long_is_refused_also_without_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
