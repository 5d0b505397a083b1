#include "server/broadcast/event_stream.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(enum frame_opcode opcode, const char *payload, size_t len, const char *expected)
{
    struct frame_part part = {payload, len};
    struct buffer out = {0};

    assert_int_equal(event_stream_add(&out, opcode, &part, 1), 0);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    assert_int_equal(event_stream_size(opcode, payload, len), out.len);
    buffer_deinit(&out);
}

static void text_is_lines_of_data_whatever_ends_them(void **state)
{
    (void) state;
    check(FRAME_TEXT, "hello", 5, "data: hello\n\n");
    check(FRAME_TEXT, "", 0, "data:\n\n");
    check(FRAME_TEXT, "a\nb", 3, "data: a\ndata: b\n\n");
    check(FRAME_TEXT, "a\r\nb", 4, "data: a\ndata: b\n\n");
    check(FRAME_TEXT, "a\rb", 3, "data: a\ndata: b\n\n");
    check(FRAME_TEXT, "a\n", 2, "data: a\ndata:\n\n");
    check(FRAME_TEXT, "\n\n", 2, "data:\ndata:\ndata:\n\n");
    check(FRAME_TEXT, "\r", 1, "data:\ndata:\n\n");
    check(FRAME_TEXT, " a", 2, "data:  a\n\n");
    check(FRAME_TEXT, "event: x\n\nid: 5", 15, "data: event: x\ndata:\ndata: id: 5\n\n");
}

static void binary_is_base64_in_events_of_its_own_type(void **state)
{
    (void) state;
    check(FRAME_BINARY, "", 0, "event: binary\ndata: \n\n");
    check(FRAME_BINARY, "\0\n\xff", 3, "event: binary\ndata: AAr/\n\n");
    check(FRAME_BINARY, "abcd", 4, "event: binary\ndata: YWJjZA==\n\n");
}

static void parts_are_put_together_before_lines_are_cut(void **state)
{
    static const struct frame_part parts[] = {{"Message: a\r", 11}, {NULL, 0}, {"\nb", 2}};
    static const char expected[] = "kept data: Message: a\ndata: b\n\n";
    struct buffer out = {0};

    (void) state;
    assert_int_equal(buffer_append(&out, "kept ", 5), 0);
    assert_int_equal(event_stream_add(&out, FRAME_TEXT, parts, 3), 0);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    buffer_deinit(&out);
}

/* A stranger chooses the message; what it becomes is held for each listener that is behind. */
static void a_newline_becomes_six_bytes(void **state)
{
    enum { LINES = 1000 };
    char newlines[LINES];

    (void) state;
    memset(newlines, '\n', LINES);
    assert_int_equal(event_stream_size(FRAME_TEXT, newlines, LINES), 6 * (LINES + 1) + 1);
}

static void check_pieces(enum frame_opcode opcode, const char *payload, size_t len, size_t room)
{
    struct frame_part part = {payload, len};
    struct buffer whole = {0}, pieces = {0};
    struct event_stream_progress progress = {0};

    assert_int_equal(event_stream_add(&whole, opcode, &part, 1), 0);
    while (!progress.done) {
        uint8_t *piece = malloc(room); /* of its own: a sanitizer sees what is behind it */
        size_t written;

        assert_non_null(piece);
        written = event_stream_write(piece, room, opcode, payload, len, &progress);
        assert_in_range(written, 1, room);
        assert_int_equal(buffer_append(&pieces, piece, written), 0);
        free(piece);
    }
    assert_int_equal(event_stream_write(NULL, 0, opcode, payload, len, &progress), 0);
    assert_int_equal(pieces.len, whole.len);
    assert_memory_equal(pieces.data, whole.data, whole.len);
    buffer_deinit(&pieces);
    buffer_deinit(&whole);
}

static void pieces_of_any_size_make_the_same_event(void **state)
{
    static const char bytes[] = {'\n', '\r', 'a', 'b'};
    char text[1200];
    unsigned seed = 7;

    (void) state;
    for (unsigned round = 0; round < 300; round++) {
        size_t len = (unsigned) rand_r(&seed) % (round < 200 ? 40 : sizeof text);
        unsigned rare = round % 3 == 0 ? 1 : 100; /* long lines, or short ones */

        for (size_t i = 0; i < len; i++) {
            unsigned drawn = (unsigned) rand_r(&seed);

            text[i] = drawn % rare == 0 ? bytes[drawn / rare % sizeof bytes] : 'x';
        }
        for (size_t room = EVENT_STREAM_MIN_ROOM; room < EVENT_STREAM_MIN_ROOM + 8; room++) {
            check_pieces(FRAME_TEXT, text, len, room);
            check_pieces(FRAME_BINARY, text, len, room);
        }
    }
}

static void an_event_begins_with_its_id(void **state)
{
    char line[EVENT_STREAM_MAX_ID + 1];
    size_t len = event_stream_write_id(line, (struct event_id){UINT64_MAX, UINT64_MAX});

    (void) state;
    assert_in_range(len, 1, EVENT_STREAM_MAX_ID);
    assert_memory_equal(line, "id: ffffffffffffffff-18446744073709551615\n", len);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_lines_of_data_whatever_ends_them),
        cmocka_unit_test(binary_is_base64_in_events_of_its_own_type),
        cmocka_unit_test(parts_are_put_together_before_lines_are_cut),
        cmocka_unit_test(a_newline_becomes_six_bytes),
        cmocka_unit_test(pieces_of_any_size_make_the_same_event),
        cmocka_unit_test(an_event_begins_with_its_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
