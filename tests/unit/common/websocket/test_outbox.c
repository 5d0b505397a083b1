#include "common/websocket/outbox.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* An outbox of a server, and all that was written of it. */
struct rig {
    struct outbox outbox;
    struct outbox_coder coder;
    struct buffer written;
};

static void init_rig(struct rig *rig)
{
    *rig = (struct rig){.coder = {.server = true}};
    assert_int_equal(frame_encoder_new(&rig->coder.encoder, false), 0);
}

static void deinit_rig(struct rig *rig)
{
    outbox_deinit(&rig->outbox);
    buffer_deinit(&rig->written);
    frame_encoder_free(rig->coder.encoder);
}

static void add(struct rig *rig, const char *text)
{
    assert_int_equal(outbox_add(&rig->outbox, &rig->coder, FRAME_TEXT, text, strlen(text)), 0);
}

static void add_pong(struct rig *rig, const char *data)
{
    assert_int_equal(outbox_add_pong(&rig->outbox, &rig->coder, data, strlen(data)), 0);
}

/* Writes `len` bytes as a flush does: frames, then pongs. */
static void write_some(struct rig *rig, size_t len)
{
    const struct outbox *outbox = &rig->outbox;
    size_t of_frames = len < outbox->frames.len ? len : outbox->frames.len;

    assert_in_range(len, 0, outbox->frames.len + outbox->pongs.len);
    assert_int_equal(buffer_append(&rig->written, outbox->frames.data, of_frames), 0);
    assert_int_equal(buffer_append(&rig->written, outbox->pongs.data, len - of_frames), 0);
    assert_int_equal(outbox_drop(&rig->outbox, len), 0);
}

static size_t waiting(const struct rig *rig)
{
    return rig->outbox.frames.len + rig->outbox.pongs.len;
}

/* What was written is these frames, each as its opcode in hexadecimal and its payload. */
static void check_written(const struct rig *rig, const char *expected)
{
    char got[256] = "";

    for (size_t at = 0; at < rig->written.len;) {
        const uint8_t *frame = rig->written.data + at;
        uint64_t len = frame_length(frame);
        size_t end = strlen(got);

        assert_in_range(len, 2, rig->written.len - at);
        (void) snprintf(got + end, sizeof got - end, "%s%x%.*s", at > 0 ? " " : "", frame[0] & 0xf,
                        (int) len - 2, (const char *) frame + 2);
        at += len;
    }
    assert_string_equal(got, expected);
}

static void whatever_is_written_at_once_all_frames_come_whole_and_in_order(void **state)
{
    (void) state;
    for (size_t first = 0; first <= 19; first++) {
        struct rig rig;

        init_rig(&rig);
        add(&rig, "one");
        add(&rig, "two");
        add_pong(&rig, "p");
        add_pong(&rig, "pp");
        assert_int_equal(waiting(&rig), 17);
        write_some(&rig, first < 17 ? first : 17);
        while (waiting(&rig) > 0)
            write_some(&rig, 1);
        check_written(&rig, "1one 1two ap app");
        assert_true(outbox_is_empty(&rig.outbox));
        deinit_rig(&rig);
    }
}

/* A message that was caused by what came behind a ping does not overtake the answer to it. */
static void own_frames_leave_in_the_order_in_which_they_were_added(void **state)
{
    (void) state;
    for (size_t first = 0; first <= 20; first++) {
        struct rig rig;

        init_rig(&rig);
        add_pong(&rig, "p");
        add(&rig, "one");
        add_pong(&rig, "pp");
        add_pong(&rig, "ppp");
        add(&rig, "2");
        assert_int_equal(waiting(&rig), 20);
        write_some(&rig, first);
        while (waiting(&rig) > 0)
            write_some(&rig, 1);
        check_written(&rig, "ap 1one app appp 12");
        deinit_rig(&rig);
    }
}

/* Only pongs between the same two frames replace each other. */
static void a_flood_of_pings_drops_pongs_and_reorders_none(void **state)
{
    struct rig rig;

    (void) state;
    init_rig(&rig);
    add_pong(&rig, "before");
    add(&rig, "own");
    for (unsigned i = 0; i < 5000; i++)
        add_pong(&rig, "flood");
    assert_in_range(waiting(&rig), 20, 13 + 2048);
    add_pong(&rig, "newest");
    while (rig.outbox.frames.len > 0)
        write_some(&rig, 1);
    check_written(&rig, "abefore 1own");
    assert_memory_equal(rig.outbox.pongs.data + rig.outbox.pongs.len - 6, "newest", 6);
    deinit_rig(&rig);
}

/* However many pings come before the rest of a pong is written, that comes first, and whole. */
static void pongs_that_were_begun_are_not_replaced_by_newer_ones(void **state)
{
    (void) state;
    for (size_t begun = 1; begun <= 6; begun++) {
        struct rig rig;

        init_rig(&rig);
        add_pong(&rig, "p1");
        add_pong(&rig, "p2");
        write_some(&rig, begun);
        for (unsigned i = 0; i < 5000; i++)
            add_pong(&rig, "later");
        assert_in_range(waiting(&rig), 8 - begun, 8 - begun + 2048);
        while (rig.outbox.frames.len > 0)
            write_some(&rig, 1);
        check_written(&rig, "ap1 ap2");
        assert_int_equal(rig.outbox.pongs.len % 7, 0);
        deinit_rig(&rig);
    }
}

static void of_many_pongs_the_newest_is_kept(void **state)
{
    struct rig rig;
    char data[8] = "";

    (void) state;
    init_rig(&rig);
    for (unsigned i = 0; i < 10000; i++) {
        (void) snprintf(data, sizeof data, "%05u", i);
        add_pong(&rig, data);
        assert_in_range(waiting(&rig), 7, 2048);
    }
    assert_memory_equal(rig.outbox.pongs.data + rig.outbox.pongs.len - 5, "09999", 5);
    deinit_rig(&rig);
}

static void the_close_waits_though_all_else_is_dropped(void **state)
{
    struct rig rig;

    (void) state;
    init_rig(&rig);
    assert_true(outbox_is_empty(&rig.outbox));
    add(&rig, "own");
    assert_int_equal(outbox_set_close(&rig.outbox, &rig.coder, CLOSE_POLICY, "too slow"), 0);
    assert_int_equal(rig.outbox.close_len, 2 + 2 + 8);
    write_some(&rig, 5);
    assert_int_equal(outbox_drop(&rig.outbox, 0), 0);
    assert_int_equal(waiting(&rig), 0);
    assert_false(outbox_is_empty(&rig.outbox));
    assert_memory_equal(rig.outbox.close, "\x88\x0a\x03\xf0too slow", 12);
    deinit_rig(&rig);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_written_at_once_all_frames_come_whole_and_in_order),
        cmocka_unit_test(own_frames_leave_in_the_order_in_which_they_were_added),
        cmocka_unit_test(a_flood_of_pings_drops_pongs_and_reorders_none),
        cmocka_unit_test(pongs_that_were_begun_are_not_replaced_by_newer_ones),
        cmocka_unit_test(of_many_pongs_the_newest_is_kept),
        cmocka_unit_test(the_close_waits_though_all_else_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
