#include "server/broadcast/publication.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/publishing.h"

static const char repetitive[] =
    "again and again and again and again and again and again and again and again and again";

/* Three messages: in two parts and worth compressing, short, and binary. */
static const struct frame_part long_parts[] = {{"Message: ", 9}, {repetitive, 86}};
static const struct frame_part short_part = {"two\nlines", 9};
static const struct channel_item items[] = {
    {FRAME_TEXT, long_parts, 2, 0},
    {FRAME_TEXT, &short_part, 1, 0},
    {FRAME_BINARY, &short_part, 1, 7},
};

enum { COUNT = sizeof items / sizeof *items };

static void check_frame(const struct publication_unit *unit, struct frame_encoder *encoder,
                        enum frame_opcode opcode, size_t payload)
{
    uint8_t out[256];
    struct frame_part got;

    assert_true(unit->size <= sizeof out);
    publication_write(unit, encoder, out);
    assert_int_equal(frame_look(out, &got), opcode);
    assert_int_equal((out[0] & 0x40) != 0, unit->compressed); /* RSV1 */
    assert_int_equal(unit->size, frame_size(false, got.len));
    if (unit->compressed)
        assert_in_range(got.len, 1, payload / 2);
    else
        assert_int_equal(got.len, payload);
}

static void a_message_is_written_in_the_form_of_each_log(void **state)
{
    static const size_t payloads[] = {95, 9, 9};
    static const char *const events[] = {NULL, "data: two\ndata: lines\n\n",
                                         "event: binary\ndata: dHdvCmxpbmVz\n\n"};
    struct channel_publisher publisher;
    struct publication publication;
    struct publication_unit unit;
    struct frame_part id = {"id: 1\n", 6}, none = {"", 0};
    uint8_t out[256];

    (void) state;
    assert_true(publishing_init(&publisher));
    assert_int_equal(publication_init(&publication, items, COUNT), 0);
    publication_deflate(&publication, &publisher, 15);
    assert_int_equal(publication_add_events(&publication), 0);
    for (size_t i = 0; i < COUNT; i++) {
        publication_unit(&publication, i, CHANNEL_LOG_PLAIN, none, &unit);
        assert_false(unit.compressed);
        check_frame(&unit, publisher.encoder, items[i].opcode, payloads[i]);
        publication_unit(&publication, i, CHANNEL_LOG_DEFLATED, none, &unit);
        assert_int_equal(unit.compressed, i == 0);
        check_frame(&unit, publisher.encoder, items[i].opcode, payloads[i]);
        publication_unit(&publication, i, CHANNEL_LOG_IDS, id, &unit);
        publication_write(&unit, publisher.encoder, out);
        assert_int_equal(frame_look(out, &none), items[i].opcode);
        assert_int_equal(none.len, payloads[i] + 2);
        assert_int_equal(unit.size, frame_size(false, none.len));
        assert_memory_equal(none.data, "1\n", 2);
        publication_unit(&publication, i, CHANNEL_LOG_EVENTS, id, &unit);
        assert_true(unit.size <= sizeof out);
        publication_write(&unit, publisher.encoder, out);
        assert_memory_equal(out, id.data, id.len);
        if (events[i] != NULL) {
            assert_int_equal(unit.size, id.len + strlen(events[i]));
            assert_memory_equal(out + id.len, events[i], strlen(events[i]));
        }
    }
    publication_deinit(&publication);
    publishing_deinit(&publisher);
}

/* For a reader with a smaller window than it was deflated for. */
static void what_must_not_be_compressed_goes_out_as_it_is(void **state)
{
    struct channel_publisher publisher;
    struct publication publication;
    struct publication_unit unit;

    (void) state;
    assert_true(publishing_init(&publisher));
    assert_int_equal(publication_init(&publication, items, 1), 0);
    publication_deflate(&publication, &publisher, 15);
    publication.bits = 0;
    publication_unit(&publication, 0, CHANNEL_LOG_DEFLATED, (struct frame_part){"", 0}, &unit);
    assert_false(unit.compressed);
    check_frame(&unit, publisher.encoder, FRAME_TEXT, 95);
    publication_deinit(&publication);
    publishing_deinit(&publisher);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_written_in_the_form_of_each_log),
        cmocka_unit_test(what_must_not_be_compressed_goes_out_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
