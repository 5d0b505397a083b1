/* The work account, in the real worker: input that costs much is spread over turns, and others are
 * heard in between. */
#include "tests/unit/stage.h"

enum {
    TEXT = 1024 * 1024, /* bytes of a message, which compress to 1 KiB */
    MESSAGES = 40,
    A_TURN = 8, /* of them may be heard in one turn, at most */
};

struct scene {
    struct memory_end attacker;
    struct memory_end other;
    uint64_t before;   /* messages, by the end of the turn before */
    uint64_t most;     /* that were published in one turn */
    uint64_t at_ping;  /* that were published when the other's ping was answered */
    unsigned answered; /* in which turn that was; 0: not yet */
};

static void send_frame(struct memory_end *end, uint8_t first, const uint8_t *payload, size_t len)
{
    uint8_t head[] = {first, (uint8_t) (len < 126 ? 0x80 | len : 0x80 | 126), 0, 0, 0, 0, 0, 0};

    assert_true(len < 65536);
    head[2] = (uint8_t) (len >> 8);
    head[3] = (uint8_t) len;
    if (len < 126)
        head[2] = head[3] = 0;
    memory_end_send(end, head, len < 126 ? 6 : 8); /* the masking key is 0 */
    memory_end_send(end, payload, len);
}

static void attack(struct memory_end *end)
{
    static uint8_t text[TEXT];
    struct frame_part part = {text, sizeof text}, small;
    struct deflater *deflater;

    memset(text, 'x', sizeof text);
    assert_int_equal(deflater_new(&deflater, 1), 0);
    assert_true(deflater_deflate(deflater, 15, &part, 1, &small));
    for (unsigned i = 0; i < MESSAGES; i++)
        send_frame(end, 0x80 | 0x40 | FRAME_TEXT, small.data, small.len);
    deflater_free(deflater);
}

static void look(struct stage *stage, struct scene *scene)
{
    uint64_t published = channel_last_id(stage->channel).sequence;

    if (published - scene->before > scene->most)
        scene->most = published - scene->before;
    scene->before = published;
    if (scene->answered == 0 && stage_has(&scene->other, "\x8a\x04here")) {
        scene->answered = stage->turn;
        scene->at_ping = published;
    }
    if (published == MESSAGES && scene->answered > 0 && !stage->stopped) {
        stage_stop(stage);
        memory_end_finish(&scene->attacker, UV_EOF);
        memory_end_finish(&scene->other, UV_EOF);
    }
}

static void act(struct stage *stage)
{
    struct scene *scene = stage->scene;

    if (stage->turn == 1) {
        stage_arrive(stage, &scene->attacker, NULL);
        stage_upgrade(
            &scene->attacker, "/said",
            "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n");
        stage_arrive(stage, &scene->other, NULL);
        stage_upgrade(&scene->other, "", "");
        memory_end_pump(&scene->attacker);
        memory_end_pump(&scene->other);
        assert_int_equal(channels_find(&stage->channels, "said", 4, &stage->channel), 0);
    }
    look(stage, scene);
    if (stage->turn == 3)
        attack(&scene->attacker);
    if (stage->turn == 4)
        send_frame(&scene->other, 0x80 | FRAME_PING, (const uint8_t *) "here", 4);
    memory_end_pump(&scene->attacker);
    memory_end_pump(&scene->other);
}

static void test_costly_input_is_spread_over_turns_and_others_are_heard(void **state)
{
    struct scene scene = {.most = 0};
    struct stage stage;

    (void) state;
    stage_init(&stage, act, &scene, 2000);
    stage_open(&stage);
    stage_play(&stage);
    assert_in_range(scene.most, 1, A_TURN);
    assert_in_range(scene.at_ping, 0, MESSAGES / 2);
    memory_end_deinit(&scene.attacker);
    memory_end_deinit(&scene.other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costly_input_is_spread_over_turns_and_others_are_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
