#include "server/broadcast/replay.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "tests/unit/publishing.h"

static const char text[] = "a\n\n\r\n\"\x01\xc3\xbc and \\ more\r";

/* A channel that retains three messages: a text of many lines and escapes, a binary one, and none.
 */
struct past {
    struct histories histories;
    struct channel channel;
    struct channel_publisher publisher;
    struct buffer text;
};

static void begin(struct past *past)
{
    static const struct channel_settings settings = {.history = {.messages = 10}};
    struct frame_part part;

    *past = (struct past){0};
    assert_int_equal(histories_init(&past->histories), 0);
    assert_int_equal(channel_init(&past->channel, "", &past->histories), 0);
    channel_set_settings(&past->channel, &settings);
    assert_true(publishing_init(&past->publisher));
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(buffer_append(&past->text, text, sizeof text - 1), 0);
    part = (struct frame_part){past->text.data, past->text.len};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(channel_publish(&past->channel, &past->publisher,
                                         i == 1 ? FRAME_BINARY : FRAME_TEXT, &part, i < 2 ? 1 : 0,
                                         NULL),
                         0);
    }
}

static void end(struct past *past)
{
    channel_deinit(&past->channel);
    histories_deinit(&past->histories);
    publishing_deinit(&past->publisher);
    buffer_deinit(&past->text);
}

/* Renders everything, `most` bytes at a time; after each piece the place is that of the message. */
static void render(struct past *past, enum replay_encoding encoding, size_t most,
                   struct buffer *all)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    struct replay replay = {0};
    struct block_cursor cursor;
    struct event_id id;
    int status;

    *all = (struct buffer){0};
    assert_int_equal(channel_look_back(&past->channel, &from, &cursor, &id), 0);
    do {
        struct buffer piece = {0};

        if (!replay_is_within(&replay))
            id.sequence++;
        status = replay_message(&replay, encoding, &cursor, id, &piece, most);
        assert_int_equal(replay_is_within(&replay), status == UV_EAGAIN);
        assert_true(piece.len <= most);
        assert_true(status != UV_EAGAIN || piece.len > 0);
        if (status != UV_ENOENT)
            assert_int_equal(
                channel_id_at(&past->channel, &(struct channel_reader){.cursor = cursor}).sequence,
                id.sequence);
        assert_int_equal(buffer_append(all, piece.data, piece.len), 0);
        buffer_deinit(&piece);
    } while (status == 0 || status == UV_EAGAIN);
    assert_int_equal(status, UV_ENOENT);
    assert_int_equal(id.sequence, 4);
    block_log_leave(&cursor);
}

static void pieces_of_any_size_make_the_same_messages(void **state)
{
    struct past past;

    (void) state;
    begin(&past);
    for (enum replay_encoding encoding = REPLAY_EVENTS; encoding <= REPLAY_JSON; encoding++) {
        struct buffer whole;

        render(&past, encoding, SIZE_MAX / 2, &whole);
        for (size_t most = REPLAY_MIN_ROOM; most < REPLAY_MIN_ROOM + 40; most++) {
            struct buffer pieces;

            render(&past, encoding, most, &pieces);
            assert_int_equal(pieces.len, whole.len);
            assert_memory_equal(pieces.data, whole.data, whole.len);
            buffer_deinit(&pieces);
        }
        buffer_deinit(&whole);
    }
    end(&past);
}

/* Each piece is made of whole frames, which make the same messages. */
static void frames_with_ids_come_in_fragments(void **state)
{
    struct past past;

    (void) state;
    begin(&past);
    for (size_t most = REPLAY_MIN_ROOM; most < 600; most += 7) {
        size_t lines[3] = {0}, sizes[3] = {0}, message = 0;
        struct buffer all;
        bool within = false;

        render(&past, REPLAY_IDS, most, &all);
        for (size_t at = 0; at < all.len; at += frame_length(all.data + at)) {
            enum frame_opcode opcode;
            struct frame_part payload;
            const char *end;

            assert_true(message < 3);
            opcode = frame_look(all.data + at, &payload);
            assert_int_equal(opcode, within         ? FRAME_CONTINUATION
                                     : message == 1 ? FRAME_BINARY
                                                    : FRAME_TEXT);
            end = memchr(payload.data, '\n', payload.len);
            if (!within)
                lines[message] = (size_t) (end - (const char *) payload.data) + 1;
            sizes[message] += payload.len;
            within = (all.data[at] & 0x80) == 0;
            message += within ? 0 : 1;
        }
        assert_int_equal(message, 3);
        assert_false(within);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(lines[i], 16 + 3);
            assert_int_equal(sizes[i] - lines[i], i < 2 ? past.text.len : 0);
        }
        buffer_deinit(&all);
    }
    end(&past);
}

static void json_is_the_object_that_readers_expect(void **state)
{
    static const char empty[] = "\"type\": \"text\", \"data\": \"\"}";
    struct buffer all, string = {0};
    struct past past;

    (void) state;
    begin(&past);
    render(&past, REPLAY_JSON, SIZE_MAX / 2, &all);
    assert_int_equal(json_append_string(&string, past.text.data, past.text.len), 0);
    assert_memory_equal(all.data, "{\"id\": \"", 8);
    assert_non_null(memmem(all.data, all.len, string.data, string.len));
    assert_non_null(memmem(all.data, all.len, "\", \"type\": \"binary\", \"base64\": \"", 32));
    assert_memory_equal(all.data + all.len - sizeof empty + 1, empty, sizeof empty - 1);
    buffer_deinit(&string);
    buffer_deinit(&all);
    end(&past);
}

/* One that is given up within a message gets the rest of that one, and nothing behind it. */
static void within_a_message_it_is_read_to_its_end(void **state)
{
    const struct channel_replay_from from = {.kind = CHANNEL_REPLAY_ALL};
    struct replay replay = {0};
    struct block_cursor cursor;
    struct buffer out = {0};
    struct event_id id;
    struct past past;

    (void) state;
    begin(&past);
    assert_int_equal(channel_look_back(&past.channel, &from, &cursor, &id), 0);
    id.sequence++;
    assert_int_equal(replay_message(&replay, REPLAY_EVENTS, &cursor, id, &out, 200), UV_EAGAIN);
    block_log_give_up(&cursor);
    assert_false(block_log_is_over(&cursor));
    assert_int_equal(replay_message(&replay, REPLAY_EVENTS, &cursor, id, &out, SIZE_MAX / 2), 0);
    assert_memory_equal(out.data + out.len - 2, "\n\n", 2);
    assert_true(block_log_is_over(&cursor));
    block_log_leave(&cursor);
    buffer_deinit(&out);
    end(&past);
}

static void what_fits_is_told_without_making_it(void **state)
{
    static const uint8_t controls[100] = {1};
    struct channel_message message = {FRAME_TEXT, (const uint8_t *) "plain", 5, 7};

    (void) state;
    assert_true(replay_json_fits(&message, 100));
    assert_false(replay_json_fits(&message, 80));
    message = (struct channel_message){FRAME_TEXT, controls, sizeof controls, 0};
    assert_false(replay_json_fits(&message, 600));
    assert_true(replay_json_fits(&message, 700));
    message.opcode = FRAME_BINARY;
    assert_true(replay_json_fits(&message, 220));
    assert_false(replay_json_fits(&message, 210));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_any_size_make_the_same_messages),
        cmocka_unit_test(frames_with_ids_come_in_fragments),
        cmocka_unit_test(json_is_the_object_that_readers_expect),
        cmocka_unit_test(within_a_message_it_is_read_to_its_end),
        cmocka_unit_test(what_fits_is_told_without_making_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
