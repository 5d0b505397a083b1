#include "client/output/render.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIME "2026-11-23T01:32:07.186611Z"

static struct message message(enum frame_opcode opcode, const char *data, size_t len)
{
    return (struct message){
        .opcode = opcode,
        .data = (const uint8_t *) data,
        .len = len,
        .id = "",
        .time = 1795397527186611367,
        .since_start = 12345678,
    };
}

static void assert_rendered(const struct render_config *config, const struct message *message,
                            const void *bytes, size_t len)
{
    struct render render;
    struct buffer out = {0};
    struct error error;

    assert_int_equal(render_init(&render, config, &error), 0);
    assert_int_equal(render_append(&render, &out, message), 0);
    if (out.len != len || (len > 0 && memcmp(out.data, bytes, len) != 0))
        fail_msg("'%.*s' instead of '%.*s'", (int) out.len, (const char *) out.data, (int) len,
                 (const char *) bytes);
    buffer_deinit(&out);
    render_deinit(&render);
}

static void each_mode_has_its_form_for_text_and_for_binary(void **state)
{
    static const struct {
        struct render_config config;
        const char *text, *binary;
    } cases[] = {
        {{.mode = RENDER_RECEIVED}, "Received: a\tb\n", "Received: base64:/2E=\n"},
        {{.mode = RENDER_RAW}, "a\tb\n", "base64:/2E=\n"},
        {{.mode = RENDER_RAW, .escaped = true}, "a\\x09b\n", "base64:/2E=\n"},
        {{.mode = RENDER_HEX}, "610962\n", "ff61\n"},
        {{.mode = RENDER_BASE64}, "YQli\n", "/2E=\n"},
        {{.mode = RENDER_BYTES}, "a\tb", "\xff\x61"},
        {{.mode = RENDER_FORMAT, .format = "%n:%l"}, "1:3\n", "1:2\n"},
        {{.mode = RENDER_FORMAT, .format = "%l;\\c"}, "3;", "2;"},
        {{.mode = RENDER_JSON, .url = "ws://h/?a=\"b\""},
         "{\"time\":\"" TIME
         "\",\"type\":\"text\",\"data\":\"a\\tb\",\"url\":\"ws://h/?a=\\\"b\\\"\"}\n",
         "{\"time\":\"" TIME
         "\",\"type\":\"binary\",\"base64\":\"/2E=\",\"url\":\"ws://h/?a=\\\"b\\\"\"}\n"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message text = message(FRAME_TEXT, "a\tb", 3);
        struct message binary = message(FRAME_BINARY, "\xff\x61", 2);

        assert_rendered(&cases[i].config, &text, cases[i].text, strlen(cases[i].text));
        assert_rendered(&cases[i].config, &binary, cases[i].binary, strlen(cases[i].binary));
    }
}

static void a_nul_takes_the_place_of_the_newline(void **state)
{
    struct render_config raw = {.mode = RENDER_RAW, .null = true};
    struct render_config hex = {.mode = RENDER_HEX, .null = true};
    struct render_config format = {.mode = RENDER_FORMAT, .format = "%l", .null = true};
    struct message text = message(FRAME_TEXT, "a\nb", 3);

    (void) state;
    assert_rendered(&raw, &text, "a\nb\0", 4);
    assert_rendered(&hex, &text, "610a62\0", 7);
    assert_rendered(&format, &text, "3\0", 2);
}

static void a_timestamp_stands_first(void **state)
{
    static const struct {
        enum stamp_kind kind;
        const char *line;
    } cases[] = {
        {STAMP_ISO, TIME " x\n"},
        {STAMP_EPOCH, "1795397527.186611 x\n"},
        {STAMP_REL, "0.012345 x\n"},
    };
    struct message text = message(FRAME_TEXT, "x", 1);

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct render_config config = {.mode = RENDER_RAW, .stamps = cases[i].kind};

        assert_rendered(&config, &text, cases[i].line, strlen(cases[i].line));
    }
}

static void json_has_an_id_when_there_is_one(void **state)
{
    static const char line[] =
        "{\"time\":\"" TIME "\",\"type\":\"text\",\"data\":\"\",\"id\":\"ab-7\",\"url\":\"u\"}\n";
    struct render_config config = {.mode = RENDER_JSON, .url = "u"};
    struct message text = message(FRAME_TEXT, NULL, 0);

    (void) state;
    text.id = "ab-7";
    assert_rendered(&config, &text, line, sizeof line - 1);
}

static void json_tells_of_a_gap_before_the_message(void **state)
{
    static const char counted[] = "{\"time\":\"" TIME "\",\"type\":\"text\",\"data\":\"\","
                                  "\"id\":\"ab-7\",\"gap\":17,\"url\":\"u\"}\n";
    static const char unknown[] = "{\"time\":\"" TIME "\",\"type\":\"text\",\"data\":\"\","
                                  "\"id\":\"ab-7\",\"gap\":\"unknown\",\"url\":\"u\"}\n";
    struct render_config config = {.mode = RENDER_JSON, .url = "u"};
    struct message text = message(FRAME_TEXT, NULL, 0);

    (void) state;
    text.id = "ab-7";
    text.gap = 17;
    assert_rendered(&config, &text, counted, sizeof counted - 1);
    text.gap = POSITION_UNKNOWN;
    assert_rendered(&config, &text, unknown, sizeof unknown - 1);
}

static void ids_are_wanted_where_they_are_told(void **state)
{
    static const struct {
        struct render_config config;
        bool wanted;
    } cases[] = {
        {{.mode = RENDER_RAW, .stamps = STAMP_REL}, false},
        {{.mode = RENDER_JSON, .url = ""}, true},
        {{.mode = RENDER_FORMAT, .format = "%I %%i"}, false},
        {{.mode = RENDER_FORMAT, .format = "%p %i"}, true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct render render;
        struct error error;

        assert_int_equal(render_init(&render, &cases[i].config, &error), 0);
        assert_int_equal(render_wants_id(&render), cases[i].wanted);
        render_deinit(&render);
    }
}

static void times_are_wanted_where_they_are_told(void **state)
{
    static const struct {
        struct render_config config;
        bool wanted;
    } cases[] = {
        {{.mode = RENDER_RECEIVED}, false},
        {{.mode = RENDER_RECEIVED, .stamps = STAMP_REL}, true},
        {{.mode = RENDER_JSON, .url = ""}, true},
        {{.mode = RENDER_FORMAT, .format = "%p"}, false},
        {{.mode = RENDER_FORMAT, .format = "%U"}, true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct render render;
        struct error error;

        assert_int_equal(render_init(&render, &cases[i].config, &error), 0);
        assert_int_equal(render_wants_time(&render), cases[i].wanted);
        render_deinit(&render);
    }
}

static void a_bad_format_is_refused(void **state)
{
    struct render_config config = {.mode = RENDER_FORMAT, .format = "%?"};
    struct render render;
    struct error error;

    (void) state;
    assert_int_equal(render_init(&render, &config, &error), UV_EINVAL);
    assert_non_null(strstr(error.text, "'%?'"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mode_has_its_form_for_text_and_for_binary),
        cmocka_unit_test(a_nul_takes_the_place_of_the_newline),
        cmocka_unit_test(a_timestamp_stands_first),
        cmocka_unit_test(json_has_an_id_when_there_is_one),
        cmocka_unit_test(json_tells_of_a_gap_before_the_message),
        cmocka_unit_test(ids_are_wanted_where_they_are_told),
        cmocka_unit_test(times_are_wanted_where_they_are_told),
        cmocka_unit_test(a_bad_format_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
