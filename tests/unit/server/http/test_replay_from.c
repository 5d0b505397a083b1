#include "server/http/replay_from.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ID "9f86d081884c7d65-7"
#define OTHER "9f86d081884c7d65-9"

static int check_by(int (*parse)(const struct http_head *, const struct request_target *,
                                 struct channel_replay_from *, const char **),
                    const char *query, const char *fields, struct channel_replay_from *from)
{
    char text[512];
    int len = snprintf(text, sizeof text, "GET /ws%s HTTP/1.1\r\nHost: h\r\n%s\r\n", query, fields);
    struct http_head head;
    struct request_target target;
    const char *why = NULL;
    size_t used;
    int status;

    assert_in_range(len, 1, sizeof text - 1);
    http_head_init(&head, HTTP_HEAD_REQUEST);
    assert_int_equal(http_head_feed(&head, (const uint8_t *) text, (size_t) len, &used),
                     HTTP_HEAD_DONE);
    assert_int_equal(request_target_parse(&target, http_head_target(&head)), 0);
    status = parse(&head, &target, from, &why);
    assert_true(status == 0 || (status == UV_EINVAL && why != NULL));
    http_head_deinit(&head);
    return status;
}

static int check(const char *query, const char *fields, struct channel_replay_from *from)
{
    return check_by(replay_from_parse, query, fields, from);
}

static void each_form_is_understood(void **state)
{
    struct channel_replay_from from;

    (void) state;
    assert_int_equal(check("", "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_NOW);
    assert_int_equal(check("?x=5", "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_NOW);
    assert_int_equal(check("?history=12", "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_LAST);
    assert_int_equal(from.count, 12);
    assert_int_equal(check("?history=all", "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ALL);
    assert_int_equal(check("?last_event_id=" ID, "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_true(from.id.epoch == 0x9f86d081884c7d65 && from.id.sequence == 7);
    assert_int_equal(check("", "Last-Event-ID: " ID "\r\n", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(from.id.sequence, 7);
    assert_int_equal(check("?history=99999999999999999999999999999999", "", &from), 0);
    assert_true(from.count > UINT32_MAX);
}

static void an_id_says_more_than_a_history_and_the_field_more_than_the_query(void **state)
{
    struct channel_replay_from from;

    (void) state;
    assert_int_equal(check("?history=3&last_event_id=" ID, "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(check("?history=3", "Last-Event-ID: " ID "\r\n", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(check("?last_event_id=" ID, "Last-Event-ID: " OTHER "\r\n", &from), 0);
    assert_int_equal(from.id.sequence, 9);
}

static void what_is_no_place_is_refused(void **state)
{
    static const char *const queries[] = {
        "?history=",
        "?history",
        "?history=-1",
        "?history=1x",
        "?history=All",
        "?history=1&history=1",
        "?last_event_id=5",
        "?last_event_id=9f86d081884c7d65-70x",
        "?last_event_id=9f86d081884c7d65-7&last_event_id=9f86d081884c7d65-7",
    };
    struct channel_replay_from from;

    (void) state;
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        if (check(queries[i], "", &from) != UV_EINVAL)
            fail_msg("%s was taken", queries[i]);
    }
    assert_int_equal(check("", "Last-Event-ID: x\r\n", &from), UV_EINVAL);
    assert_int_equal(check("", "Last-Event-ID: " ID "\r\nLast-Event-ID: " ID "\r\n", &from),
                     UV_EINVAL);
}

static void an_empty_id_is_none(void **state)
{
    struct channel_replay_from from;

    (void) state;
    assert_int_equal(check("?last_event_id=", "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_NOW);
    assert_int_equal(check("", "Last-Event-ID:\r\n", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_NOW);
    assert_int_equal(check("?last_event_id=" ID, "Last-Event-ID: \r\n", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(check("?last_event_id&history=3", "Last-Event-ID:\r\n", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_LAST);
}

static void for_an_event_stream_an_id_that_is_not_ours_is_one_of_another_epoch(void **state)
{
    struct channel_replay_from from;

    (void) state;
    assert_int_equal(check_by(replay_from_parse_any, "", "Last-Event-ID: 17\r\n", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(check_by(replay_from_parse_any, "?last_event_id=x&history=3", "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(check_by(replay_from_parse_any, "?last_event_id=" ID, "", &from), 0);
    assert_int_equal(from.kind, CHANNEL_REPLAY_ID);
    assert_int_equal(check_by(replay_from_parse_any, "?history=x", "", &from), UV_EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_understood),
        cmocka_unit_test(an_id_says_more_than_a_history_and_the_field_more_than_the_query),
        cmocka_unit_test(what_is_no_place_is_refused),
        cmocka_unit_test(an_empty_id_is_none),
        cmocka_unit_test(for_an_event_stream_an_id_that_is_not_ours_is_one_of_another_epoch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
